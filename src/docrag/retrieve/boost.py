"""Lift units of a fused ranking that something other than a score speaks for, such as a page number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from docrag.protocols import Corpus
from docrag.types import Fused, Query, Scope, Scored, SourceScore, ranked

SPREAD_OF = 50
"""The deviation of this many best fused scores is the unit in which a boost is measured."""


class Boost(Protocol):
    """Says which units to lift, given the fused ranking."""

    name: str

    def lift(self, query: Query, fused: Sequence[Fused]) -> list[Scored]:
        """Units to lift and how much, best first; they need not be in `fused`.

        They lie in the documents and pages of the query's scope. Kinds of regions are not the boost's
        business: `of_kinds` sees to them.
        """
        ...


def of_kinds(corpus: Corpus, lifts: Sequence[Scored], scope: Scope) -> list[Scored]:
    """`lifts` of regions of the kinds that `scope` admits, and of pages that hold such a region."""
    if scope.kinds is None:
        return list(lifts)
    admitted: dict[str, set[tuple[int, int]]] = {}
    for doc_id in {lift.unit.doc_id for lift in lifts}:
        chunks = [place for place, kind in corpus.chunk_kinds(doc_id).items() if kind in scope.kinds]
        admitted[doc_id] = {*chunks, *((page_no, 0) for page_no, _ in chunks)}
    return [lift for lift in lifts if (lift.unit.page_no, lift.unit.chunk_no) in admitted[lift.unit.doc_id]]


def boosted(fused: Sequence[Fused], lifts: Sequence[Scored], *, name: str, weight: float) -> list[Fused]:
    """`fused` with ``weight * score`` deviations of its head added to the units of `lifts`.

    The deviation makes the weight mean the same under every fusion. Units that were not in `fused` start from
    its lowest score. With an empty `fused`, or one of equal scores, the deviation counts as 1.
    """
    if not lifts:
        return list(fused)
    head = [f.score for f in fused[:SPREAD_OF]]
    # Compared as numbers: rounding gives equal scores a tiny deviation, by which nothing would rise.
    step = weight * (float(np.std(head)) if len(set(head)) > 1 else 1.0)
    lowest = min((f.score for f in fused), default=0.0)
    by_unit = {f.unit: f for f in fused}
    for rank, (unit, score) in enumerate(ranked(list(lifts)), 1):
        old = by_unit.get(unit, Fused(unit, lowest, {}))
        by_unit[unit] = Fused(unit, old.score + step * score, {**old.sources, name: SourceScore(rank, score)})
    return sorted(by_unit.values(), key=lambda f: (-f.score, f.unit))
