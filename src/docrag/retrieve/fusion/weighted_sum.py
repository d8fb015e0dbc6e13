"""Weighted sum of normalised scores (Fox & Shaw 1994, CombSUM; statistics as the caller declares)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from docrag.retrieve.fusion.merge import checked_weights, merged, weight_of
from docrag.retrieve.fusion.normalise import Normaliser, Statistics, normalised, zscore
from docrag.types import Fused, Scored, UnitRef


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
        by_name = normalised(rankings, self._normalise, statistics=self._statistics, top_k=self._top_k)
        sums: dict[UnitRef, float] = {unit: 0.0 for scores in by_name.values() for unit in scores}
        for name, scores in by_name.items():
            weight = weight_of(name, self._weights)
            floor = min(scores.values(), default=0.0)
            for unit in sums:
                sums[unit] += weight * scores.get(unit, floor)
        return merged(rankings, sums)
