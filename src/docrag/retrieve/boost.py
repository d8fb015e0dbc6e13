"""Lift units of a fused ranking that something other than a score speaks for, such as a page number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from docrag.types import Fused, Query, Scored, SourceScore, ranked

SPREAD_OF = 50
"""The deviation of this many best fused scores is the unit in which a boost is measured."""


class Boost(Protocol):
    """Says which units to lift, given the fused ranking."""

    name: str

    def lift(self, query: Query, fused: Sequence[Fused]) -> list[Scored]:
        """Units to lift and how much, best first; they need not be in `fused`, but in the query's scope."""
        ...


def boosted(fused: Sequence[Fused], lifts: Sequence[Scored], *, name: str, weight: float) -> list[Fused]:
    """`fused` with ``weight * score`` deviations of its head added to the units of `lifts`.

    The deviation makes the weight mean the same under every fusion. Units that were not in `fused` start from
    its lowest score. With an empty `fused`, or one of equal scores, the deviation counts as 1.
    """
    if not lifts:
        return list(fused)
    head = [f.score for f in fused[:SPREAD_OF]]
    spread = float(np.std(head)) if head else 0.0
    step = weight * (spread if spread > 0 else 1.0)
    lowest = min((f.score for f in fused), default=0.0)
    by_unit = {f.unit: f for f in fused}
    for rank, (unit, score) in enumerate(ranked(list(lifts)), 1):
        old = by_unit.get(unit, Fused(unit, lowest, {}))
        by_unit[unit] = Fused(unit, old.score + step * score, {**old.sources, name: SourceScore(rank, score)})
    return sorted(by_unit.values(), key=lambda f: (-f.score, f.unit))
