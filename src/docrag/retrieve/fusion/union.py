"""Union of rankings without comparing their scores (ViDoRAG; Wang et al. 2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from docrag.errors import ConfigError
from docrag.retrieve.fusion.merge import merged
from docrag.retrieve.fusion.normalise import checked_scores
from docrag.types import Fused, Scored, UnitRef


class Union:
    """One ranking after the other in `order`, each unit where it stands first.

    It needs cut rankings: what the first one holds comes before everything that only another one has. The
    score of a unit is how many units stand from it to the end, which says nothing about relevance.
    """

    def __init__(self, order: Sequence[str]) -> None:
        self._order = tuple(order)

    def fuse(self, rankings: Mapping[str, Sequence[Scored]]) -> list[Fused]:
        """All units of all rankings, in the order of the rankings; ConfigError for one not in the order."""
        for name, ranking in rankings.items():
            checked_scores(name, ranking)
            if name not in self._order:
                known = ", ".join(self._order)
                raise ConfigError(f"the union has no place for the retriever {name!r}; its order is: {known}")
        units: dict[UnitRef, None] = {}
        for name in self._order:
            units |= dict.fromkeys(unit for unit, _ in rankings.get(name, ()))
        return merged(rankings, {unit: float(len(units) - i) for i, unit in enumerate(units)})
