"""Under three bits a component: rows as one of a few centroids of their unit, and a code for what is left.

In the line of ColBERTv2's residual compression (Santhanam et al. 2022, section 3.3), but with centroids of
every unit's own, so that nothing is trained over a collection and a unit can be added, moved and dropped
alone, and with a lattice in place of levels for each component: at 2.25 bits it loses 0.07 of a residual's
square, where four levels lose 0.12 at 2. Residuals are rotated first, so that any encoder's are alike.

Rows and centroids have unit length, so the angle between them says how long a row's part along its centroid
is and how long the residual across. A stored row is a string of bytes: the centroid, the sine of the angle,
and the indices of the lattice points that the residual is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction import lattice
from docrag.late_interaction.pooling import pool_hierarchically
from docrag.late_interaction.rotation import rotate, rotate_back

VECTORS_PER_CENTROID = 16
"""Vectors of a unit that share a centroid: the shortlist by default wants as many (eval/candidates.py)."""

MOST_CENTROIDS = 256
"""A row names its centroid in a byte."""

HEADER_BYTES = 2
"""The centroid and the sine of a row."""

LARGEST_SINE = 255
"""A sine of 1 as it is stored."""

STEP_SIGMAS = 0.625
"""What a lattice point is multiplied with, in standard deviations of the residual's components: of normal
numbers the codebook then loses least, 0.068 of the square."""

ALONG_WEIGHT = 30
N_TURNS = 6
"""Error along the centroid and the mean weighs 30 times as much; after six turns little of it is left."""

_TINY = np.float32(1e-12)


class Lengths(NamedTuple):
    """How long rows are along their centroids, and what their lattice points are multiplied with."""

    along: NDArray[np.float32]
    steps: NDArray[np.float32]


def n_blocks(dim: int) -> int:
    """Lattice points a row is made of."""
    return -(-dim // lattice.DIM)


def packed_width(dim: int) -> int:
    """Bytes of a stored row."""
    return HEADER_BYTES + lattice.packed_width(n_blocks(dim))


def cluster(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The centroids of a unit, of unit length, and the centroid of each of its vectors."""
    factor = max(VECTORS_PER_CENTROID, -(-len(vectors) // MOST_CENTROIDS))
    return pool_hierarchically(vectors, factor)


def pack(
    vectors: NDArray[np.float32], centroids: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Rows ``(n, packed_width)`` of one unit: what differs in each from the centroid that `labels` names.

    A decoded row is usually a quarter as far from its vector as the centroid is. Lattice points are not all
    the nearest ones: a few are turned so that the error has no part along the centroid and the mean of the
    unit, where questions look that the row is an answer to (as with the loss of Guo et al. 2020, section
    3.2). That halves the variance of scores.
    """
    n, dim = vectors.shape
    codes = np.empty((n, packed_width(dim)), np.uint8)
    if not n:
        return codes
    directions = _unit(centroids)
    cosines = np.clip(np.einsum("ij,ij->i", vectors, directions[labels]), 0, 1)
    codes[:, 0], codes[:, 1] = labels, np.rint(LARGEST_SINE * np.sqrt(1 - cosines**2))
    along, steps = lengths(codes, dim)
    residuals = rotate(np.asarray(vectors - along[:, None] * centroids[labels], np.float32))
    blocks = _blocks(np.where(steps[:, None] > 0, residuals / np.maximum(steps, _TINY)[:, None], 0))
    points = _points(
        blocks,
        [
            _blocks(rotate(directions)[labels]),
            _blocks(np.repeat(rotate(_unit(vectors.mean(axis=0, keepdims=True))), n, axis=0)),
        ],
        n,
    )
    codes[:, HEADER_BYTES:] = lattice.pack_indices(lattice.indices_of(points).reshape(n, -1))
    return codes


def lengths(codes: NDArray[Any], dim: int) -> Lengths:
    """What the angles of stored rows say."""
    sines = codes[:, 1].astype(np.float32) / np.float32(LARGEST_SINE)
    return Lengths(np.sqrt(1 - sines**2), sines * np.float32(STEP_SIGMAS / dim**0.5))


def unpack(codes: NDArray[Any], centroids: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(n, dim)`` vectors of stored rows, given the centroid of each ``(n, dim)``."""
    n, dim = centroids.shape
    indices = np.empty((n, n_blocks(dim)), np.int32)
    lattice.unpack_indices(codes[:, HEADER_BYTES:], n_blocks(dim), indices)
    points = lattice.codebook()[indices].reshape(n, lattice.DIM * n_blocks(dim))[:, :dim]
    along, steps = lengths(codes, dim)
    return along[:, None] * centroids + rotate_back(points * steps[:, None])


def _blocks(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(n * n_blocks, 8)``: rows cut into what a lattice point stands for, zeros at their ends."""
    n, dim = rows.shape
    padded = np.zeros((n, lattice.DIM * n_blocks(dim)), np.float32)
    padded[:, :dim] = rows
    return padded.reshape(-1, lattice.DIM)


def _points(
    blocks: NDArray[np.float32], directions: Sequence[NDArray[np.float32]], n: int
) -> NDArray[np.int8]:
    """``(n * n_blocks, 8)``: the nearest lattice points, a few a row changed for the weighted error.

    The error ``e`` of a row weighs ``|e|² + ALONG_WEIGHT Σ (e · d)²`` over the directions ``d``, given in
    blocks. In each turn the change is made that lowers it most.
    """
    near = lattice.Neighbours(blocks)
    shape = (n, len(blocks) // n, len(lattice.CODEWORDS))
    errors = near.errors(blocks).reshape(shape)
    alongs = [near.along(blocks, direction).reshape(shape) for direction in directions]
    rows, cosets = np.arange(n), errors.argmin(axis=2)
    for _ in range(N_TURNS):
        changes = errors - _chosen(errors, cosets)
        for along in alongs:
            chosen = _chosen(along, cosets)
            moves = along - chosen
            changes += ALONG_WEIGHT * moves * (moves + 2 * chosen.sum(axis=1, keepdims=True))
        best = changes.reshape(n, -1).argmin(axis=1)
        better = changes.reshape(n, -1)[rows, best] < 0
        block, coset = np.divmod(best[better], shape[2])
        cosets[rows[better], block] = coset
    return near.points(cosets.ravel())


def _chosen(values: NDArray[np.float32], cosets: NDArray[np.int64]) -> NDArray[np.float32]:
    """``(n, n_blocks, 1)``: values at the coset of each block."""
    return np.take_along_axis(values, cosets[:, :, None], axis=2)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)
