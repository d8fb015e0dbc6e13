from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score

from docrag.late_interaction.pooling import pool_hierarchically


def unit_rows(n: int, dim: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(n=st.integers(4, 60), factor=st.integers(2, 5), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=30)
def test_clusters_are_those_of_scikit_learn_and_vectors_their_unit_means(n: int, factor: int, seed: int):
    vectors = unit_rows(n, 16, seed)
    pooled, labels = pool_hierarchically(vectors, factor)
    expected = AgglomerativeClustering(n_clusters=max(n // factor, 1), linkage="ward").fit_predict(vectors)
    assert adjusted_rand_score(expected, labels) == pytest.approx(1)
    for cluster in range(len(pooled)):
        mean = vectors[labels == cluster].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(pooled[cluster], mean / np.linalg.norm(mean), atol=1e-5)


def test_pooled_vectors_stand_in_order_of_their_first_member():
    _, labels = pool_hierarchically(unit_rows(40, 8, 1), 3)
    first_places = [labels.tolist().index(cluster) for cluster in range(labels.max() + 1)]
    assert first_places == sorted(first_places)


def test_order_of_input_does_not_change_the_pooled_vectors():
    vectors = unit_rows(30, 8, 2)
    shuffled = vectors[np.random.default_rng(3).permutation(30)]
    a, b = (pool_hierarchically(v, 3)[0] for v in (vectors, shuffled))
    np.testing.assert_allclose(np.sort(a, axis=0), np.sort(b, axis=0), atol=1e-6)


@pytest.mark.parametrize(("n", "factor"), [(0, 3), (1, 3), (5, 1)])
def test_nothing_to_pool_changes_nothing(n: int, factor: int):
    vectors = unit_rows(n, 4, 4)
    pooled, labels = pool_hierarchically(vectors, factor)
    assert (pooled == vectors).all()
    assert labels.tolist() == list(range(n))


def test_opposite_vectors_pool_to_a_unit_vector():
    pooled, _ = pool_hierarchically(np.array([[1, 0], [-1, 0]], np.float32), 2)
    assert np.linalg.norm(pooled[0]) == pytest.approx(1)


def test_a_factor_below_one_is_refused():
    with pytest.raises(ValueError, match="got a pooling factor of 0"):
        pool_hierarchically(unit_rows(3, 4, 5), 0)
