"""Fixed dimensional encodings against a direct computation with loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docrag.late_interaction.fde import Fde


def unit_rows(n: int, dim: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def direct_inner_product(fde: Fde, query: np.ndarray, document: np.ndarray) -> float:
    """Sum over cuts and query vectors of the product with the mean of the document's vectors in the bucket.

    An empty bucket is stood in for by the document vector with the fewest differing plane signs.
    """
    planes, signs = fde._randomness()
    total = 0.0
    for r in range(fde.n_repetitions):
        normals = planes[:, r * fde.n_planes : (r + 1) * fde.n_planes].astype(np.float64)
        project = signs[:, r * fde.n_projected : (r + 1) * fde.n_projected].astype(np.float64)
        sides = [tuple(v.astype(np.float64) @ normals > 0) for v in document]
        for q in query.astype(np.float64):
            side = tuple(q @ normals > 0)
            members = [document[i] for i, other in enumerate(sides) if other == side]
            if not members:
                differences = [sum(a != b for a, b in zip(side, other, strict=True)) for other in sides]
                members = [document[int(np.argmin(differences))]]
            mean = np.mean(np.asarray(members, np.float64), axis=0)
            total += float((q @ project) @ (mean @ project))
    return total


@given(n_query=st.integers(1, 6), n_document=st.integers(1, 20), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=40)
def test_inner_products_equal_a_direct_computation(n_query: int, n_document: int, seed: int):
    fde = Fde(8, n_repetitions=3, n_planes=3, n_projected=5, seed=seed)
    query, document = unit_rows(n_query, 8, seed), unit_rows(n_document, 8, seed + 1)
    got = float(fde.encode_query(query) @ fde.encode_document(document))
    assert got == pytest.approx(direct_inner_product(fde, query, document), abs=1e-4)


def test_an_encoding_depends_on_the_seed_and_on_nothing_else():
    vectors = unit_rows(30, 16, 1)
    a, b = Fde(16, seed=5), Fde(16, seed=5)
    assert (a.encode_document(vectors) == b.encode_document(vectors)).all()
    assert a.name == b.name == "fde-20x32x16-seed5"
    assert (Fde(16, seed=6).encode_document(vectors) != a.encode_document(vectors)).any()
    assert len(a.encode_query(vectors)) == a.fde_dim == 20 * 32 * 16


def test_order_of_vectors_does_not_change_a_query_and_only_ties_change_a_document():
    fde, vectors = Fde(16), unit_rows(40, 16, 2)
    np.testing.assert_allclose(fde.encode_query(vectors), fde.encode_query(vectors[::-1]), atol=1e-5)


def test_queries_sum_and_documents_average():
    fde, vectors = Fde(8, n_planes=1), unit_rows(5, 8, 3)
    twice = np.concatenate([vectors, vectors])
    np.testing.assert_allclose(fde.encode_query(twice), 2 * fde.encode_query(vectors), atol=1e-4)
    np.testing.assert_allclose(fde.encode_document(twice), fde.encode_document(vectors), atol=1e-5)


def test_only_documents_fill_empty_buckets():
    fde, one = Fde(8, n_repetitions=1, n_planes=3, n_projected=4), unit_rows(1, 8, 4)
    query = fde.encode_query(one).reshape(8, 4)
    document = fde.encode_document(one).reshape(8, 4)
    assert (np.abs(query).sum(axis=1) > 0).sum() == 1
    assert (document == document[0]).all()


def test_nothing_encodes_to_zero():
    fde = Fde(8)
    assert not fde.encode_document(np.empty((0, 8), np.float32)).any()


@given(seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_folding_adds_every_number_to_one_of_few(seed: int):
    """The fold is linear, keeps lengths on average, and is the same for queries and documents."""
    whole = Fde(8, n_repetitions=4, n_planes=2, n_projected=4, seed=seed)
    folded = Fde(8, n_repetitions=4, n_planes=2, n_projected=4, final_dim=16, seed=seed)
    vectors = unit_rows(6, 8, seed)
    document, query = folded.encode_document(vectors), folded.encode_query(vectors)
    assert document.shape == query.shape == (folded.fde_dim,) == (16,)
    fold = np.zeros((16, whole.fde_dim))
    for column in range(whole.fde_dim):
        fold[:, column] = folded._folded(np.eye(whole.fde_dim, dtype=np.float32)[column])
    assert (np.abs(fold).sum(axis=0) == 1).all()
    np.testing.assert_allclose(fold @ whole.encode_document(vectors), document, atol=1e-5)
    np.testing.assert_allclose(fold @ whole.encode_query(vectors), query, atol=1e-4)


def test_folded_inner_products_are_right_on_average():
    query, document = unit_rows(3, 8, 1), unit_rows(9, 8, 2)
    settings_of = {"n_repetitions": 4, "n_planes": 2, "n_projected": 4}
    errors, sizes = [], []
    for seed in range(300):
        whole, folded = Fde(8, **settings_of, seed=seed), Fde(8, **settings_of, final_dim=32, seed=seed)
        exact = float(whole.encode_query(query) @ whole.encode_document(document))
        errors.append(float(folded.encode_query(query) @ folded.encode_document(document)) - exact)
        sizes.append(
            np.linalg.norm(whole.encode_query(query)) * np.linalg.norm(whole.encode_document(document))
        )
    # A count sketch to m numbers has a deviation of at most about sqrt(2 / m) times the lengths' product.
    assert abs(np.mean(errors)) < 4 * np.mean(sizes) * np.sqrt(2 / 32) / np.sqrt(300)
    assert np.std(errors) > 0
