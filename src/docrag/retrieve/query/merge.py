"""One ranking per retriever, of the rankings that it gave to several sub-queries."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.retrieve.fusion.reciprocal_rank import ReciprocalRank
from docrag.retrieve.query.plan import SubQuery
from docrag.types import Scored


def merged(lists: Sequence[tuple[SubQuery, Sequence[Scored]]], *, k: int) -> list[Scored]:
    """Merge by weighted reciprocal ranks, at most `k`; a single ranking keeps its scores.

    Scores of one retriever for different texts are not comparable: BM25 and MaxSim grow with the query.
    """
    if not lists:
        return []
    if len(lists) == 1:
        return list(lists[0][1])
    weights = {sub.label: sub.weight for sub, _ in lists}
    fused = ReciprocalRank(weights).fuse({sub.label: ranking for sub, ranking in lists})
    return [Scored(place.unit, place.score) for place in fused[:k]]
