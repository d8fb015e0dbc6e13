"""Reciprocal rank fusion (Cormack, Clarke & Büttcher 2009)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from docrag.retrieve.fusion.merge import checked_weights, merged, weight_of
from docrag.retrieve.fusion.normalise import checked_scores
from docrag.types import Fused, Scored, UnitRef

DEFAULT_C = 60
"""The paper's constant; larger values flatten the head of the lists."""


class ReciprocalRank:
    """Sum over rankings of ``weight / (c + rank)``; a ranking without the unit adds nothing."""

    def __init__(self, weights: Mapping[str, float], *, c: float = DEFAULT_C) -> None:
        self._weights = checked_weights(weights)
        self._c = c

    def fuse(self, rankings: Mapping[str, Sequence[Scored]]) -> list[Fused]:
        """All units of all rankings, best first, ties in unit order."""
        sums: dict[UnitRef, float] = {}
        for name, ranking in rankings.items():
            checked_scores(name, ranking)
            weight = weight_of(name, self._weights)
            for rank, (unit, _) in enumerate(ranking, 1):
                sums[unit] = sums.get(unit, 0.0) + weight / (self._c + rank)
        return merged(rankings, sums)
