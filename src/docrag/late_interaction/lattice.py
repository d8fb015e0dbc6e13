"""The points of the E8 lattice around the origin as a codebook: eight numbers in 18 bits.

E8 is the densest packing of spheres in eight dimensions; of normal numbers, its points in a ball lose 0.068
of the square at 2.25 bits each, where four levels for a number lose 0.119 and five 0.080 (so used for the
weights of networks in QuIP#; Tseng et al. 2024, section 4). Scaled by √2 it is all integer vectors that
modulo 2 are a codeword of the extended Hamming code, Construction A (Conway and Sloane 1988, chapter 7,
section 2). So it is 16 shifted copies of the grid 2 Z⁸, its cosets, whose nearest points rounding gives.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIM = 8
"""Numbers of a point."""

BITS = 18
"""Of the index of a point in the codebook."""

FULL_SQUARES = 28
"""All points of that squared length or less are in the codebook: 199,921."""

HALF_SQUARES = 32
"""Of the next shell, at that squared length, those whose first number is positive: 57,726 more."""

_GENERATOR = np.array(
    [[1, 0, 0, 0, 0, 1, 1, 1], [0, 1, 0, 0, 1, 0, 1, 1], [0, 0, 1, 0, 1, 1, 0, 1], [0, 0, 0, 1, 1, 1, 1, 0]]
)
CODEWORDS = (np.arange(16)[:, None] >> np.arange(4) & 1) @ _GENERATOR % 2
"""``(16, 8)``: the extended Hamming code, a row for each coset."""

_WHERE_ODD = CODEWORDS.T.astype(np.float32)
_ONES = np.ones((DIM, len(CODEWORDS)), np.float32)

_SHIFTS = np.arange(0, 8, 2, dtype=np.uint8)
_UPPER_BITS = (np.arange(256)[:, None] >> _SHIFTS & 3).astype(np.int32) << 16
"""``(256, 4)``: what a byte adds to four indices."""

_SHRINKING = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.3, 0.1, 0.0)


def _in_codebook(squares: NDArray[Any], first_numbers: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether lattice points of these squared lengths and first numbers are in the codebook."""
    return (squares <= FULL_SQUARES) | ((squares == HALF_SQUARES) & (first_numbers > 0))


@lru_cache(maxsize=1)
def codebook() -> NDArray[np.int8]:
    """``(2 ** BITS, 8) int8``: the points, and zeros at indices that are left over.

    Points are in the order of their bytes read as one little-endian integer.
    """
    cosets: list[NDArray[np.int8]] = []
    most = int(HALF_SQUARES**0.5)
    for codeword in CODEWORDS:
        points, squares = np.zeros((1, 0), np.int8), np.zeros(1, np.int64)
        for parity in codeword:
            numbers = np.array([x for x in range(-most, most + 1) if x % 2 == parity])
            longer = squares[:, None] + numbers**2
            of_point, of_number = np.nonzero(longer <= HALF_SQUARES)
            points = np.column_stack([points[of_point], numbers[of_number].astype(np.int8)])
            squares = longer[of_point, of_number]
        cosets.append(points[_in_codebook(squares, points[:, 0])])
    points = np.concatenate(cosets)
    padded = np.zeros((1 << BITS, DIM), np.int8)
    padded[: len(points)] = points[np.argsort(_keys(points))]
    return padded


@lru_cache(maxsize=1)
def _sorted_keys() -> NDArray[np.int64]:
    n_points = int(np.count_nonzero(codebook().any(axis=1))) + 1  # and the origin
    return _keys(codebook()[:n_points])


def _keys(points: NDArray[np.int8]) -> NDArray[np.int64]:
    return np.ascontiguousarray(points).view("<i8")[:, 0]


def indices_of(points: NDArray[np.int8]) -> NDArray[np.int32]:
    """``(n,)``: where points ``(n, 8)`` of the codebook stand in it."""
    return np.searchsorted(_sorted_keys(), _keys(points)).astype(np.int32)


