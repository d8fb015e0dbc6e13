"""Union of rankings without comparing their scores (ViDoRAG; Wang et al. 2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from docrag.errors import ConfigError
from docrag.retrieve.fusion.pool import Pool
from docrag.types import Fused, Scored


class Union:
    """One ranking after the other in `order`, each unit where it stands first.

    It needs cut rankings: what the first one holds comes before everything that only another one has. The
    score of a unit is how many units stand from it to the end, which says nothing about relevance.
    """

    def __init__(self, order: Sequence[str]) -> None:
        self._order = tuple(order)

    def fuse(self, rankings: Mapping[str, Sequence[Scored]]) -> list[Fused]:
        """All units of all rankings, in the order of the rankings; ConfigError for one not in the order."""
        if unknown := [name for name in rankings if name not in self._order]:
            known = ", ".join(self._order)
            raise ConfigError(
                f"the union has no place for the retriever {unknown[0]!r}; its order is: {known}"
            )
        pool = Pool({name: rankings[name] for name in self._order if name in rankings})
        return pool.fused(np.arange(len(pool), 0, -1, dtype=np.float64))  # units are numbered as they are met
