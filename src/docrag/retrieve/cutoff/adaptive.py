"""Keep up to k units that score enough, possibly none (2501.04695)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from docrag.protocols import Kept


class AdaptiveCutoff:
    """Keeps units that score at least `min_score`, never more than `max_kept` nor fewer than `min_kept`.

    As with any threshold, scores of different queries must be comparable: probabilities of a reranker are.
    """

    def __init__(self, min_score: float, *, max_kept: int, min_kept: int = 0) -> None:
        self._min_score = min_score
        self._max_kept = max_kept
        self._min_kept = min_kept

    def keep(self, scores: NDArray[np.float64]) -> Kept:
        """Return the first units at or above the threshold."""
        n_passing = int((scores >= self._min_score).sum())
        if n_passing > self._max_kept:
            return Kept(self._max_kept, f"beyond the first {self._max_kept}")
        return Kept(min(max(n_passing, self._min_kept), len(scores)), f"scores less than {self._min_score:g}")
