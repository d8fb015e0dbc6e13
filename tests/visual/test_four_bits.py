from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docrag.late_interaction import four_bits
from docrag.late_interaction.multivectors import encode
from docrag.late_interaction.rotation import rotate, rotate_back

FLOAT_ERROR = 1e-5


def unit_rows(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    rows = rng.standard_normal((n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(dim=st.integers(1, 400), n=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_a_rotation_keeps_products_and_is_undone(dim, n, seed):
    rows = unit_rows(np.random.default_rng(seed), n, dim)
    rotated = rotate(rows)
    np.testing.assert_allclose(rotated @ rotated.T, rows @ rows.T, atol=FLOAT_ERROR)
    np.testing.assert_allclose(rotate_back(rotated), rows, atol=FLOAT_ERROR)


def test_a_rotation_spreads_a_single_large_component():
    spike = np.zeros((1, 256), np.float32)
    spike[0, 7] = 1
    assert np.abs(rotate(spike)).max() < 0.1  # √(2 / 256) = 0.088 for a cosine of 1


@given(dim=st.integers(1, 200), n=st.integers(1, 30), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_components_within_the_levels_are_off_by_half_a_step_at_most(dim, n, seed):
    rows = unit_rows(np.random.default_rng(seed), n, dim)
    codes, scale = four_bits.pack(rows)
    assert codes.shape == (n, -(-dim // 2))
    rotated = rotate(rows)
    stored = rotate(four_bits.unpack(codes, dim) * np.float32(scale))
    inside = np.abs(rotated) <= 16 * scale
    assert (np.abs(stored - rotated)[inside] <= scale + FLOAT_ERROR).all()
    assert (np.abs(stored[~inside]) >= 15 * scale - FLOAT_ERROR).all()  # the outermost level


@pytest.mark.parametrize("dim", [128, 321, 2048])
def test_normal_components_lose_little_more_than_a_hundredth_of_their_square(dim: int):
    """0.01154 is what sixteen even levels lose of a normal distribution (Max 1960)."""
    rows = unit_rows(np.random.default_rng(3), 300, dim)
    stored = encode([rows], "4-bit", dim=dim).vectors(0)
    assert ((stored - rows) ** 2).sum() / (rows**2).sum() == pytest.approx(0.0115, abs=0.0015)


def test_a_row_by_hand():
    """Of dimension 1 the rotation only turns signs: the largest component is on the outermost level."""
    sign = float(rotate(np.ones((1, 1), np.float32))[0, 0])
    codes, scale = four_bits.pack(np.array([[1.0], [-1.0], [0.4]], np.float32) * sign)
    # Steps of 0.3352 standard deviations are larger here than 2 / 15, which reaches the largest component.
    assert scale == pytest.approx(1 / 15)
    assert codes.tolist() == [[15], [0], [11]]  # 0.4 lies between 3 and 4 steps up: level 7 of 15 is 0.467
    np.testing.assert_allclose(four_bits.unpack(codes, 1) * scale * sign, [[1], [-1], [7 / 15]], atol=1e-6)


def test_zeros_stay_zeros_and_nothing_stays_nothing():
    units = encode([np.zeros((3, 6), np.float32), np.zeros((0, 6), np.float32)], "4-bit", dim=6)
    assert (units.vectors(0) == 0).all()
    assert units.vectors(1).shape == (0, 6)


def test_four_bits_take_half_of_int8():
    rows = unit_rows(np.random.default_rng(4), 10, 128)
    assert encode([rows], "4-bit", dim=128).nbytes * 2 == encode([rows], "int8", dim=128).nbytes
