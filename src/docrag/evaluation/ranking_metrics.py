"""Metrics of one ranking of pages against the pages that hold the evidence."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Sequence

RECALL_CUTOFFS = (1, 3, 5, 10)
HIT_CUTOFFS = (1, 5)
MRR_CUTOFF = 10
NDCG_CUTOFF = 5
RANKING_METRICS = (
    *(f"R@{k}" for k in RECALL_CUTOFFS),
    *(f"hit@{k}" for k in HIT_CUTOFFS),
    f"MRR@{MRR_CUTOFF}",
    f"nDCG@{NDCG_CUTOFF}",
)


def recall_at(found: Sequence[bool], n_relevant: int, k: int) -> float:
    """Share of the relevant items that stand among the first `k`."""
    return sum(found[:k]) / n_relevant


def reciprocal_rank_at(found: Sequence[bool], k: int) -> float:
    """Return ``1 / rank`` of the first relevant item among the first `k`, else 0."""
    return next((1 / rank for rank, relevant in enumerate(found[:k], 1) if relevant), 0.0)


def ndcg_at(found: Sequence[bool], n_relevant: int, k: int) -> float:
    """Gain discounted by ``log2(rank + 1)``, as a share of the best possible (Järvelin & Kekäläinen 2002)."""

    def discount(rank: int) -> float:
        return 1 / math.log2(rank + 1)

    ideal = sum(discount(rank) for rank in range(1, min(k, n_relevant) + 1))
    return sum(discount(rank) for rank, relevant in enumerate(found[:k], 1) if relevant) / ideal


def ranking_metrics(relevant: Collection[Hashable], ranking: Sequence[Hashable]) -> dict[str, float]:
    """All of `RANKING_METRICS` for one ranking, best first. Raise ValueError without a relevant item.

    An item that is ranked twice counts at its better place only; the repeat keeps its place in the ranking
    and is worth nothing, so that no ranking can gain by repeating.
    """
    wanted = set(relevant)
    if not wanted:
        raise ValueError("a ranking can only be measured against at least one relevant item, got none")
    n_relevant = len(wanted)
    found: list[bool] = []
    for item in ranking:
        found.append(item in wanted)
        wanted.discard(item)
    values = [
        *(recall_at(found, n_relevant, k) for k in RECALL_CUTOFFS),
        *(float(any(found[:k])) for k in HIT_CUTOFFS),
        reciprocal_rank_at(found, MRR_CUTOFF),
        ndcg_at(found, n_relevant, NDCG_CUTOFF),
    ]
    return dict(zip(RANKING_METRICS, values, strict=True))
