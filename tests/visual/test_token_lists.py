"""Token retrieval with imputation against a direct computation in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docrag.late_interaction import token_lists as module
from docrag.late_interaction.multivectors import VECTOR_TYPES, VectorType, encode
from docrag.late_interaction.token_lists import TokenLists, make_token_lists, retrieve_tokens
from docrag.late_interaction.view import Selection, VectorPart
from docrag.retrieve.visual.tokens import TokenCandidates

EVERYWHERE = 10_000


def unit_rows(n: int, dim: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def part_of(name: str, sizes: list[int], vector_type: VectorType, seed: int) -> VectorPart:
    vectors = encode([unit_rows(n, 16, seed * 100 + i) for i, n in enumerate(sizes)], vector_type, dim=16)
    zeros = np.zeros(len(sizes), np.int32)
    return VectorPart(name, vectors, zeros, np.arange(len(sizes), dtype=np.int32), zeros, [None] * len(sizes))


def direct_scores(query: np.ndarray, pages: list[np.ndarray], k: int) -> list[float]:
    """The definition, with loops: k best tokens of all pages per query vector, the k-th for all others."""
    scores = [0.0] * len(pages)
    for q in query.astype(np.float64):
        similarities = [(float(q @ v), page) for page, vectors in enumerate(pages) for v in vectors]
        retrieved = sorted(similarities, reverse=True)[:k]
        for page in range(len(pages)):
            own = [similarity for similarity, of in retrieved if of == page]
            scores[page] += max(own) if own else retrieved[-1][0]
    return scores


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
@given(
    sizes=st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=6), min_size=1, max_size=3),
    k=st.integers(1, 40),
    seed=st.integers(0, 999),
    block=st.integers(1, 9),
)
@settings(deadline=None, max_examples=25)
def test_scores_equal_a_direct_computation(vector_type: VectorType, sizes, k, seed, block):
    parts = [part_of(f"s{i}", one, vector_type, seed + i) for i, one in enumerate(sizes)]
    random = np.random.default_rng(seed)
    selections = [Selection(part, np.flatnonzero(random.random(len(part.vectors)) < 0.7)) for part in parts]
    query = unit_rows(4, 16, seed + 7)
    pages = [part.vectors.vectors(row).astype(np.float64) for part, rows in selections for row in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_VECTORS", block)
        got = TokenCandidates(n_probes=EVERYWHERE, k_tokens=k).scores(query, selections)
    flat = np.concatenate(got) if got else np.empty(0)
    if sum(map(len, pages)):
        np.testing.assert_allclose(flat, direct_scores(query, pages, k), atol=1e-4)
    else:
        assert (flat == 0).all()


def test_every_vector_is_in_the_list_of_its_nearest_centroid():
    units = encode([unit_rows(n, 16, n) for n in (300, 0, 500)], "float32", dim=16)
    lists = make_token_lists(units)
    assert sorted(lists.tokens.tolist()) == list(range(800))
    assert lists.starts[-1] == 800
    assert len(lists.centroids) <= 128  # the power of 2 next to 4 √800 = 113
    assert (np.diff(lists.starts) > 0).all()
    centroids = lists.centroids.astype(np.float32)
    for i in range(len(centroids)):
        for token in lists.tokens[lists.starts[i] : lists.starts[i + 1]]:
            products = centroids @ units.codes[token]
            assert products[i] == pytest.approx(products.max(), abs=1e-6)


def test_lists_are_the_same_whenever_they_are_made():
    units = encode([unit_rows(400, 16, 1)], "int8", dim=16)
    a, b = make_token_lists(units), make_token_lists(units)
    assert (a.centroids == b.centroids).all()
    assert (a.tokens == b.tokens).all()


def test_a_rare_vector_among_many_equal_ones_is_found():
    page = np.repeat(np.eye(16, dtype=np.float32)[:1], 500, axis=0)
    page[123] = np.eye(16, dtype=np.float32)[5]
    lists = make_token_lists(encode([page], "float32", dim=16))
    assert len(lists.centroids) <= 2
    assert 123 in lists.near(np.eye(16, dtype=np.float32)[5:6], n_probes=2)


def test_no_vectors_make_no_lists_and_find_nothing():
    units = encode([np.empty((0, 16), np.float32)], "float32", dim=16)
    lists = make_token_lists(units)
    query = unit_rows(2, 16, 1)
    assert lists.near(query, n_probes=4).tolist() == []
    found = retrieve_tokens(query, units, np.array([0]), np.empty(0, np.int64), k=5)
    assert found.top.shape == (2, 0)
    assert np.isneginf(found.best).all()


def test_probing_finds_the_tokens_of_the_nearest_lists_only():
    centroids = np.eye(4, dtype=np.float16)
    lists = TokenLists(centroids, np.array([3, 0, 2, 1], np.int32), np.array([0, 1, 2, 3, 4]))
    query = np.array([[0.9, 0.5, 0, 0], [0, 0, 0.1, 0.9]], np.float32)
    assert lists.near(query, n_probes=1).tolist() == [1, 3]
    assert lists.near(query, n_probes=2).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
def test_single_rows_are_those_of_their_units(vector_type: VectorType):
    units = encode([unit_rows(n, 16, n) for n in (3, 0, 5)], vector_type, dim=16)
    together = np.concatenate([units.vectors(i) for i in range(3)])
    np.testing.assert_allclose(units.rows(np.array([7, 0, 4])), together[[7, 0, 4]], atol=1e-7)
