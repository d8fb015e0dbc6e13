"""Guided query refinement: finite differences, what the steps promise, and the ranking it changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy
from tests.retrieve.small_corpus import FixedRetriever, SmallCorpus, unit

from docrag.errors import ConfigError
from docrag.late_interaction.multivectors import encode
from docrag.late_interaction.view import VectorPart, VectorView
from docrag.protocols import QueryVectors
from docrag.report.search_explain import source_names
from docrag.retrieve.build import build_retrieval_stage
from docrag.retrieve.fusion.guided_query import (
    Pages,
    Target,
    divergence_gradient,
    refine,
    softmax_of,
)
from docrag.retrieve.guided_refiner import GuidedRefiner, LateInteraction
from docrag.retrieve.options import GuidedQueryOptions, RetrievalOptions, WeightedSumOptions
from docrag.types import Fused, Query, Scored, SourceScore

every_target = pytest.mark.parametrize("target", ["fixed", "moving"])


def example(seed: int, *, n_pages: int = 5, dim: int = 6) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """A query, pages of different lengths, and another retriever's probabilities."""
    random = np.random.default_rng(seed)
    query = random.normal(size=(4, dim))
    pages = [random.normal(size=(random.integers(1, 9), dim)) for _ in range(n_pages)]
    return query, pages, softmax_of(random.normal(size=n_pages), 1.0)


