"""Passages of a page, checkpoints that are refused, and a cross-encoder in ONNX."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.retrieve.small_corpus import unit
from tests.retrieve.tiny_onnx import save_onnx_classifier

from docrag.errors import BudgetExceeded, ConfigError, ModelError
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.checkpoint import find_checkpoint, identity_of
from docrag.retrieve.rerank.cross_encoder_onnx import OnnxCrossEncoderScorer
from docrag.retrieve.rerank.passages import best, passages
from docrag.retrieve.rerank.relevance import Relevance, from_logits
from docrag.retrieve.rerank.shown import Shown

QUESTION = "where gold"  # ids 3 and 8; they have the type id 0


def pages(*texts: str) -> list[Shown]:
    return [Shown(unit("a.pdf", n), text) for n, text in enumerate(texts, 1)]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_onnx_classifier(tmp_path / "tiny", weights=[0.5])
    return tmp_path / "tiny"


def test_passages_overlap_and_cover_everything():
    assert passages("a b c d e f g", n_words=4, overlap=1) == ["a b c d", "d e f g"]
    assert passages("a b c d e", n_words=4, overlap=1) == ["a b c d", "d e"]
    assert passages("a b\nc", n_words=4, overlap=1) == ["a b c"]
    assert passages("", n_words=4, overlap=1) == [""]


@given(n=st.integers(0, 300), n_words=st.integers(2, 50), overlap=st.integers(0, 49))
def test_every_word_is_in_a_passage_of_the_right_length(n: int, n_words: int, overlap: int):
    overlap = min(overlap, n_words - 1)
    words = [str(i) for i in range(n)]
    found = [passage.split() for passage in passages(" ".join(words), n_words=n_words, overlap=overlap)]
    assert all(len(passage) <= n_words for passage in found)
    assert [word for i, passage in enumerate(found) for word in passage[overlap if i else 0 :]] == words


def test_the_best_passage_is_the_highest():
    assert best([Relevance(0.2), Relevance(0.7), Relevance(0.5)]) == Relevance(0.7)
    assert best([from_logits(50, 0), from_logits(60, 0)]) == from_logits(60, 0)


def test_one_output_is_a_logit(folder: Path):
    found = OnnxCrossEncoderScorer(folder).score(QUESTION, pages("gold", "tin lead", ""), Calls())
    # Mean id of passage and [SEP], times 0.5: (8 + 2) / 2, (5 + 4 + 2) / 3, and 2 of an empty passage.
    logits = [2.5, 11 / 6, 1.0]
    for one, logit in zip(found, logits, strict=True):
        assert isinstance(one, Relevance)
        assert one.score == pytest.approx(sigmoid(logit), abs=1e-6)
        assert one.logits == pytest.approx((logit, 0.0), abs=1e-6)


def test_of_two_outputs_the_second_is_relevant(tmp_path: Path):
    save_onnx_classifier(tmp_path, weights=[0.1, 0.4])
    (found,) = OnnxCrossEncoderScorer(tmp_path).score(QUESTION, pages("gold"), Calls())
    assert isinstance(found, Relevance)
    assert found.logits == pytest.approx((2.0, 0.5), abs=1e-6)
    assert found.score == pytest.approx(sigmoid(1.5), abs=1e-6)


def test_the_best_passage_speaks_for_its_page(folder: Path):
    scorer = OnnxCrossEncoderScorer(folder, passage_words=42)
    text = " ".join(["lead"] * 80 + ["gold"] * 4)
    (found,) = scorer.score(QUESTION, pages(text), Calls())
    # Passages begin every 2 words; the last, from word 42 on, has all the gold: 38 x lead, 4 x gold, [SEP].
    assert isinstance(found, Relevance)
    assert found.margin == pytest.approx((38 * 4 + 4 * 8 + 2) / 43 * 0.5, abs=1e-6)


def test_batches_share_a_length_and_a_budget_leaves_pages_out(folder: Path):
    scorer = OnnxCrossEncoderScorer(folder, batch_size=2)
    texts = pages("gold", "tin tin", "lead", "silver", "tin lead")
    calls = Calls()
    together = scorer.score(QUESTION, texts, calls)
    assert len(calls.usage) == 3
    assert together == [scorer.score(QUESTION, [page], Calls())[0] for page in texts]
    found = scorer.score(QUESTION, texts, Calls(max_calls=1))
    assert [isinstance(one, BudgetExceeded) for one in found] == [False, True, False, True, True]


def test_the_model_may_stand_in_a_folder_of_its_own(folder: Path):
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "model.onnx")
    assert OnnxCrossEncoderScorer(folder).score(QUESTION, pages("gold"), Calls())


def test_what_is_no_cross_encoder_is_refused(tmp_path: Path, folder: Path):
    save_onnx_classifier(tmp_path / "three", weights=[1, 2, 3])
    with pytest.raises(ModelError, match=r"has 3 outputs, expected 1 \(relevance\) or 2"):
        OnnxCrossEncoderScorer(tmp_path / "three")
    save_onnx_classifier(
        tmp_path / "odd", weights=[1], inputs=("input_ids", "token_type_ids", "pixel_values")
    )
    with pytest.raises(ModelError, match=r"the model wants the inputs \['pixel_values'\], unknown here"):
        OnnxCrossEncoderScorer(tmp_path / "odd")
    (folder / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=f"cross-encoder {folder}"):
        OnnxCrossEncoderScorer(folder)
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"expected tokenizer.json and model.onnx or onnx/model.onnx"):
        OnnxCrossEncoderScorer(folder)


# ── checkpoints ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_is_taken_as_it_is(folder: Path):
    assert find_checkpoint(str(folder), weights="onnx") == folder


def test_pickles_are_refused(tmp_path: Path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"weights are pickled \(pytorch_model.bin\).* to safetensors"):
        find_checkpoint(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")  # no tensors
    assert find_checkpoint(str(tmp_path)) == tmp_path
    with pytest.raises(ModelError, match=r"weights are pickled .* to onnx"):
        find_checkpoint(str(tmp_path), weights="onnx")


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path):
    with pytest.raises(ConfigError, match="there is no such folder"):
        find_checkpoint(str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match="there is no such folder"):
        find_checkpoint("./missing")


def test_the_identity_changes_with_configuration_and_weights(folder: Path):
    first = identity_of(folder)
    assert first == identity_of(folder)
    (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text() + " ")
    second = identity_of(folder)
    save_onnx_classifier(folder, weights=[0.25, 0.5])
    assert len({first, second, identity_of(folder)}) == 3
