"""What a reranker returns: a ranking, and everything worth saying about how it came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from docrag.chat.events import SILENCE, Listener
from docrag.chat.model import CallUsage
from docrag.retrieve.cutoff.cut import Cut
from docrag.types import Fused, Query, SourceScore, UnitRef


@dataclass(frozen=True, slots=True)
class Reranked:
    """A ranking, best first; what a filter cut; what failed; what models cost; and more for explaining it."""

    ranking: Sequence[Fused]
    cuts: tuple[Cut, ...] = ()
    warnings: tuple[str, ...] = ()
    usage: tuple[CallUsage, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])


class RerankStep(Protocol):
    """Reorders the head of a ranking, or cuts from it, and reports how.

    It returns every unit that it was given, save what it names in `Reranked.cuts`. No unit loses a source;
    one that was judged gains `name` as a source. The units share out the fused scores of the places that they
    take, so scores never rise along the ranking. A failure leaves the ranking as it was, with a warning.
    When the listener calls the search off, calls of models that are under way are dropped, and
    `docrag.errors.Cancelled` is raised.
    """

    name: str

    def rerank(self, query: Query, candidates: Sequence[Fused], *, listener: Listener = SILENCE) -> Reranked:
        """Return `candidates`, best first, in a new order."""
        ...


def placed(
    ordered: Sequence[Fused], places: Sequence[Fused], opinions: Mapping[UnitRef, SourceScore], *, name: str
) -> list[Fused]:
    """`ordered` with the best of the scores of `places`, and with `opinions` as the source `name`."""
    scores = sorted((place.score for place in places), reverse=True)[: len(ordered)]
    return [
        Fused(
            item.unit,
            score,
            {**item.sources, name: opinions[item.unit]} if item.unit in opinions else item.sources,
        )
        for item, score in zip(ordered, scores, strict=True)
    ]


def describe(unit: UnitRef) -> str:
    """``report.pdf p. 3``, with the number of the region after it for a region."""
    region = f" region {unit.chunk_no}" if unit.chunk_no else ""
    return f"{unit.doc} p. {unit.page_no}{region}"


def how_many(candidates: Sequence[Fused]) -> str:
    """``1 page``, ``50 pages``, ``20 regions``: what listeners are told that a step looks at."""
    noun = "region" if candidates and candidates[0].unit.chunk_no else "page"
    return f"{len(candidates)} {noun}{'' if len(candidates) == 1 else 's'}"
