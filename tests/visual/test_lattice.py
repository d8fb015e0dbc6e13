"""The E8 codebook against what is known of the lattice, and against trying every point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docrag.late_interaction.lattice import (
    Neighbours,
    codebook,
    indices_of,
    pack_indices,
    packed_width,
    unpack_indices,
)

THETA_SERIES = {0: 1, 4: 240, 8: 2160, 12: 6720, 16: 17520, 20: 30240, 24: 60480, 28: 82560, 32: 140_400}
"""Points of E8 by squared length, scaled by √2 (Conway and Sloane 1988, chapter 4, table 4.9)."""


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Every point of the codebook, as integers."""
    others = codebook()[codebook().any(axis=1)]
    return np.concatenate([np.zeros((1, 8), int), others])


def normal_blocks(rng: np.random.Generator, n: int, spread: float) -> np.ndarray:
    return (spread * rng.standard_normal((n, 8))).astype(np.float32)


def test_shells_have_as_many_points_as_the_lattice(points: np.ndarray):
    squares = (points**2).sum(axis=1)
    assert {s: int((squares == s).sum()) for s in THETA_SERIES if s < 32} == {
        s: n for s, n in THETA_SERIES.items() if s < 32
    }
    assert squares.max() == 32
    assert len(np.unique(points, axis=0)) == len(points) <= 2**18


def test_the_outer_shell_is_cut_in_half_by_its_first_number(points: np.ndarray):
    outer = points[(points**2).sum(axis=1) == 32]
    assert (outer[:, 0] > 0).all()
    # A shell looks alike along every axis: squares of first numbers add up to an eighth of all squares, and
    # half of that belongs to the points whose opposite is left out.
    assert (outer[:, 0] ** 2).sum() == THETA_SERIES[32] * 32 / 8 / 2


def test_points_are_those_of_an_even_unimodular_lattice(points: np.ndarray):
    """Divided by √2, products are whole and squares even: in eight dimensions only E8 is that."""
    some = points[np.random.default_rng(0).integers(0, len(points), 2000)]
    assert (some @ some.T % 2 == 0).all()
    assert ((some**2).sum(axis=1) % 4 == 0).all()


def test_indices_find_every_point(points: np.ndarray):
    indices = indices_of(points.astype(np.int8))
    assert (codebook()[indices] == points).all()
    assert len(np.unique(indices)) == len(points)


@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0.1, 8))
@settings(deadline=None, max_examples=20)
def test_the_point_found_is_the_nearest_wherever_the_lattice_has_that_in_the_codebook(
    points: np.ndarray, seed: int, spread: float
):
    blocks = normal_blocks(np.random.default_rng(seed), 20, spread)
    near = Neighbours(blocks)
    errors = near.errors(blocks)
    found = near.points(errors.argmin(axis=1))
    assert (codebook()[indices_of(found)] == found).all()
    exact = blocks.astype(np.float64)
    distances = ((exact - found) ** 2).sum(axis=1)
    np.testing.assert_allclose(errors.min(axis=1), distances, rtol=1e-4, atol=1e-4)
    squares = (exact**2).sum(axis=1)
    best = ((points**2).sum(axis=1) - 2 * exact @ points.T).min(axis=1) + squares
    assert (distances >= best - 1e-4).all()
    # No place is farther than √2 from the lattice, so up to √28 − √2 the nearest point is within √28.
    inside = squares <= (28**0.5 - 2**0.5) ** 2
    np.testing.assert_allclose(distances[inside], best[inside], atol=1e-4)
    np.testing.assert_array_less(distances[~inside], 2 * best[~inside] + 4)


def test_products_with_directions_are_those_of_what_points_leave():
    rng = np.random.default_rng(1)
    blocks, directions = normal_blocks(rng, 30, 1.6), normal_blocks(rng, 30, 1)
    near = Neighbours(blocks)
    along = near.along(blocks, directions)
    for coset in range(16):
        left = blocks - near.points(np.full(30, coset))
        np.testing.assert_allclose(along[:, coset], (left * directions).sum(axis=1), atol=1e-4)


def test_normal_numbers_lose_under_seven_hundredths_of_their_square():
    """At 2.25 bits no code loses less than 2 ** -4.5 = 0.044; five levels a number, 2.32 bits, lose 0.080."""
    blocks = normal_blocks(np.random.default_rng(2), 20_000, 1.6)
    errors = Neighbours(blocks).errors(blocks).min(axis=1)
    assert 0.044 < errors.sum() / (blocks**2).sum() < 0.07


def test_a_block_far_out_gets_a_point_in_its_direction():
    block = np.array([[1000, 0, 0, 0, 0, 0, 0, 0], [0, -300, 0, 0, 300, 0, 0, 0]], np.float32)
    near = Neighbours(block)
    found = near.points(near.errors(block).argmin(axis=1)).astype(float)
    cosines = (found * block).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(block, axis=1)
    assert (cosines > 0.8).all()


@given(n=st.integers(0, 4), n_blocks=st.integers(1, 41), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_indices_come_out_of_their_bytes(n: int, n_blocks: int, seed: int):
    indices = np.random.default_rng(seed).integers(0, 2**18, (n, n_blocks)).astype(np.int32)
    packed = pack_indices(indices)
    assert packed.shape == (n, packed_width(n_blocks))
    assert packed.shape[1] * 8 - 18 * n_blocks < 8
    out = np.empty((n, n_blocks), np.int32)
    unpack_indices(packed, n_blocks, out)
    assert (out == indices).all()


def test_bytes_of_indices_by_hand():
    packed = pack_indices(np.array([[0x3ABCD, 0x00001, 0x10000, 0x2FFFF, 0x3FFFF]], np.int32))
    # Two bytes for each lower half; then the upper bits of the first four, 3, 0, 1, 2, and of the fifth, 3.
    low = [0xCD, 0xAB, 0x01, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF]
    first, second = 3 | 1 << 4 | 2 << 6, 3
    assert packed.tolist() == [[*low, first, second]]
