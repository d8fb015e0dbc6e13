"""Relevance by a cross-encoder that was exported to ONNX: needs no extra, runs on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.errors import DocragError, ModelError
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.checkpoint import identity_of
from docrag.retrieve.rerank.cross_encoder import check_outputs, relevance_of
from docrag.retrieve.rerank.passages import WORDS, score_passages
from docrag.retrieve.rerank.relevance import Relevance
from docrag.retrieve.rerank.shown import Shown

_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


class OnnxCrossEncoderScorer:
    """Scores the passages of a page and takes the best, as `docrag.retrieve.rerank.cross_encoder` does.

    The folder holds ``tokenizer.json`` and ``model.onnx``, the latter itself or in ``onnx/``.

    Raises
    ------
    ModelError
        A file is missing or cannot be read, or the model has more than two outputs.
    """

    name = "cross-encoder"

    def __init__(
        self,
        folder: Path,
        *,
        batch_size: int = 16,
        max_tokens: int = 512,
        passage_words: int = WORDS,
        n_threads: int = 0,
    ) -> None:
        import onnxruntime as ort
        from tokenizers import Tokenizer

        self._folder = folder
        self._batch_size = batch_size
        self._passage_words = passage_words
        tokenizer_path = folder / "tokenizer.json"
        model_path = next(
            (path for path in (folder / "model.onnx", folder / "onnx" / "model.onnx") if path.is_file()), None
        )
        if model_path is None or not tokenizer_path.is_file():
            raise ModelError(
                f"cross-encoder {folder}: expected tokenizer.json and model.onnx or onnx/model.onnx"
            )
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = n_threads
        settings.log_severity_level = 3
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(tokenizer_path))
            self._session: Any = ort.InferenceSession(
                str(model_path), settings, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # both libraries raise classes of their own, derived from nothing narrower
            raise ModelError(f"cross-encoder {folder}: {error}") from error
        self._tokenizer.enable_truncation(max_tokens, strategy="longest_first")
        self._tokenizer.no_padding()
        self._names = [entry.name for entry in self._session.get_inputs()]
        if unknown := sorted(set(self._names) - _INPUTS):
            raise ModelError(f"cross-encoder {folder}: the model wants the inputs {unknown}, unknown here")
        n_outputs = self._session.get_outputs()[0].shape[-1]
        if isinstance(n_outputs, int):  # else it is a name, and the first scores will tell
            check_outputs(folder, n_outputs)
        self._identity = f"{identity_of(folder)}|{max_tokens}|{passage_words}|onnx"

    def identify(self, calls: Calls) -> str:
        """Name the weights and the lengths."""
        return self._identity

    def score(self, question: str, pages: Sequence[Shown], calls: Calls) -> Sequence[Relevance | DocragError]:
        """Relevance of every page, batch by batch; the budget counts batches."""
        return score_passages(
            pages,
            calls,
            n_words=self._passage_words,
            batch_size=self._batch_size,
            encode=lambda passage: self._input(question, passage),
            forward=self._forward,
        )

    def _input(self, question: str, passage: str) -> Mapping[str, NDArray[np.int64]]:
        encoding = self._tokenizer.encode(question, passage)
        values = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        return {name: np.array([values[name]], np.int64) for name in self._names}

    def _forward(self, inputs: Sequence[Mapping[str, Any]]) -> list[Relevance]:
        batch = {name: np.concatenate([one[name] for one in inputs]) for name in self._names}
        try:
            logits = np.asarray(self._session.run(None, batch)[0], np.float64)
        except Exception as error:  # as above
            raise ModelError(f"cross-encoder {self._folder}: {error}") from error
        logits = logits.reshape(len(inputs), -1)
        check_outputs(self._folder, logits.shape[1])
        return [relevance_of(row) for row in logits.tolist()]
