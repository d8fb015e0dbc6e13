"""Shortlists on made-up pages with planted needles: every stage keeps what exact scoring finds."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from docrag.late_interaction.fde import Fde
from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import encode
from docrag.late_interaction.view import VectorPart, VectorView
from docrag.retrieve.visual.candidates import (
    Candidates,
    CentroidCandidates,
    Exact,
    FdeCandidates,
    PooledCandidates,
)
from docrag.retrieve.visual.ranking import best_units, exact_scores
from docrag.retrieve.visual.recall import measure_recall, sample_queries
from docrag.retrieve.visual.tokens import TokenCandidates
from docrag.types import Document

sys.path.insert(0, str(Path(__file__).parents[2] / "eval"))
from structured_vectors import DIM, StructuredPages

N_PAGES = 120
KERNEL = MaxSim("numpy", n_threads=2)
POOLED, FDE, TOKENS = PooledCandidates(KERNEL, pool_factor=4), FdeCandidates(Fde(DIM)), TokenCandidates()


@pytest.fixture(scope="module")
def made() -> StructuredPages:
    return StructuredPages(n_vectors=256)


@pytest.fixture(scope="module")
def view(made: StructuredPages) -> VectorView:
    document = Document("a.pdf", "id", N_PAGES, N_PAGES, (), 1, 1, "p")
    parts = []
    for start in range(0, N_PAGES, 40):
        numbers = np.arange(start + 1, start + 41, dtype=np.int32)
        vectors = encode([made.page(int(n)) for n in numbers], "float16", dim=DIM)
        zeros = np.zeros(40, np.int32)
        parts.append(VectorPart(f"s{start}", vectors, zeros, numbers, zeros, [None] * 40))
    return VectorView((document,), tuple(parts))


@pytest.mark.parametrize(
    ("candidates", "least_recall"),
    [
        (Exact(), 1.0),
        (POOLED, 0.9),
        (PooledCandidates(KERNEL, pool_factor=4, vector_type="int8"), 0.9),
        (PooledCandidates(KERNEL, pool_factor=1), 0.9),
        (FDE, 0.8),  # a third of the pages drawn blindly would give 0.33
        (FdeCandidates(Fde(DIM, n_planes=3, n_projected=8)), 0.4),
        (TOKENS, 0.95),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else "",
)
def test_recall_against_the_exact_scan(
    made: StructuredPages, view: VectorView, candidates: Candidates, least_recall: float
):
    queries = [made.query(n) for n in range(5, N_PAGES, 6)]
    found = measure_recall(KERNEL, candidates, view, queries, n=40)
    assert found.n_queries == 20
    assert found.recall >= least_recall
    assert found.needle_hit >= 0.95


@pytest.fixture(scope="module")
def packed_view(view: VectorView) -> VectorView:
    """The same pages, as residuals."""
    parts = [
        dataclasses.replace(
            part, vectors=encode([part.vectors.vectors(i) for i in range(40)], "residual", dim=DIM)
        )
        for part in view.parts
    ]
    return VectorView(view.documents, parts)


def test_centroids_and_residuals_keep_what_float16_finds(
    made: StructuredPages, view: VectorView, packed_view: VectorView
):
    """Shortlist and exact scores of residuals, beside the exact scan of float16.

    16 centroids for the 64 directions of a page are few: with the 64 that longer pages have, 0.95 is kept.
    """
    everything = view.select(view.documents, None, "page")
    packed = packed_view.select(packed_view.documents, None, "page")
    candidates, shared, hits = CentroidCandidates(KERNEL), 0, 0
    numbers = range(5, N_PAGES, 6)
    for n in numbers:
        query = made.query(n)
        truth = best_units(view, everything, exact_scores(KERNEL, query, everything), k=10)
        short = candidates.shortlist(query, packed_view, packed, n=40)
        found = best_units(packed_view, short, exact_scores(KERNEL, query, short), k=10)
        shared += len({one.unit for one in truth} & {one.unit for one in found})
        hits += found[0].unit == truth[0].unit
    assert shared >= 0.85 * 10 * len(numbers)
    assert hits == len(numbers)


def test_sampled_queries_are_stored_vectors_of_different_pages(view: VectorView):
    queries = sample_queries(view, n_queries=N_PAGES + 5, n_vectors=3, seed=1)
    assert len(queries) == N_PAGES
    stored = {
        row.tobytes(): int(part.page_nos[i])
        for part in view.parts
        for i in range(40)
        for row in part.vectors.vectors(i)
    }
    pages = [{stored[row.tobytes()] for row in query} for query in queries]
    assert all(query.shape == (3, DIM) and len(on) == 1 for query, on in zip(queries, pages, strict=True))
    assert len(set().union(*pages)) == N_PAGES
    again = sample_queries(view, n_queries=2, n_vectors=3, seed=1)
    assert all((a == b).all() for a, b in zip(queries, again, strict=False))
    other = sample_queries(view, n_queries=2, n_vectors=3, seed=2)
    assert not all((a == b).all() for a, b in zip(again, other, strict=True))


def test_a_page_with_few_vectors_or_none_makes_short_queries_or_none():
    vectors = encode([np.eye(4, dtype=np.float32)[:2], np.empty((0, 4), np.float32)], "float32", dim=4)
    numbers, zeros = np.array([1, 2], np.int32), np.zeros(2, np.int32)
    document = Document("a.pdf", "id", 2, 2, (), 1, 1, "p")
    view = VectorView((document,), (VectorPart("s", vectors, zeros, numbers, zeros, [None] * 2),))
    (query,) = sample_queries(view, n_queries=9)
    assert sorted(query.tolist()) == [[0, 1, 0, 0], [1, 0, 0, 0]]


def test_a_shortlist_by_centroids_stays_within_the_selection(made: StructuredPages, packed_view: VectorView):
    selection = packed_view.select(packed_view.documents, [(10, 40), (100, 110)], "page")
    chosen = CentroidCandidates(KERNEL).shortlist(made.query(20), packed_view, selection, n=12)
    pages = np.concatenate([part.page_nos[rows] for part, rows in chosen])
    assert len(pages) == 12
    assert 20 in pages
    assert (((pages >= 10) & (pages <= 40)) | ((pages >= 100) & (pages <= 110))).all()


def test_vectors_without_centroids_are_refused(made: StructuredPages, view: VectorView):
    selection = view.select(view.documents, None, "page")
    with pytest.raises(ValueError, match="segment s0 holds float16 vectors, which have no centroids"):
        CentroidCandidates(KERNEL).shortlist(made.query(20), view, selection, n=12)


@pytest.mark.parametrize("candidates", [POOLED, FDE, TOKENS], ids=lambda stage: stage.name)
def test_every_other_stage_works_over_residuals(
    made: StructuredPages, packed_view: VectorView, candidates: Candidates
):
    queries = [made.query(n) for n in range(5, N_PAGES, 12)]
    found = measure_recall(KERNEL, candidates, packed_view, queries, n=40)
    assert found.recall >= 0.8
    assert found.needle_hit == 1


def test_the_planted_page_is_the_exact_best(made: StructuredPages, view: VectorView):
    for n in (7, 60, 119):
        (best, *_) = sorted(
            ((float(score), int(part.page_nos[row])) for part in view.parts
             for row, score in enumerate(KERNEL.scores([made.query(n)], part.vectors)[0])), reverse=True,
        )  # fmt: skip
        assert best[1] == n


def test_stored_columns_and_columns_made_on_the_fly_shortlist_alike(made: StructuredPages, view: VectorView):
    query = made.query(42)
    for candidates in (POOLED, FDE, TOKENS):
        parts = [
            VectorPart(f"stored-{p.name}", p.vectors, p.doc_indices, p.page_nos, p.chunk_nos, p.grids,
                       candidates.columns(p.vectors))
            for p in view.parts
        ]  # fmt: skip
        stored = VectorView(view.documents, parts)
        results = []
        for one in (view, stored):
            rows = candidates.shortlist(query, one, one.select(one.documents, None, "page"), n=30)
            results.append([part.page_nos[chosen].tolist() for part, chosen in rows])
        assert results[0] == results[1]
        assert sum(map(len, results[0])) == 30


def test_a_shortlist_stays_within_the_selection(made: StructuredPages, view: VectorView):
    selection = view.select(view.documents, [(10, 40), (100, 110)], "page")
    for candidates in (POOLED, FDE, TOKENS):
        chosen = candidates.shortlist(made.query(90), view, selection, n=12)
        pages = np.concatenate([part.page_nos[rows] for part, rows in chosen])
        assert len(pages) == 12
        assert (((pages >= 10) & (pages <= 40)) | ((pages >= 100) & (pages <= 110))).all()
