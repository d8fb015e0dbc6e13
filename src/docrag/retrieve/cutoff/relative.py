"""Keep up to k units that come near the best: few for a clear case, more for an open one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from docrag.protocols import Kept


class RelativeCutoff:
    """Keeps units that score at least `min_fraction` of the best, up to `max_kept`.

    The distance allowed below the best is ``(1 - min_fraction) * |best|``, which is that fraction for
    positive scores and stays defined where the best score is 0 or negative.
    """

    def __init__(self, min_fraction: float = 0.5, *, min_kept: int = 1, max_kept: int = 10) -> None:
        self._min_fraction = min_fraction
        self._min_kept = min_kept
        self._max_kept = max_kept

    def keep(self, scores: NDArray[np.float64]) -> Kept:
        """Return the units near the best; all are near when all are equal."""
        if not len(scores):
            return Kept(0, "")
        best = float(scores[0])
        lowest = best - (1 - self._min_fraction) * abs(best)
        n_near = int((scores >= lowest).sum())
        if n_near >= self._max_kept:
            return Kept(min(self._max_kept, len(scores)), f"beyond the first {self._max_kept}")
        reason = f"scores less than {lowest:.4g}, {self._min_fraction:g} of the best"
        return Kept(min(max(n_near, self._min_kept), len(scores)), reason)
