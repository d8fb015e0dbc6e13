"""Relevance by a sequence classifier that reads question and passage together, with transformers.

Checkpoints of sentence-transformers' ``CrossEncoder`` are of this kind: one output, whose sigmoid is taken,
or two, of which the second is "relevant".
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docrag.devices import DType, choose_device, choose_dtype
from docrag.errors import DocragError, ModelError
from docrag.optional import require
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.checkpoint import (
    SAFELY,
    identity_of,
)
from docrag.retrieve.rerank.passages import WORDS, score_passages
from docrag.retrieve.rerank.relevance import Relevance, from_logits
from docrag.retrieve.rerank.shown import Shown

_PURPOSE = "a cross-encoder"


class CrossEncoderScorer:
    """Scores the passages of a page and takes the best. Reads text only.

    Pairs are tokenized one by one and only those of equal length share a batch, so there is no padding.

    Raises
    ------
    MissingExtra
        torch or transformers is not installed.
    ModelError
        The checkpoint cannot be loaded, lacks weights, or has more than two outputs.
    """

    name = "cross-encoder"

    def __init__(
        self,
        folder: Path,
        *,
        batch_size: int = 16,
        max_tokens: int = 512,
        passage_words: int = WORDS,
        device: str = "auto",
        dtype: DType = "auto",
    ) -> None:
        self._torch = require("torch", extra="visual", purpose=_PURPOSE)
        transformers = require("transformers", extra="visual", purpose=_PURPOSE)
        self._folder = folder
        self._lock = threading.Lock()
        self._batch_size = batch_size
        self._max_tokens = max_tokens
        self._passage_words = passage_words
        self._device = choose_device(self._torch, device)
        try:
            model, info = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder,
                dtype=choose_dtype(self._torch, dtype, self._device),
                use_safetensors=True,
                output_loading_info=True,
                **SAFELY,
            )
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, **SAFELY)
        except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
            raise ModelError(f"cross-encoder {folder}: {error}") from error
        if info["missing_keys"]:
            raise ModelError(
                f"cross-encoder {folder}: the checkpoint lacks weights such as {min(info['missing_keys'])}, "
                "so its scores would be noise; is it a sequence classifier?"
            )
        check_outputs(folder, int(model.config.num_labels))
        self._model: Any = model.eval().to(self._device)
        self._identity = f"{identity_of(folder)}|{max_tokens}|{passage_words}|{self._model.dtype}"

    def identify(self, calls: Calls) -> str:
        """Name the weights, the lengths and the number type."""
        return self._identity

    def score(self, question: str, pages: Sequence[Shown], calls: Calls) -> Sequence[Relevance | DocragError]:
        """Relevance of every page, batch by batch; the budget counts batches."""
        with self._lock:  # a tokenizer that truncates may not be used by two threads
            return score_passages(
                pages,
                calls,
                n_words=self._passage_words,
                batch_size=self._batch_size,
                encode=lambda passage: self._input(question, passage),
                forward=self._forward,
            )

    def _input(self, question: str, passage: str) -> Mapping[str, Any]:
        return self._tokenizer(
            question, passage, truncation="longest_first", max_length=self._max_tokens, return_tensors="pt"
        )

    def _forward(self, inputs: Sequence[Mapping[str, Any]]) -> list[Relevance]:
        torch = self._torch
        batch = {name: torch.cat([one[name] for one in inputs]).to(self._device) for name in inputs[0]}
        try:
            with torch.inference_mode():
                logits = self._model(**batch).logits.float().cpu().tolist()
        except RuntimeError as error:
            raise ModelError(f"cross-encoder {self._folder}: {str(error).splitlines()[0]}") from error
        return [relevance_of(row) for row in logits]


def check_outputs(folder: Path, n_outputs: int) -> None:
    """Raise `docrag.errors.ModelError` unless a classifier has one or two outputs."""
    if n_outputs not in (1, 2):
        raise ModelError(
            f"cross-encoder {folder}: has {n_outputs} outputs, "
            "expected 1 (relevance) or 2 (irrelevant, relevant)"
        )


def relevance_of(logits: Sequence[float]) -> Relevance:
    """Sigmoid of one output, softmax of two."""
    if len(logits) == 1:
        return from_logits(logits[0], 0.0)
    return from_logits(logits[1], logits[0])
