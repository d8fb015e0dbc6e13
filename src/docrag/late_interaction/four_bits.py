"""Four bits a component: the nearest of sixteen even levels, after a rotation that makes them fit.

A row is ``w`` bytes; byte ``j`` holds component ``j`` in its lower half and component ``j + w`` in its upper.
A number ``u`` of 0 to 15 stands for the level ``2 u − 15``, an odd integer, so that products are integers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.rotation import rotate, rotate_back

LARGEST = 15
"""Levels are −15, −13, … 13, 15."""

STEP_SIGMAS = 0.3352
"""Distance of the levels in standard deviations: the best of sixteen even levels for a normal distribution
(Max 1960, table II). What is lost is 1.15 % of the square."""


class Packed(NamedTuple):
    """One unit: ``(n, packed_width) uint8`` rows, and what a level is multiplied with."""

    codes: NDArray[np.uint8]
    scale: float


def packed_width(dim: int) -> int:
    """Bytes of a stored row."""
    return -(-dim // 2)


def pack(vectors: NDArray[np.float32]) -> Packed:
    """Quantise the rows ``(n, dim)`` of one unit."""
    rotated = rotate(vectors)
    rms = float(np.sqrt((rotated**2).mean())) if rotated.size else 0.0
    peak = float(np.abs(rotated).max(initial=0))
    step = min(STEP_SIGMAS * rms, 2 * peak / LARGEST)  # few dimensions have no tails to leave out
    width = packed_width(vectors.shape[1])
    numbers = np.zeros((len(vectors), 2 * width), np.uint8)
    if step > 0:
        numbers[:, : vectors.shape[1]] = np.clip(np.floor(rotated / step) + 8, 0, LARGEST)
    return Packed(np.bitwise_or(numbers[:, :width], numbers[:, width:] << np.uint8(4)), step / 2)


def unpack(codes: NDArray[Any], dim: int) -> NDArray[np.float32]:
    """``(n, dim)`` vectors of stored rows, for a scale of 1."""
    return rotate_back(levels(codes)[:, :dim])


def levels(codes: NDArray[Any]) -> NDArray[np.float32]:
    """``(n, 2 packed_width)``: the levels of stored rows, as they are before rotation."""
    return 2 * np.concatenate([codes & 15, codes >> 4], axis=1).astype(np.float32) - LARGEST
