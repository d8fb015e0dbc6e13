"""The sentence-transformers encoder over a tiny model with the library's interface."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from docrag.embed.build import build_text_embedder
from docrag.embed.options import SentenceTransformersOptions
from docrag.errors import MissingExtra, ModelError

LOADED: dict[str, Any] = {}


class LetterCounts:
    """Counts of a, b and c, with the part of SentenceTransformer's interface that is used."""

    def __init__(self, model: str, **kwargs: object) -> None:
        if model == "absent":
            raise OSError("absent is not a local folder")
        LOADED.update(kwargs, model=model)

    def encode(self, texts: list[str], *, normalize_embeddings: bool, **_: object) -> np.ndarray:
        rows = np.array([[text.count(letter) for letter in "abc"] for text in texts], np.float64)
        assert normalize_embeddings
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)  # as torch does


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    LOADED.clear()
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = LetterCounts  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)


def test_vectors_and_prompts(library: None):
    encoder = build_text_embedder(
        SentenceTransformersOptions(model="m", query_prompt="a", passage_prompt="bb")
    )
    assert encoder is not None
    assert encoder.identity.dim == 3
    np.testing.assert_allclose(encoder.embed_queries(["b"]), [[2**-0.5, 2**-0.5, 0]], rtol=1e-6)
    np.testing.assert_allclose(encoder.embed_passages(["", "c"]), [[0, 1, 0], [0, 2 / 5**0.5, 1 / 5**0.5]])
    assert encoder.embed_passages([]).shape == (0, 3)


def test_nothing_is_downloaded_and_no_model_code_runs_unless_asked(library: None):
    build_text_embedder(SentenceTransformersOptions(model="m"))
    assert LOADED["local_files_only"] is True
    assert LOADED["trust_remote_code"] is False
    build_text_embedder(SentenceTransformersOptions(model="m", download=True))
    assert LOADED["local_files_only"] is False


def test_prompts_are_part_of_the_identity(library: None):
    plain = build_text_embedder(SentenceTransformersOptions(model="m"))
    prompted = build_text_embedder(SentenceTransformersOptions(model="m", passage_prompt="passage: "))
    assert plain is not None
    assert prompted is not None
    assert plain.identity != prompted.identity


def test_a_model_that_is_not_there_is_named_with_the_next_step(library: None):
    with pytest.raises(ModelError, match=r"'absent'.*download=true"):
        build_text_embedder(SentenceTransformersOptions(model="absent"))


def test_a_missing_library_gives_the_pip_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtra, match=r"docrag\[sentence-transformers\]"):
        build_text_embedder(SentenceTransformersOptions(model="m"))
