"""Screening leaves out nothing that can be among the best, and most of what cannot."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import MultiVectors, VectorType, encode
from docrag.late_interaction.view import VectorPart, VectorView
from docrag.retrieve.visual.ranking import best_units, exact_scores
from docrag.retrieve.visual.recall import measure_recall
from docrag.retrieve.visual.screen import ScreenCandidates, slack
from docrag.types import Document

sys.path.insert(0, str(Path(__file__).parents[2] / "eval"))
from structured_vectors import StructuredPages

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the visual extra")
FLOATS: list[VectorType] = ["float32", "float16"]


@pytest.fixture(params=["numpy", pytest.param("torch", marks=needs_torch)], scope="module")
def kernel(request: pytest.FixtureRequest):
    kernel = MaxSim(request.param, n_threads=2)
    yield kernel
    kernel.close()


def unit_rows(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    rows = rng.standard_normal((n, dim), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def random_page(rng: np.random.Generator, dim: int, _: Sequence[np.ndarray]) -> np.ndarray:
    return unit_rows(rng, int(rng.integers(1, 30)), dim)


def one_vector(rng: np.random.Generator, dim: int, _: Sequence[np.ndarray]) -> np.ndarray:
    return unit_rows(rng, 1, dim)


def no_vectors(_: np.random.Generator, dim: int, __: Sequence[np.ndarray]) -> np.ndarray:
    return np.empty((0, dim), np.float32)


def zero_rows(rng: np.random.Generator, dim: int, _: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros((2, dim), np.float32), unit_rows(rng, int(rng.integers(0, 3)), dim)])


def outlier(rng: np.random.Generator, dim: int, _: Sequence[np.ndarray]) -> np.ndarray:
    """One component so large that int8 keeps nothing of the other rows."""
    page = unit_rows(rng, 5, dim)
    page[0, int(rng.integers(dim))] = rng.choice([-900, 900])
    return page


def equal_to_another(rng: np.random.Generator, dim: int, pages: Sequence[np.ndarray]) -> np.ndarray:
    return pages[int(rng.integers(len(pages)))] if pages else unit_rows(rng, 3, dim)


def nearly_another(rng: np.random.Generator, dim: int, pages: Sequence[np.ndarray]) -> np.ndarray:
    page = equal_to_another(rng, dim, pages)
    return page + rng.standard_normal(page.shape, dtype=np.float32) * np.float32(10.0 ** -rng.integers(2, 6))


MakePage = Callable[[np.random.Generator, int, Sequence[np.ndarray]], np.ndarray]
PAGES: list[MakePage] = [
    random_page,
    one_vector,
    no_vectors,
    zero_rows,
    outlier,
    equal_to_another,
    nearly_another,
]


def make_view(
    parts: Sequence[Sequence[np.ndarray]], vector_type: VectorType, *, dim: int, stored: bool = True
) -> VectorView:
    """Pages numbered through over all parts, with the columns of a screen or without."""
    made: list[VectorPart] = []
    n_pages = 0
    for pages in parts:
        vectors = encode(pages, vector_type, dim=dim)
        numbers = np.arange(n_pages + 1, n_pages + len(pages) + 1, dtype=np.int32)
        zeros = np.zeros(len(pages), np.int32)
        columns = ScreenCandidates(MaxSim("numpy", n_threads=1)).columns(vectors) if stored else {}
        grids = [None] * len(pages)
        made.append(VectorPart(f"s{n_pages}", vectors, zeros, numbers, zeros, grids, columns))
        n_pages += len(pages)
    return VectorView((Document("a.pdf", "id", n_pages, n_pages, (), 1, 1, "p"),), tuple(made))


def page_nos(selections: Sequence[tuple[VectorPart, np.ndarray]]) -> list[int]:
    return [int(no) for part, rows in selections for no in part.page_nos[rows]]


def float64_scores(query: np.ndarray, view: VectorView) -> dict[int, float]:
    """The definition, of what is stored, by page number; pages without vectors are absent."""
    return {
        int(part.page_nos[i]): float((query.astype(np.float64) @ rows.T).max(axis=1).sum())
        for part in view.parts
        for i in range(len(part.vectors))
        for rows in [part.vectors.vectors(i).astype(np.float64)]
        if len(rows)
    }


@pytest.mark.parametrize("vector_type", FLOATS)
@given(
    kinds=st.lists(st.sampled_from(PAGES), min_size=1, max_size=20),
    n_query_vectors=st.integers(1, 6),
    dim=st.sampled_from([2, 8, 128]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=40)
def test_whatever_can_be_among_the_best_is_kept_for_every_k(
    kernel: MaxSim, vector_type: VectorType, kinds: list[MakePage], n_query_vectors: int, dim: int, seed: int
):
    rng = np.random.default_rng(seed)
    pages: list[np.ndarray] = []
    for kind in kinds:
        pages.append(kind(rng, dim, pages))
    view = make_view([pages[: len(pages) // 3], pages[len(pages) // 3 :]], vector_type, dim=dim)
    selections = view.select(view.documents, None, "page")
    query = unit_rows(rng, n_query_vectors, dim)
    scores = float64_scores(query, view)
    screen = ScreenCandidates(kernel)
    for k in range(1, len(pages) + 2):
        kept = set(page_nos(screen.shortlist(query, view, selections, n=k)))
        kth_best = sorted(scores.values(), reverse=True)[:k][-1] if scores else 0
        assert {page for page, score in scores.items() if score >= kth_best - 5e-6} <= kept <= set(scores)


@pytest.mark.parametrize("vector_type", FLOATS)
@given(
    kinds=st.lists(st.sampled_from(PAGES), min_size=1, max_size=8),
    dim=st.sampled_from([2, 8, 128]),
    n_query_vectors=st.integers(1, 6),
    scale=st.sampled_from([1e-3, 1, 50]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=40)
def test_scores_of_the_copy_and_of_floats_are_within_their_bounds(
    kernel: MaxSim, vector_type: VectorType, kinds, dim: int, n_query_vectors: int, scale: float, seed: int
):
    rng = np.random.default_rng(seed)
    pages: list[np.ndarray] = []
    for kind in kinds:
        pages.append(kind(rng, dim, pages))
    view = make_view([pages], vector_type, dim=dim)
    query = unit_rows(rng, n_query_vectors, dim) * np.float32(scale)
    (part,) = view.parts
    codes, scales, residual_norms, row_norms = part.columns.values()
    copy = copy_of(part, codes, scales)
    bounds = slack(query, residual_norms, row_norms)
    floats, screened = kernel.scores([query], part.vectors)[0], kernel.scores([query], copy)[0]
    for page_no, score in float64_scores(query, view).items():
        assert abs(floats[page_no - 1] - score) <= bounds.rounding[page_no - 1]
        assert abs(screened[page_no - 1] - score) <= bounds.screening[page_no - 1]


def copy_of(part: VectorPart, codes: np.ndarray, scales: np.ndarray):

    return MultiVectors(codes, part.vectors.offsets, scales, "int8", part.vectors.dim)


def test_a_page_at_the_very_end_of_its_bound_is_kept(kernel: MaxSim):
    """Its int8 copy scores 0 and it scores 0.0049, all of ρ; half the bound would lose it to 0.004."""
    best = np.array([[1.27, 0.0049]], np.float32)  # in steps of 0.01
    other = np.array([[0.127, 0.004]], np.float32)  # in steps of 0.001: kept whole
    view = make_view([[other, best]], "float32", dim=2)
    query = np.array([[0, 1]], np.float32)
    kept = ScreenCandidates(kernel).shortlist(query, view, view.select(view.documents, None, "page"), n=1)
    assert page_nos(kept) == [1, 2]


def test_a_page_at_the_very_end_of_the_bound_of_the_query_is_kept(kernel: MaxSim):
    """Of this query int8 drops the second component, which is all that the best page has."""
    query = np.array([[1.27, 0.0049]], np.float32)
    best, other = np.array([[0, 1]], np.float32), np.array([[0.004 / 1.27, 0]], np.float32)
    view = make_view([[other, best]], "float32", dim=2)
    kept = ScreenCandidates(kernel).shortlist(query, view, view.select(view.documents, None, "page"), n=1)
    assert page_nos(kept) == [1, 2]


def test_pages_that_tie_with_the_last_are_all_kept(kernel: MaxSim):
    rng = np.random.default_rng(3)
    page, query = unit_rows(rng, 20, 16), unit_rows(rng, 4, 16)
    worse = [-page] * 4
    view = make_view([[*worse, page, page], [page, *worse, page[::-1].copy()]], "float32", dim=16)
    kept = ScreenCandidates(kernel).shortlist(query, view, view.select(view.documents, None, "page"), n=2)
    assert page_nos(kept) == [5, 6, 7, 12]


def test_pages_that_tie_only_once_scores_are_rounded_are_kept(kernel: MaxSim):
    """The copies are all but exact, yet 0.127 and 0.127004 are one score, and the first page wins."""
    pages = [np.array([[0, 0.127]], np.float32), np.array([[0, 0.127004]], np.float32)]
    view = make_view([pages], "float32", dim=2)
    query = np.array([[0, 1]], np.float32)
    kept = ScreenCandidates(kernel).shortlist(query, view, view.select(view.documents, None, "page"), n=1)
    assert page_nos(kept) == [1, 2]
    (best,) = best_units(view, kept, exact_scores(kernel, query, kept), k=1)
    assert best.unit.page_no == 1


N_STRUCTURED = 150


@pytest.fixture(scope="module")
def made() -> StructuredPages:
    return StructuredPages(n_vectors=128)


@pytest.fixture(scope="module", params=FLOATS)
def view(request: pytest.FixtureRequest, made: StructuredPages) -> VectorView:
    pages = [made.page(no) for no in range(1, N_STRUCTURED + 1)]
    return make_view([pages[:50], pages[50:51], pages[51:]], request.param, dim=128)


@pytest.mark.parametrize("scope", [None, [(20, 70), (100, 149)]])
def test_the_best_are_those_of_the_exact_scan(
    kernel: MaxSim, made: StructuredPages, view: VectorView, scope: list[tuple[int, int]] | None
):
    screen = ScreenCandidates(kernel)
    selections = view.select(view.documents, scope, "page")
    inside = set(page_nos(selections))
    for k in (1, 3, 10, 40, 200):
        query = made.query(k % N_STRUCTURED)
        exact = best_units(view, selections, exact_scores(kernel, query, selections), k=k)
        kept = screen.shortlist(query, view, selections, n=k)
        found = best_units(view, kept, exact_scores(kernel, query, kept), k=k)
        assert [scored.unit for scored in found] == [scored.unit for scored in exact]
        assert [scored.score for scored in found] == pytest.approx(
            [scored.score for scored in exact], abs=2e-5
        )
        assert set(page_nos(kept)) <= inside


def test_recall_is_whole_and_most_pages_are_left_out(kernel: MaxSim, made: StructuredPages, view: VectorView):
    screen = ScreenCandidates(kernel)
    queries = [made.query(no) for no in range(1, N_STRUCTURED, 15)]
    assert measure_recall(kernel, screen, view, queries, n=10).recall == 1
    selections = view.select(view.documents, None, "page")
    n_kept = [len(page_nos(screen.shortlist(query, view, selections, n=1))) for query in queries]
    assert max(n_kept) <= N_STRUCTURED / 3


def test_an_index_written_without_the_copy_gets_it_at_the_first_query(
    kernel: MaxSim, made: StructuredPages, view: VectorView
):
    pages = [[part.vectors.vectors(i) for i in range(len(part.vectors))] for part in view.parts]
    vector_type = view.parts[0].vectors.vector_type
    bare = make_view(pages, vector_type, dim=128, stored=False)
    kept = [
        page_nos(
            ScreenCandidates(kernel).shortlist(
                made.query(7), one, one.select(one.documents, None, "page"), n=5
            )
        )
        for one in (view, bare)
    ]
    assert kept[0] == kept[1]


def test_nothing_selected_leaves_nothing(kernel: MaxSim):
    view = make_view([[np.eye(2, dtype=np.float32)]], "float32", dim=2)
    assert ScreenCandidates(kernel).shortlist(np.eye(2, dtype=np.float32), view, [], n=3) == []


@pytest.mark.parametrize("vector_type", ["int8", "1-bit"])
def test_vectors_that_are_integers_already_are_refused(vector_type: VectorType):
    vectors = encode([np.eye(8, dtype=np.float32)], vector_type, dim=8)
    with pytest.raises(ValueError, match=f"for float32 and float16, got {vector_type}"):
        ScreenCandidates(MaxSim("numpy", n_threads=1)).columns(vectors)
