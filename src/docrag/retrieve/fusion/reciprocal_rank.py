"""Reciprocal rank fusion (Cormack, Clarke & Büttcher 2009)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from docrag.retrieve.fusion.pool import Pool
from docrag.retrieve.fusion.weights import checked_weights, weight_of
from docrag.types import Fused, Scored

DEFAULT_C = 60
"""The paper's constant; larger values flatten the head of the lists."""


class ReciprocalRank:
    """Sum over rankings of ``weight / (c + rank)``; a ranking without the unit adds nothing."""

    def __init__(self, weights: Mapping[str, float], *, c: float = DEFAULT_C) -> None:
        self._weights = checked_weights(weights)
        self._c = c

    def fuse(self, rankings: Mapping[str, Sequence[Scored]]) -> list[Fused]:
        """All units of all rankings, best first, ties in unit order."""
        pool = Pool(rankings)
        sums = np.zeros(len(pool))
        for name, (units, _) in pool.rankings.items():
            sums[units] += weight_of(name, self._weights) / (self._c + np.arange(1, len(units) + 1))
        return pool.fused(sums)
