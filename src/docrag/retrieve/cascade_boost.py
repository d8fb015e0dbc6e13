"""Between pages and regions: the best region lifts its page, a good page lifts its regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from docrag.protocols import Fusion, Retriever
from docrag.retrieve.fusion.normalise import min_max
from docrag.types import Fused, Query, Scored, UnitRef, ranked


class CascadeBoost:
    """Lifts a page by its best region, or a region by its page, on a scale from 0 to 1 for the best.

    Pages or regions, whichever the query does not ask for, are ranked by `retrievers` and `fusion`, the same
    that rank what it asks for: a page that mentions a thing here and there then differs from one with a
    table about it.
    """

    name = "cascade"

    def __init__(self, retrievers: Sequence[Retriever], fusion: Fusion, *, depth: int = 200) -> None:
        self._retrievers = tuple(retrievers)
        self._fusion = fusion
        self._depth = depth

    def lift(self, query: Query, fused: Sequence[Fused]) -> list[Scored]:
        """Pages that hold the ranked regions; or the regions of `fused` that lie on the ranked pages."""
        if not query.text.strip():
            return []
        other = replace(query, unit="region" if query.unit == "page" else "page")
        rankings = {r.name: r.retrieve(other, k=self._depth) for r in self._retrievers}
        best = best_of_pages(self._fusion.fuse(rankings))
        if query.unit == "page":
            return ranked([Scored(page, share) for page, share in best.items()])
        units = [place.unit for place in fused if place.unit.as_page in best]
        return ranked([Scored(unit, best[unit.as_page]) for unit in units])


def best_of_pages(fused: Sequence[Fused]) -> Mapping[UnitRef, float]:
    """Highest score on every page, from 0 for the lowest of `fused` to 1 for the best; 1 if all are equal."""
    if not fused:
        return {}
    scores = np.array([place.score for place in fused])
    shares = min_max(scores, scores) if scores[0] > scores[-1] else np.ones_like(scores)
    best: dict[UnitRef, float] = {}
    for place, share in zip(fused, shares.tolist(), strict=True):
        best.setdefault(place.unit.as_page, share)
    return best
