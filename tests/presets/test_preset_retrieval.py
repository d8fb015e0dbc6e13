"""The retrieval side of every preset runs over real PDFs, and what its system is known for really happens."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import takewhile
from typing import Any

import numpy as np
import pytest
from tests.presets.conftest import Opened
from tests.presets.opened import SINGLE_VECTOR, tree_of

from docrag import resources
from docrag.retrieve.stage import SearchResult
from docrag.types import Unit

pytestmark = pytest.mark.loopback

WITHOUT_SYSTEM = {"local", "fast", "pdfium", "reranked", "vision-model"}
"""Presets that stand for no published system; their parts have tests of their own."""


def steps(result: SearchResult) -> dict[str, dict[str, Any]]:
    """Details of the search's steps by name."""
    return {step.name: dict(step.detail) for step in result.steps}


def pages(result: SearchResult) -> list[tuple[str, int]]:
    return [(hit.doc, hit.page_no) for hit in result.hits]


RED_PAGE = ("fleet.pdf", 2)


def only_looks(result: SearchResult) -> None:
    assert result.rankings.keys() == {"visual"}
    assert pages(result)[0] == RED_PAGE


def m3docrag(result: SearchResult) -> None:
    only_looks(result)
    assert "references" not in steps(result)


def vidorag(result: SearchResult) -> None:
    assert steps(result)["retriever cut-off"]["by"] == "GaussianMixtureCutoff"
    assert steps(result)["fusion"]["by"] == "Union"
    assert "padding" in steps(result)
    docs = [hit.doc for hit in result.hits]
    assert docs == sorted(docs, key=docs.index)  # documents stand together
    for doc in set(docs):
        numbers = [hit.page_no for hit in result.hits if hit.doc == doc]
        assert numbers == sorted(numbers)


def visdomrag(result: SearchResult) -> None:
    assert result.rankings.keys() == {"bm25", "visual"}


def cmrag(result: SearchResult) -> None:
    assert steps(result)["fusion"]["by"] == "WeightedSum"
    assert all(len(ranking) == 8 for ranking in result.rankings.values())  # statistics over all pages
    # The published score by hand: z-scores over all pages, half and half.
    scores = {name: {s.unit: s.score for s in ranking} for name, ranking in result.rankings.items()}
    expected = {
        unit: sum(
            0.5 * (by[unit] - np.mean(list(by.values()))) / np.std(list(by.values()))
            for by in scores.values()
        )
        for unit in scores["dense"]
    }
    assert {hit.unit: hit.score for hit in result.hits} == pytest.approx(expected)


def gqr(result: SearchResult) -> None:
    assert "guided query" in steps(result)
    assert pages(result)[0] == RED_PAGE


def bayesrag(result: SearchResult) -> None:
    assert steps(result)["fusion"]["by"] == "DempsterShafer"
    assert all(0 <= place.score <= 1 for place in result.fused)


def universalrag(result: SearchResult) -> None:
    assert result.plan is not None
    assert [sub.label for sub in result.plan.queries] == ["question → figure"]
    assert set(pages(result)) == {("fleet.pdf", 2), ("fleet.pdf", 3), ("harbour.pdf", 2)}  # those with charts
    assert "table" not in " ".join(result.plan.notes)


def genqrensemble(result: SearchResult) -> None:
    assert result.plan is not None
    assert result.usage.n_model_calls == 10
    widened = [sub for sub in result.plan.queries if sub.serves("bm25")]
    assert [sub.text for sub in widened] == ["Which chart is red ? passengers ferries"]


def muvera(result: SearchResult) -> None:
    only_looks(result)


def mmdocir_cascade(result: SearchResult) -> None:
    only_looks(result)
    assert "cascade" in steps(result)


def unidoc_text(result: SearchResult) -> None:
    assert result.rankings.keys() == {"dense"}


def unidoc_fusion(result: SearchResult) -> None:
    assert steps(result)["retriever cut-off"]["by"] == "FixedCutoff"
    for name in ("dense", "visual"):
        assert sum(name in hit.sources for hit in result.hits) == 5


def default(result: SearchResult) -> None:
    assert result.rankings.keys() == {"bm25", "dense"}


def words_and_looks(result: SearchResult) -> None:
    assert result.rankings.keys() == {"bm25", "dense", "visual"}


EXPECTED: dict[str, Callable[[SearchResult], None]] = {
    "laptop-visual": words_and_looks,
    "gpu": words_and_looks,
    "m3docrag": m3docrag,
    "vidorag": vidorag,
    "visdomrag": visdomrag,
    "cmrag": cmrag,
    "gqr": gqr,
    "bayesrag": bayesrag,
    "hmrag": default,
    "universalrag": universalrag,
    "omnisearch": default,
    "mmkb-rag": default,
    "dse": only_looks,
    "muvera": muvera,
    "xtr": only_looks,
    "mmdocir-cascade": mmdocir_cascade,
    "genqrensemble": genqrensemble,
    "mramg": default,
    "beyond-text": default,
    "unidoc-text": unidoc_text,
    "unidoc-image": only_looks,
    "unidoc-fusion": unidoc_fusion,
    "unidoc-joint": only_looks,
}


def test_every_preset_of_a_system_is_tested_here():
    assert EXPECTED.keys() == set(resources.names("configs", ".yaml")) - WITHOUT_SYSTEM


@pytest.mark.parametrize("preset", EXPECTED)
def test_what_the_system_is_known_for_happens(preset: str, opened: Opened):
    rag = opened(preset)
    result = rag.search("Which chart is red ?", k=10)
    assert result.hits, result.warnings
    assert not result.warnings
    EXPECTED[preset](result)


@pytest.mark.parametrize("preset", ["muvera", "xtr"])
def test_candidates_really_ran_and_the_rest_was_not_scored(preset: str, opened: Opened):
    rag = opened(preset)
    options = rag.settings.visual
    assert options is not None
    assert options.exact_below == 0
    assert options.candidates.kind == {"muvera": "fde", "xtr": "tokens"}[preset]


@pytest.mark.parametrize("unit", ["page", "region"])
def test_the_cascade_finds_regions_on_the_best_pages(unit: Unit, opened: Opened):
    result = opened("mmdocir-cascade").search("Which chart is red ?", k=3, unit=unit)
    assert (result.hits[0].doc, result.hits[0].page_no) == RED_PAGE
    assert (result.hits[0].kind is not None) == (unit == "region")


@pytest.mark.parametrize("preset", SINGLE_VECTOR)
def test_single_vector_presets_store_one_vector_a_page(preset: str, opened: Opened):
    from docrag.pipeline.visual import open_vectors

    rag = opened(preset)
    view = open_vectors(rag.corpus).view()
    n_vectors = [len(part.vectors.vectors(row)) for part in view.parts for row in range(len(part.page_nos))]
    assert n_vectors == [1] * 8


@pytest.mark.parametrize("preset", sorted(set(EXPECTED) | WITHOUT_SYSTEM))
def test_every_preset_says_what_it_is_and_what_it_needs(preset: str):
    text = (resources.folder("configs") / f"{preset}.yaml").read_text("utf-8")
    comment = "".join(takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))
    assert len(comment.split()) > 5
    if "visual" in tree_of(preset) or "models" in tree_of(preset):
        assert re.search(r"\bneeds?:|name (?:a|the) (?:checkpoint|server|model)", comment, re.IGNORECASE)