def test_max_sim_by_hand():
    query = np.array([[1.0, 0.0], [0.0, 2.0]])
    page = np.array([[3.0, 0.0], [1.0, 1.0], [0.0, 0.5]])
    met = Pages([page, page[2:]]).meet(query)
    # 3 from the first vector and 2 from the second; 0 and 1 from the only one.
    assert met.scores.tolist() == [5.0, 1.0]
    assert met.vectors.tolist() == [[[3.0, 0.0], [1.0, 1.0]], [[0.0, 0.5], [0.0, 0.5]]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_gradient_is_that_of_finite_differences(seed: int, temperature: float):
    query, pages, target = example(seed)
    gradient = divergence_gradient(Pages(pages).meet(query), target, temperature=temperature)

    def loss(vectors: np.ndarray) -> float:
        return entropy(target, softmax_of(Pages(pages).meet(vectors).scores, temperature))

    step = 1e-6
    for place in np.ndindex(query.shape):
        moved = np.zeros_like(query)
        moved[place] = step
        difference = (loss(query + moved) - loss(query - moved)) / (2 * step)
        assert gradient[place] == pytest.approx(difference, abs=1e-6)


@every_target
@given(seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_steps_come_nearer_to_the_consensus_and_never_go_beyond(target: Target, seed: int):
    query, pages, guide = example(seed)
    refined = refine(query, pages, guide, target=target, learning_rate=1e-3)
    consensus = (refined.before + guide) / 2
    farthest = np.abs(consensus - refined.before).sum()
    assert np.abs(refined.after - refined.before).sum() <= farthest
    assert entropy(consensus, refined.after) <= entropy(consensus, refined.before)
    np.testing.assert_allclose(refined.scores, Pages(pages).meet(refined.vectors).scores)


@every_target
def test_large_steps_end_before_they_drift(target: Target):
    query, pages, guide = example(0)
    refined = refine(query, pages, guide, target=target, n_steps=500, learning_rate=0.01)
    assert 0 < refined.n_steps < 500
    assert refine(query, pages, guide, target=target, n_steps=500, learning_rate=50).n_steps == 0


def test_where_both_agree_nothing_moves():
    query, pages, _ = example(1)
    agreed = softmax_of(Pages(pages).meet(query).scores, 1.0)
    np.testing.assert_array_equal(refine(query, pages, agreed).vectors, query)


@every_target
def test_the_order_of_the_pages_does_not_matter(target: Target):
    query, pages, guide = example(2)
    order = [3, 0, 4, 1, 2]
    there = refine(query, pages, guide, target=target)
    back = refine(query, [pages[i] for i in order], guide[order], target=target)
    np.testing.assert_allclose(back.scores, there.scores[order])


def test_every_page_needs_a_probability():
    query, pages, guide = example(0)
    with pytest.raises(ValueError, match="4 probabilities for 5 pages"):
        refine(query, pages, guide[:4])
    with pytest.raises(ValueError, match="expected one for each"):
        refine(query, [], np.empty(0))


# ── over a ranking ───────────────────────────────────────────────────────────────────────────────────

CORPUS = SmallCorpus({"d.pdf": ["ice", "ice lake", "lake", "boats"]})
VECTORS = {1: [[1.0, 0.0]], 2: [[0.98, 0.199]], 3: [[0.0, 1.0]]}
"""Page 4 has none."""


class FixedVectors:
    """`docrag.protocols.VectorIndex` over `VECTORS`."""

    def view(self) -> VectorView:
        vectors = encode([np.array(rows, np.float32) for rows in VECTORS.values()], "float32", dim=2)
        page_nos = np.array(list(VECTORS), np.int32)
        zeros = np.zeros(len(VECTORS), np.int32)
        part = VectorPart("p", vectors, zeros, page_nos, zeros, [None] * len(VECTORS))
        return VectorView(CORPUS.documents(), [part])


def encoded(text: str) -> QueryVectors:
    return QueryVectors(np.array([[1.0, 0.0]], np.float32), (text,))


SEEN = LateInteraction(encoded, FixedVectors())


def candidate(page_no: int, score: float, **sources: tuple[int, float]) -> Fused:
    return Fused(unit("d.pdf", page_no), score, {n: SourceScore(*s) for n, s in sources.items()})


def test_a_close_call_goes_to_the_page_that_the_guide_knows():
    # Page 1 leads page 2 by 0.02 in the primary; words speak for page 2 alone.
    ranking = [
        candidate(1, 4.0, visual=(1, 1.0)),
        candidate(4, 3.0, bm25=(2, 6.0)),
        candidate(2, 2.0, visual=(2, 0.98), bm25=(1, 9.0)),
        candidate(3, 1.0, visual=(3, 0.0)),
    ]
    refined = GuidedRefiner(SEEN, learning_rate=5e-3, n_steps=50).rerank(Query("ice"), ranking)
    # Page 4 has no vectors and keeps its place; the others share out theirs, with the fused scores.
    assert [(f.unit.page_no, f.score) for f in refined] == [(2, 4.0), (4, 3.0), (1, 2.0), (3, 1.0)]
    assert refined[0].sources["guided query"].rank == 1
    assert refined[0].sources["visual"] == SourceScore(2, 0.98)
    assert "guided query" not in refined[1].sources


def test_without_a_guide_or_a_pool_the_ranking_stays():
    refiner = GuidedRefiner(SEEN)
    alone = [candidate(2, 2.0, visual=(1, 0.98)), candidate(1, 1.0, visual=(2, 0.9))]
    assert refiner.rerank(Query("ice"), alone) == alone
    one = [candidate(1, 2.0, visual=(1, 0.98), bm25=(1, 3.0)), candidate(4, 1.0, bm25=(2, 2.0))]
    assert refiner.rerank(Query("ice"), one) == one
    assert refiner.rerank(Query("ice"), []) == []


def test_only_the_best_of_every_retriever_are_pooled():
    ranking = [
        candidate(3, 3.0, visual=(1, 0.9), bm25=(1, 9.0)),
        candidate(2, 2.0, bm25=(2, 8.0)),
        candidate(1, 1.0, visual=(3, 0.1), bm25=(3, 1.0)),
    ]
    refined = GuidedRefiner(SEEN, n_pool=2, n_steps=1).rerank(Query("ice"), ranking)
    assert [f.unit.page_no for f in refined] == [2, 3, 1]


OPTIONS = RetrievalOptions(
    retrievers=("bm25", "visual"),
    fusion=WeightedSumOptions(weights={"bm25": 1, "visual": 1}),
    guided_query=GuidedQueryOptions(),
)
VISUAL = FixedRetriever("visual", [Scored(unit("d.pdf", n), s) for n, s in ((1, 1.0), (2, 0.98), (3, 0.0))])


def test_the_stage_refines_before_it_boosts():
    stage = build_retrieval_stage(CORPUS, None, OPTIONS, visual=VISUAL, late_interaction=SEEN)
    result = stage.search(Query("ice lake"), k=4)
    assert [step.name for step in result.steps][:4] == ["bm25", "visual", "fusion", "guided query"]
    assert sum("guided query" in hit.sources for hit in result.hits) == 3
    assert source_names(result) == ["bm25", "visual", "guided query"]  # as they ran


@pytest.mark.parametrize("names", [("bm25",), ("visual",)])
def test_a_guided_query_needs_both_sides(names: tuple[str, ...]):
    weights = WeightedSumOptions(weights=dict.fromkeys(names, 1.0))
    options = OPTIONS.model_copy(update={"retrievers": names, "fusion": weights})
    with pytest.raises(ConfigError, match="guided_query needs"):
        build_retrieval_stage(CORPUS, None, options, visual=VISUAL, late_interaction=SEEN)
