"""The sentence-transformers encoder over a tiny model with the library's interface."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from docrag.embed.build import build_text_embedder
from docrag.embed.options import SentenceTransformersOptions
from docrag.errors import MissingExtra, ModelError
from docrag.protocols import EncoderIdentity

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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a saved model looks like; 3 MB of weights, so that not all of them are looked at."""
    folder = tmp_path / "m"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "2_Dense").mkdir()
    (folder / "model.safetensors").write_bytes(bytes(3 << 20))
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"dense")
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("a model")
    return folder


def identity_of(folder: Path) -> EncoderIdentity:
    encoder = build_text_embedder(SentenceTransformersOptions(model=str(folder)))
    assert encoder is not None
    return encoder.identity


def test_a_model_trained_anew_at_its_place_is_another_encoder(library: None, folder: Path):
    before = identity_of(folder)
    weights = np.arange(3 << 20, dtype=np.uint8)  # every number is another one, and the size is the same
    (folder / "model.safetensors").write_bytes(weights.tobytes())
    assert identity_of(folder).revision != before.revision


@pytest.mark.parametrize("name", ["2_Dense/pytorch_model.bin", "1_Pooling/config.json", "tokenizer.json"])
def test_every_part_of_a_local_model_belongs_to_its_identity(library: None, folder: Path, name: str):
    before = identity_of(folder)
    (folder / name).write_bytes(b"other")
    assert identity_of(folder).revision != before.revision


def test_what_is_no_part_of_a_local_model_does_not_change_its_identity(library: None, folder: Path):
    before = identity_of(folder)
    (folder / "README.md").write_text("the same model")
    os.utime(folder / "model.safetensors", (1, 1))
    for name in (".cache/huggingface/note.json", "checkpoint-500/model.safetensors"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("training")
    assert identity_of(folder) == before


def test_a_model_that_is_not_there_is_named_with_the_next_step(library: None):
    with pytest.raises(ModelError, match=r"'absent'.*download=true"):
        build_text_embedder(SentenceTransformersOptions(model="absent"))


def test_a_missing_library_gives_the_pip_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtra, match=r"docrag\[sentence-transformers\]"):
        build_text_embedder(SentenceTransformersOptions(model="m"))
