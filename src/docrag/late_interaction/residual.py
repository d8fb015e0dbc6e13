"""Two bits a component: rows as one of a few centroids of their unit, and what is left, coarsely quantised.

In the line of ColBERTv2's residual compression (Santhanam et al. 2022, section 3.3), but with centroids of
every unit's own, so that nothing is trained over a collection and a unit can be added, moved and dropped
alone. The residual is turned by a fixed random rotation first (as in RaBitQ; Gao and Long 2024, section 3.1):
its components then look like draws from one normal distribution whatever the encoder's dimensions mean, and
four evenly spaced levels serve them all.

A stored row is a string of bytes: the centroid, the step between two levels, and four components to a byte.
Byte ``j`` of these ``w`` bytes holds components ``j``, ``j + w``, ``j + 2 w`` and ``j + 3 w``, the first in
its lowest bits: components are unpacked by shifting whole arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.pooling import pool_hierarchically

VECTORS_PER_CENTROID = 16
"""Vectors of a unit that share a centroid: the shortlist by default wants as many (eval/candidates.py)."""

MOST_CENTROIDS = 256
"""A row names its centroid in a byte."""

HEADER_BYTES = 2
"""The centroid and the step of a row."""

STEP_SIGMAS = 0.9957
"""Distance of the levels in standard deviations: the best of four even levels for a normal distribution
(Max 1960, table II). What is lost is 11.9 % of the residual's square; uneven levels would lose 11.8 %."""

LEVEL_SHIFT = 1.5
"""Levels are −1.5, −0.5, 0.5 and 1.5 steps; stored are 0 to 3."""

MOST_STEP = 255

ALONG_WEIGHT = 30
N_TURNS = 6
"""Error along the centroid and the mean weighs 30 times as much; after six turns little of it is left."""

SEED = 42
_TINY = 1e-12


class Packed(NamedTuple):
    """One unit: ``(n, 2 + w) uint8`` rows, and what a step of 1 is."""

    codes: NDArray[np.uint8]
    scale: float


def packed_width(dim: int) -> int:
    """Bytes of a row's components."""
    return -(-dim // 4)


def cluster(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The centroids of a unit, of unit length, and the centroid of each of its vectors."""
    factor = max(VECTORS_PER_CENTROID, -(-len(vectors) // MOST_CENTROIDS))
    return pool_hierarchically(vectors, factor)


def pack(vectors: NDArray[np.float32], centroids: NDArray[np.float32], labels: NDArray[np.int64]) -> Packed:
    """Quantise what differs in each row of one unit from the centroid that `labels` names.

    A decoded row is never farther from its vector than the centroid is, and usually a third as far. Levels
    are not all the nearest ones: a few are turned so that the error has no part along the centroid and the
    mean of the unit, where questions look that the row is an answer to (as with the loss of Guo et al. 2020,
    section 3.2). That halves the variance of scores.
    """
    residuals = rotate(vectors - centroids[labels])
    mean = vectors.mean(axis=0, keepdims=True) if len(vectors) else vectors
    directions = _unit(rotate(centroids))[labels], _unit(rotate(mean))
    sigmas = np.sqrt((residuals**2).mean(axis=1, keepdims=True))
    levels = np.clip(np.floor(residuals / np.maximum(sigmas * STEP_SIGMAS, _TINY)), -2, 1) + LEVEL_SHIFT - 1
    steps = _best_steps(residuals, levels)
    scale = float(steps.max(initial=0)) / MOST_STEP or 1.0
    levels = _turned(residuals, levels, np.rint(steps / scale) * np.float32(scale), directions)
    steps = np.clip(np.rint(_best_steps(residuals, levels) / scale), 0, MOST_STEP)
    width = packed_width(vectors.shape[1])
    numbers = np.zeros((len(vectors), 4 * width), np.uint8)
    numbers[:, : vectors.shape[1]] = levels + LEVEL_SHIFT
    codes = np.empty((len(vectors), HEADER_BYTES + width), np.uint8)
    codes[:, 0], codes[:, 1] = labels, steps[:, 0]
    codes[:, HEADER_BYTES:] = sum(
        numbers[:, i * width : (i + 1) * width] << np.uint8(2 * i) for i in range(4)
    )
    return Packed(codes, scale)


def _best_steps(residuals: NDArray[np.float32], levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(n, 1)`` steps that bring levels nearest to the residuals."""
    products = np.einsum("ij,ij->i", residuals, levels)
    return np.maximum(products / np.einsum("ij,ij->i", levels, levels), 0)[:, None]


def _turned(
    residuals: NDArray[np.float32],
    levels: NDArray[np.float32],
    steps: NDArray[np.float32],
    directions: Sequence[NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Levels with a few a row moved by one, each time the one that lowers the weighted error most.

    The error ``e`` weighs ``|e|² + ALONG_WEIGHT Σ (e · d)²`` over the directions ``d``.
    """
    levels, errors = levels.copy(), residuals - steps * levels
    rows = np.arange(len(levels))
    along = [(errors * direction).sum(axis=1) for direction in directions]
    curvature = 1 + ALONG_WEIGHT * sum(direction**2 for direction in directions)
    for _ in range(N_TURNS):
        slopes = errors.copy()
        for direction, length in zip(directions, along, strict=True):
            slopes += ALONG_WEIGHT * length[:, None] * direction
        moves = np.sign(slopes)
        changes = steps * curvature - 2 * np.abs(slopes)  # of the weighted error, divided by the step
        changes[np.abs(levels + moves) > LEVEL_SHIFT] = 0
        columns = np.argmin(changes, axis=1)
        chosen = np.where(changes[rows, columns] < 0, moves[rows, columns], 0)
        levels[rows, columns] += chosen
        moved = steps[:, 0] * chosen
        errors[rows, columns] -= moved
        for direction, length in zip(directions, along, strict=True):
            length -= moved * np.broadcast_to(direction, errors.shape)[rows, columns]
    return levels


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)


def unpack(codes: NDArray[Any], dim: int) -> NDArray[np.float32]:
    """``(n, dim)`` residuals of stored rows, for a scale of 1."""
    packed = codes[:, HEADER_BYTES:]
    numbers = np.concatenate([(packed >> shift) & 3 for shift in (0, 2, 4, 6)], axis=1)[:, :dim]
    return rotate_back((numbers - np.float32(LEVEL_SHIFT)) * codes[:, 1:2].astype(np.float32))


def rotate(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows under a fixed random rotation: random signs, then a cosine transform, for any dimension."""
    from scipy.fft import dct

    return np.asarray(dct(vectors * _signs(vectors.shape[1]), norm="ortho", axis=1), np.float32)


def rotate_back(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """What `rotate` made of the rows, undone."""
    from scipy.fft import idct

    return np.asarray(idct(vectors, norm="ortho", axis=1), np.float32) * _signs(vectors.shape[1])


@lru_cache(maxsize=8)
def _signs(dim: int) -> NDArray[np.float32]:
    random = np.random.Generator(np.random.PCG64(SEED))
    return (random.integers(0, 2, dim) * 2 - 1).astype(np.float32)
