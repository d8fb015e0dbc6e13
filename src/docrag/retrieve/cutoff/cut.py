"""Apply a cut-off to a ranking, and keep the reason for every unit that falls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from docrag.protocols import Cutoff
from docrag.retrieve.fusion.normalise import checked_scores
from docrag.types import Fused, Scored, UnitRef

Placed = TypeVar("Placed", Scored, Fused)


class Cut(NamedTuple):
    """A unit that was cut: from which ranking, at which rank (1-based) and score there, and why."""

    unit: UnitRef
    ranking: str
    rank: int
    score: float
    reason: str


def cut_ranking(name: str, ranking: Sequence[Placed], cutoff: Cutoff) -> tuple[list[Placed], list[Cut]]:
    """Part a ranking into what `cutoff` keeps and what it cuts, both best first.

    Raises
    ------
    ValueError
        A score is NaN or infinite, a unit stands twice, or the ranking is not sorted.
    """
    if not ranking:
        return [], []
    kept = cutoff.keep(checked_scores(name, ranking))
    cuts = [
        Cut(place.unit, name, rank, place.score, kept.reason)
        for rank, place in enumerate(ranking[kept.n :], kept.n + 1)
    ]
    return list(ranking[: kept.n]), cuts
