"""Every preset answers end to end with a verified citation, and its system's own steps stand in the trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from tests.presets.conftest import Opened
from tests.presets.scripts import QUOTE, SENTENCE
from tests.presets.test_preset_retrieval import EXPECTED

from docrag.types import Answer, TraceStep

pytestmark = pytest.mark.loopback

QUESTION = "Which passengers does the chart of the northern route in red show?"


def named(answer: Answer, name: str) -> list[TraceStep]:
    return [step for step in answer.trace if step.name == name]


def details(answer: Answer, name: str) -> dict[str, Any]:
    found = named(answer, name)
    assert found, f"no step {name!r} among {[step.name for step in answer.trace]}"
    return dict(found[-1].detail)


def prompts(answer: Answer) -> list[str]:
    return [step.detail["prompt"] for step in answer.trace if "prompt" in step.detail]


def stages(answer: Answer) -> list[str]:
    return [stage["name"] for stage in details(answer, "search")["stages"]]


def images_only(n_pages: int) -> Callable[[Answer], None]:
    def check(answer: Answer) -> None:
        context = details(answer, "make context")
        assert context["modality"] == "image"
        assert context["n_images"] == len(context["evidence"]) == min(n_pages, 8)
        assert prompts(answer) == ["answer_cited"]

    return check


def single_pass(modality: str) -> Callable[[Answer], None]:
    def check(answer: Answer) -> None:
        context = details(answer, "make context")
        assert context["modality"] == modality
        assert (context["n_images"] > 0) == (modality != "text")
        assert prompts(answer) == ["answer_cited"]

    return check


def vidorag(answer: Answer) -> None:
    assert prompts(answer)[:2] == ["seeker", "inspector"]
    assert "retriever cut-off" in stages(answer)
    assert "padding" in stages(answer)


def visdomrag(answer: Answer) -> None:
    assert prompts(answer) == ["answer_branch_text", "answer_branch_image", "answer_fusion"]
    assert named(answer, "compare")


def hmrag(answer: Answer) -> None:
    assert named(answer, "decompose")
    assert named(answer, "source bm25")
    assert named(answer, "source dense")
    assert named(answer, "decide")


def universalrag(answer: Answer) -> None:
    assert stages(answer)[0] == "query plan"
    assert answer.usage.n_model_calls == 2  # the router's and the answer's


def omnisearch(answer: Answer) -> None:
    order = [step.name for step in answer.trace if step.name.startswith("tool ")]
    assert order == ["tool search", "tool read_page"]


def mmkb_rag(answer: Answer) -> None:
    assert named(answer, "gate")
    assert len(named(answer, "relevance")) > 1
    assert named(answer, "consistency")


def mramg(answer: Answer) -> None:
    assert prompts(answer) == ["answer_interleaved"]
    assert any(sentence.figures for sentence in answer.sentences)


def beyond_text(answer: Answer) -> None:
    assert prompts(answer)[0] == "answer_summaries"
    assert prompts(answer)[-1] == "answer_from_summaries"
    assert named(answer, "choose")


def gqr(answer: Answer) -> None:
    assert "guided query" in stages(answer)
    images_only(4)(answer)


@dataclass(frozen=True)
class Case:
    check: Callable[[Answer], None]
    evidence_id: str = "E1"


CASES: dict[str, Case] = {
    "gpu": Case(single_pass("both")),
    "m3docrag": Case(images_only(4)),
    "vidorag": Case(vidorag, "E2"),  # in document order, the second page of the first document
    "visdomrag": Case(visdomrag),
    "cmrag": Case(single_pass("both")),
    "gqr": Case(gqr),
    "bayesrag": Case(single_pass("both")),
    "hmrag": Case(hmrag),
    "universalrag": Case(universalrag),
    "omnisearch": Case(omnisearch),
    "mmkb-rag": Case(mmkb_rag),
    "dse": Case(images_only(4)),
    "mramg": Case(mramg),
    "beyond-text": Case(beyond_text),
    "unidoc-text": Case(single_pass("text")),
    "unidoc-image": Case(images_only(10)),
    "unidoc-fusion": Case(single_pass("both")),
    "unidoc-joint": Case(single_pass("both")),
}
EXTRACTIVE: Sequence[str] = ("laptop-visual", "muvera", "xtr", "mmdocir-cascade", "genqrensemble")
"""Presets about retrieval alone, whose answers are extracted."""


def test_every_preset_of_a_system_answers_here():
    assert CASES.keys() | set(EXTRACTIVE) == EXPECTED.keys()


@pytest.mark.parametrize("preset", CASES)
def test_the_systems_own_steps_run_and_the_answer_is_cited(preset: str, opened: Opened):
    case = CASES[preset]
    answer = opened(preset, evidence_id=case.evidence_id).ask(QUESTION)
    assert not answer.abstained, answer.warnings
    assert SENTENCE in answer.text
    first = answer.citations[0]
    assert (first.doc, first.page_no, first.quote, first.support) == ("fleet.pdf", 2, QUOTE, "full")
    assert first.boxes
    assert not answer.is_partial
    case.check(answer)


@pytest.mark.parametrize("preset", EXTRACTIVE)
def test_presets_of_retrieval_answer_without_a_model(preset: str, opened: Opened):
    answer = opened(preset).ask("What was the revenue of Alder Ferries in 2024?")
    assert answer.trace.steps
    assert answer.usage.n_model_calls == (10 if preset == "genqrensemble" else 0)
