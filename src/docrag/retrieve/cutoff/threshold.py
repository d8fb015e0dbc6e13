"""Keep what scores enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from docrag.protocols import Kept


class ThresholdCutoff:
    """Keeps units that score at least `min_score`, but never fewer than `min_kept`.

    Meaningful only where scores of different queries can be compared: cosines, probabilities of a reranker.
    """

    def __init__(self, min_score: float, *, min_kept: int = 0) -> None:
        self._min_score = min_score
        self._min_kept = min_kept

    def keep(self, scores: NDArray[np.float64]) -> Kept:
        """Return the units at or above the threshold."""
        n_passing = int((scores >= self._min_score).sum())
        return Kept(min(max(n_passing, self._min_kept), len(scores)), f"scores less than {self._min_score:g}")