class Neighbours:
    """For each of ``(n, 8)`` blocks of numbers the nearest point of every coset.

    Where none of these is in the codebook the block is drawn towards the origin until one is.
    """

    def __init__(self, blocks: NDArray[np.float32]) -> None:
        self._even, self._odd = _nearest(blocks)
        self._allowed = _allowed(self._even, self._odd)
        outside = np.flatnonzero(~self._allowed.any(axis=1))
        lengths = np.linalg.norm(blocks, axis=1, keepdims=True)
        reach = np.float32(HALF_SQUARES**0.5) / np.maximum(lengths, np.float32(HALF_SQUARES**0.5))
        for factor in _SHRINKING:
            even, odd = _nearest(blocks[outside] * reach[outside] * np.float32(factor))
            self._even[outside], self._odd[outside] = even, odd
            self._allowed[outside] = allowed = _allowed(even, odd)
            outside = outside[~allowed.any(axis=1)]

    def errors(self, blocks: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(n, 16)``: squared distances of blocks from the points; ∞ for a point not in the codebook."""
        errors = _over_cosets((blocks - self._even) ** 2, (blocks - self._odd) ** 2)
        errors[~self._allowed] = np.inf
        return errors

    def along(self, blocks: NDArray[np.float32], directions: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(n, 16)``: products of what blocks differ from the points by with ``(n, 8)`` directions."""
        return _over_cosets((blocks - self._even) * directions, (blocks - self._odd) * directions)

    def points(self, cosets: NDArray[np.integer[Any]]) -> NDArray[np.int8]:
        """``(n, 8)``: the point of one coset for each block."""
        return np.where(CODEWORDS[cosets], self._odd, self._even).astype(np.int8)


def _nearest(blocks: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The nearest even and the nearest odd integer of each number."""
    even, odd = 2 * np.rint(blocks / 2), 2 * np.rint((blocks - 1) / 2) + 1
    return even.astype(np.float32), odd.astype(np.float32)


def _allowed(even: NDArray[np.float32], odd: NDArray[np.float32]) -> NDArray[np.bool_]:
    """``(n, 16)``: whether the point of each coset is in the codebook."""
    first_numbers = np.where(CODEWORDS[:, 0], odd[:, :1], even[:, :1])
    return _in_codebook(_over_cosets(even**2, odd**2), first_numbers)


def _over_cosets(even: NDArray[np.float32], odd: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(n, 16)``: sums of ``(n, 8)`` terms, of `odd` where a codeword is 1, else of `even`."""
    return np.asarray(even @ _ONES + (odd - even) @ _WHERE_ODD, np.float32)


def packed_width(n_blocks: int) -> int:
    """Bytes that the indices of `n_blocks` points take."""
    return 2 * n_blocks + -(-n_blocks // 4)


def pack_indices(indices: NDArray[np.int32]) -> NDArray[np.uint8]:
    """``(n, packed_width)`` bytes of ``(n, n_blocks)`` indices: lower 16 bits of all, then upper 2 of all."""
    n, n_blocks = indices.shape
    low = (indices & 0xFFFF).astype("<u2").view(np.uint8)
    high = np.zeros((n, -(-n_blocks // 4), 4), np.uint8)
    high.reshape(n, 4 * high.shape[1])[:, :n_blocks] = indices >> 16
    return np.column_stack([low, np.bitwise_or.reduce(high << _SHIFTS, axis=2)])


def unpack_indices(packed: NDArray[np.uint8], n_blocks: int, out: NDArray[np.int32]) -> None:
    """Put the ``(n, n_blocks)`` indices of `pack_indices` into `out`."""
    high = _UPPER_BITS[packed[:, 2 * n_blocks :]].reshape(len(packed), 4 * (packed.shape[1] - 2 * n_blocks))
    low = np.ascontiguousarray(packed[:, : 2 * n_blocks]).view("<u2")
    np.bitwise_or(high[:, :n_blocks], low, out=out)
