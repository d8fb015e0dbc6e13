"""A fixed random rotation, under which components of vectors look like draws from one normal distribution.

Coarse quantisers want that: whatever an encoder's dimensions mean, one set of levels then serves them all (as
in RaBitQ; Gao and Long 2024, section 3.1). Products of rotated vectors are those of the vectors.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SEED = 42


def rotate(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows ``(n, dim)`` under the rotation: random signs, then a cosine transform, for any dimension."""
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
