"""Cut where the score falls most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from docrag.protocols import Kept


class LargestGapCutoff:
    """Cuts at the largest fall from one score to the next, between `min_kept` and `max_kept` units.

    The first of equal falls decides; where no score falls, `max_kept` units stay. A constant added to all
    scores, or a positive factor, changes nothing.
    """

    def __init__(self, *, min_kept: int = 1, max_kept: int = 10) -> None:
        self._min_kept = min_kept
        self._max_kept = max_kept

    def keep(self, scores: NDArray[np.float64]) -> Kept:
        """Return the units before the largest fall."""
        falls = -np.diff(scores[: self._max_kept + 1])[self._min_kept - 1 :]
        if not len(falls) or falls.max() <= 0:
            return Kept(min(self._max_kept, len(scores)), f"beyond the first {self._max_kept}")
        n_kept = self._min_kept + int(np.argmax(falls))
        fall = f"{scores[n_kept - 1]:.4g} to {scores[n_kept]:.4g}"
        return Kept(n_kept, f"below the largest gap, {fall} after rank {n_kept}")
