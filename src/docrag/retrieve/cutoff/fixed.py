"""Keep a fixed number of units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from docrag.protocols import Kept


class FixedCutoff:
    """Keeps the first `k` units."""

    def __init__(self, k: int = 10) -> None:
        self._k = k

    def keep(self, scores: NDArray[np.float64]) -> Kept:
        """Return the first `k`, or all if there are fewer."""
        return Kept(min(self._k, len(scores)), f"beyond the first {self._k}")
