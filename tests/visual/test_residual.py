"""Residuals: what a decoded row may be off by, whatever the unit looks like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import MultiVectors, concatenate, encode
from docrag.late_interaction.pooling import pool_hierarchically
from docrag.late_interaction.rotation import rotate, rotate_back

FLOAT_ERROR = 1e-5


def unit_rows(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    rows = rng.standard_normal((n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def nearby_rows(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """Rows around a few directions, as patches of a page are."""
    rows = unit_rows(rng, 5, dim)[rng.integers(0, 5, n)] + 0.5 * unit_rows(rng, n, dim)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def as_scored(query: np.ndarray) -> np.ndarray:
    """The query as the kernel uses it: rotated, then rounded to int8 row by row."""
    rotated = rotate(query).astype(np.float64)
    scales = np.abs(rotated).max(axis=1, keepdims=True) / 127
    return rotate_back(np.rint(rotated / scales) * scales)


def centroids_of_rows(units: MultiVectors, index: int) -> np.ndarray:
    assert units.centroids is not None
    rows = units.codes[units.offsets[index] : units.offsets[index + 1]]
    return units.centroids.vectors(index)[rows[:, 0]]


def across_centroids(units: MultiVectors, index: int, page: np.ndarray) -> np.ndarray:
    """What rows have at right angles to their centroids, or all of them where they point the other way."""
    centroids = centroids_of_rows(units, index)
    centroids = centroids / np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-9)
    along = np.maximum((page * centroids).sum(axis=1, keepdims=True), 0)
    return page - along * centroids


@given(
    sizes=st.lists(st.integers(0, 70), min_size=1, max_size=5),
    dim=st.sampled_from([1, 3, 8, 20, 128]),
    shape=st.sampled_from([unit_rows, nearby_rows]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=60)
def test_a_decoded_row_is_nearer_than_its_part_along_the_centroid(sizes, dim, shape, seed):
    rng = np.random.default_rng(seed)
    pages = [shape(rng, n, dim) for n in sizes]
    units = encode(pages, "residual", dim=dim)
    assert units.n_vectors.tolist() == sizes
    for i, page in enumerate(pages):
        error = np.linalg.norm(units.vectors(i) - page, axis=1)
        assert (error <= np.linalg.norm(across_centroids(units, i, page), axis=1) + 0.02).all()


@pytest.mark.parametrize("dim", [64, 128, 321, 2048])
def test_the_error_is_about_a_quarter_of_the_distance_to_the_centroid(dim: int):
    """√0.068 = 0.26 is what the lattice leaves of normal components; turning adds a little."""
    page = nearby_rows(np.random.default_rng(3), 200, dim)
    units = encode([page], "residual", dim=dim)
    error = np.linalg.norm(units.vectors(0) - page, axis=1)
    distance = np.linalg.norm(across_centroids(units, 0, page), axis=1)
    assert 0.25 < (error / distance).mean() < 0.3
    assert (error / distance).max() < 0.5


def test_little_of_the_error_lies_along_the_centroid_and_the_mean():
    """Blind rounding would put as much there as in any direction, 1 / √128 of the error."""
    page = nearby_rows(np.random.default_rng(4), 400, 128)
    units = encode([page], "residual", dim=128)
    errors = units.vectors(0) - page
    blind = np.linalg.norm(errors, axis=1).mean() / np.sqrt(128)
    mean = page.mean(axis=0) / np.linalg.norm(page.mean(axis=0))
    assert np.abs((errors * centroids_of_rows(units, 0)).sum(axis=1)).mean() < 0.4 * blind
    assert np.abs(errors @ mean).mean() < 0.4 * blind


def test_what_four_bits_lose_of_a_centroid_its_rows_get_back():
    """Equal rows are their centroid; what it is off by, about 0.107, is their residual: 0.26 stay."""
    page = np.repeat(unit_rows(np.random.default_rng(5), 1, 128), 40, axis=0)
    units = encode([page, np.zeros((3, 128), np.float32)], "residual", dim=128)
    assert np.linalg.norm(units.vectors(0) - page, axis=1).max() < 0.05
    assert (units.vectors(1) == 0).all()


def test_a_unit_of_one_row_keeps_more_than_four_bits_alone_do():
    page = unit_rows(np.random.default_rng(6), 1, 320)
    packed, rounded = encode([page], "residual", dim=320), encode([page], "4-bit", dim=320)
    assert np.linalg.norm(packed.vectors(0) - page) < 0.5 * np.linalg.norm(rounded.vectors(0) - page)


def test_a_rare_row_keeps_its_similarity():
    """One patch unlike all others shares a centroid with others; its own step keeps what it shows."""
    rng = np.random.default_rng(7)
    page = nearby_rows(rng, 300, 128)
    page[123] = unit_rows(rng, 1, 128)
    units = encode([page], "residual", dim=128)
    assert float(units.vectors(0)[123] @ page[123]) == pytest.approx(1, abs=0.1)


def test_bytes_of_a_row_and_of_centroids():
    """1,030 rows of 2 + 36 bytes and a sixteenth as many centroids of 64: 0.164 of float16."""
    page = nearby_rows(np.random.default_rng(8), 1030, 128)
    units = encode([page], "residual", dim=128)
    assert units.centroids is not None
    assert units.codes.nbytes == 1030 * 38
    assert units.nbytes == 1030 * 38 + len(units.centroids.codes) * 64
    assert units.nbytes <= 1030 * 128 * 2 / 6


def test_centroids_are_the_pooled_vectors_in_four_bits():
    page = nearby_rows(np.random.default_rng(9), 320, 32)
    units = encode([page], "residual", dim=32)
    assert units.centroids is not None
    pooled = encode([pool_hierarchically(page, 16)[0]], "4-bit", dim=32)
    assert (units.centroids.codes == pooled.codes).all()
    assert units.centroids.scales == pooled.scales


def test_a_long_unit_has_centroids_that_a_byte_can_name():
    page = unit_rows(np.random.default_rng(10), 4400, 4)
    units = encode([page], "residual", dim=4)
    assert units.centroids is not None
    assert len(units.centroids.codes) <= 256
    assert np.linalg.norm(units.vectors(0) - page, axis=1).mean() < 0.1


def test_units_are_the_same_wherever_they_stand_and_when_taken_and_joined():
    rng = np.random.default_rng(11)
    pages = [nearby_rows(rng, n, 20) for n in (40, 0, 1, 33)]
    units = encode(pages, "residual", dim=20)
    order = [3, 1, 0, 2]
    for other in (
        units.take(order),
        encode([pages[i] for i in order], "residual", dim=20),
        concatenate([units.take([3]), units.take([1, 0]), units.take([]), units.take([2])]),
    ):
        for place, i in enumerate(order):
            assert (other.vectors(place) == units.vectors(i)).all()
    assert units.take([]).n_vectors.tolist() == []


@pytest.mark.parametrize("dim", [5, 320, 2048])
def test_scores_are_those_of_decoded_vectors_in_any_dimension(dim: int):
    rng = np.random.default_rng(12)
    pages = [nearby_rows(rng, n, dim) for n in (50, 1, 0, 17)]
    query = unit_rows(rng, 6, dim)
    units = encode(pages, "residual", dim=dim)
    kernel = MaxSim("numpy", n_threads=2)
    (scores,) = kernel.scores([query], units)
    kernel.close()
    query = as_scored(query)
    decoded = [units.vectors(i).astype(np.float64) for i in (0, 1, 3)]
    expected = [(query @ page.T).max(axis=1).sum() for page in decoded]
    np.testing.assert_allclose(scores[[0, 1, 3]], expected, atol=1e-5)
    assert np.isneginf(scores[2])


@pytest.mark.parametrize(("vector_type", "has"), [("int8", "with"), ("residual", "without")])
def test_centroids_belong_to_residuals_only(vector_type, has: str):
    units = encode([np.eye(4, dtype=np.float32)], vector_type, dim=4)
    centroids = encode([np.eye(4, dtype=np.float32)], "4-bit", dim=4) if has == "with" else None
    with pytest.raises(ValueError, match=f"{vector_type} vectors {has} centroids"):
        MultiVectors(units.codes, units.offsets, units.scales, vector_type, 4, centroids=centroids)


def test_centroids_of_other_units_are_refused():
    units = encode([np.eye(4, dtype=np.float32)] * 2, "residual", dim=4)
    assert units.centroids is not None
    with pytest.raises(ValueError, match="centroids of 1 units of dimension 4 do not fit 2 units"):
        MultiVectors(
            units.codes, units.offsets, units.scales, "residual", 4, centroids=units.centroids.take([0])
        )
