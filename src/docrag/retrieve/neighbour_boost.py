"""Lift the pages beside a hit: tables run on, and figures stand a page away from what is said of them."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.protocols import Corpus
from docrag.retrieve.cascade_boost import best_of_pages
from docrag.types import Fused, Query, Scored, UnitRef, ranked

N_HITS = 10
"""Best pages whose neighbours are lifted."""

BESIDE = (-1, 1)


class NeighbourBoost:
    """Lifts the page before and after each of the first `n_hits`, as far as it stands out."""

    name = "neighbours"

    def __init__(self, corpus: Corpus, *, n_hits: int = N_HITS) -> None:
        self._corpus = corpus
        self._n_hits = n_hits

    def lift(self, query: Query, fused: Sequence[Fused]) -> list[Scored]:
        """Indexed pages within the scope, 1 beside the best page; nothing for a query of regions."""
        if query.unit != "page":
            return []
        shares = best_of_pages(fused)
        found: dict[UnitRef, float] = {}
        for place in fused[: self._n_hits]:
            unit, share = place.unit, shares[place.unit]
            indexed = self._corpus.page_labels(unit.doc_id)
            for step in BESIDE:
                beside = unit._replace(page_no=unit.page_no + step)
                if beside.page_no in indexed and query.scope.allows_page(beside.page_no):
                    found[beside] = max(share, found.get(beside, 0.0))
        return ranked([Scored(unit, share) for unit, share in found.items()])
