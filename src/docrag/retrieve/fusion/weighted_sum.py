"""Weighted sum of normalised scores (Fox & Shaw 1994, CombSUM; statistics as the caller declares)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from docrag.retrieve.fusion.normalise import Normaliser, Statistics, zscore
from docrag.retrieve.fusion.pool import Pool
from docrag.retrieve.fusion.weights import checked_weights, weight_of
from docrag.types import Fused, Scored


class WeightedSum:
    """Sum over rankings of weight times normalised score.

    A unit that a ranking does not hold counts there as that ranking's last unit: a list is cut where it is
    cut, and what lies beyond scored no more than its end. Absent is not zero, which under a z-score would be
    the middle of the list. An empty ranking says nothing about any unit and adds nothing.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        *,
        normalise: Normaliser = zscore,
        statistics: Statistics = "top-k",
        top_k: int = 50,
    ) -> None:
        self._weights = checked_weights(weights)
        self._normalise = normalise
        self._statistics: Statistics = statistics
        self._top_k = top_k

    def fuse(self, rankings: Mapping[str, Sequence[Scored]]) -> list[Fused]:
        """All units of all rankings, best first, ties in unit order."""
        pool = Pool(rankings)
        by_name = normalised(pool, self._normalise, statistics=self._statistics, top_k=self._top_k)
        sums = np.zeros(len(pool))
        for name, values in by_name.items():
            weight = weight_of(name, self._weights)
            if len(values):
                of_all = np.full(len(pool), values.min())
                of_all[pool.rankings[name].units] = values
                sums += weight * of_all
        return pool.fused(sums)


def normalised(
    pool: Pool, normalise: Normaliser, *, statistics: Statistics = "all", top_k: int = 50
) -> dict[str, NDArray[np.float64]]:
    """Normalised scores of every ranking, ``(n_ranked,)``, best first; none for an empty ranking."""
    heads = np.zeros(len(pool), bool)
    for units, _ in pool.rankings.values():
        heads[units[:top_k]] = True
    result: dict[str, NDArray[np.float64]] = {}
    for name, (units, scores) in pool.rankings.items():
        sample = scores
        if statistics == "top-k":
            sample = scores[:top_k]
        elif statistics == "union":
            sample = scores[heads[units]]
        result[name] = normalise(scores, sample) if len(scores) else scores
    return result
