"""Settings whose keys are names, such as weights of retrievers, are not mixed with those of the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from docrag.config import load_settings
from docrag.config.load import load_recorded
from docrag.config.sources import presets
from docrag.errors import ConfigError
from docrag.retrieve.build import build_fusion
from docrag.retrieve.options import ReciprocalRankOptions, WeightedSumOptions


def weights(path: Path | str | None, *overrides: str) -> dict[str, float]:
    fusion = load_settings(path, overrides=overrides, environ={}).retrieval.fusion
    assert isinstance(fusion, WeightedSumOptions | ReciprocalRankOptions)
    return fusion.weights


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(text, "utf-8")
    return path


def test_the_first_ones_stated_replace_the_default(tmp_path: Path):
    path = write(tmp_path, "retrieval: {fusion: {weights: {bm25: 1.0}}}\n")
    assert weights(None) == {"bm25": 0.8, "dense": 0.2}
    assert weights(path) == {"bm25": 1.0}
    assert weights(None, "retrieval.fusion.weights={visual: 2}") == {"visual": 2.0}


def test_later_ones_are_merged_name_by_name(tmp_path: Path):
    path = write(tmp_path, "retrieval: {fusion: {weights: {bm25: 0.5, visual: 0.5}}}\n")
    assert weights(path, "retrieval.fusion.weights.visual=0.7") == {"bm25": 0.5, "visual": 0.7}
    both = ("retrieval.fusion.weights.dense=1", "retrieval.fusion.weights.bm25=2")
    assert weights(None, *both) == {"dense": 1.0, "bm25": 2.0}


def test_recorded_ones_are_merged_too():
    recorded = {"retrieval": {"fusion": {"kind": "weighted-sum", "weights": {"bm25": 0.4, "visual": 0.6}}}}
    changed = ["retrieval.fusion.weights.visual=0.9"]
    fusion = load_recorded(recorded, name="run", overrides=changed, environ={}).settings.retrieval.fusion
    assert isinstance(fusion, WeightedSumOptions)
    assert fusion.weights == {"bm25": 0.4, "visual": 0.9}


@pytest.mark.parametrize("name", presets())
def test_every_preset_has_weights_for_its_retrievers(name: str):
    retrieval = load_settings(name, environ={}).retrieval
    build_fusion(retrieval.fusion, configured=retrieval.retrievers)


@pytest.mark.parametrize("retriever", ["bm25", "dense", "visual"])
def test_a_retriever_that_stands_alone_needs_no_weight(retriever: str):
    retrieval = load_settings(overrides=[f"retrieval.retrievers=[{retriever}]"], environ={}).retrieval
    build_fusion(retrieval.fusion, configured=retrieval.retrievers)


def test_ranks_count_alike_where_nothing_is_said():
    overrides = ["retrieval.retrievers=[bm25, visual]", "retrieval.fusion.kind=reciprocal-rank"]
    retrieval = load_settings(overrides=overrides, environ={}).retrieval
    build_fusion(retrieval.fusion, configured=retrieval.retrievers)


@pytest.mark.parametrize(
    "stated", ["{bm25: 0.8, visual: 0.2}", "{bm25: 0.8}", "{bm25: 0.5, dense: 0.4, visual: 0.1}"]
)
def test_weights_that_do_not_fit_are_still_refused(tmp_path: Path, stated: str):
    path = write(tmp_path, f"retrieval: {{retrievers: [bm25, dense], fusion: {{weights: {stated}}}}}\n")
    retrieval = load_settings(path, environ={}).retrieval
    with pytest.raises(ConfigError, match=r"retrieval\.fusion\.weights"):
        build_fusion(retrieval.fusion, configured=retrieval.retrievers)


def test_scores_of_several_need_weights():
    retrieval = load_settings(overrides=["retrieval.retrievers=[bm25, visual]"], environ={}).retrieval
    with pytest.raises(ConfigError, match="the configured retrievers are: bm25, visual"):
        build_fusion(retrieval.fusion, configured=retrieval.retrievers)
