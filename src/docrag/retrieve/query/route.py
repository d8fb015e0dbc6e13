"""Routing over modality and granularity (UniversalRAG, Yeo et al. 2025): where an answer probably stands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from docrag.chat.events import SILENCE, Listener
from docrag.chat.model import CallUsage
from docrag.errors import ModelError
from docrag.retrieve.query.plan import Plan, SubQuery
from docrag.types import Query, RegionKind


class Route(StrEnum):
    """Where to look: the published routes but for video, which PDFs have none of."""

    NONE = "none"
    """Nowhere: the question needs no document."""
    PARAGRAPH = "paragraph"
    TABLE = "table"
    FIGURE = "figure"
    PAGE = "page"
    """Whole pages, by their text and their looks."""
    DOCUMENT = "document"
    """All of a document: count, list all, summarise."""


@dataclass(frozen=True, slots=True)
class RouteTarget:
    """What a route searches: kinds of regions (None: whole pages) by these retrievers (None: all)."""

    kinds: tuple[RegionKind, ...] | None = None
    retrievers: tuple[str, ...] | None = None


TARGETS: Mapping[Route, RouteTarget] = {
    Route.PARAGRAPH: RouteTarget(
        ("text", "list-item", "section-header", "footnote", "formula"), ("bm25", "dense")
    ),
    Route.TABLE: RouteTarget(("table", "caption")),
    Route.FIGURE: RouteTarget(("picture", "caption", "formula")),
    Route.PAGE: RouteTarget(),
    Route.DOCUMENT: RouteTarget(),
}


@dataclass(frozen=True, slots=True)
class Routed:
    """The routes chosen, and what choosing them cost."""

    routes: frozenset[Route]
    usage: tuple[CallUsage, ...] = ()


class Router(Protocol):
    """Chooses routes for a question; several may apply."""

    name: str

    def route(self, question: str, *, listener: Listener = SILENCE) -> Routed:
        """Return the routes; an empty set when there is nothing to go by. Raises ModelError, Cancelled."""
        ...


class RouterPlanner:
    """Turns every sub-query of a plan into one per route, each restricted to what its route searches.

    The rankings of several routes are pooled. With `keep_page`, whole pages are searched beside the routes,
    so that a wrong route costs rank and never loses a page. The safe way out is the unrouted plan: when the
    router fails or chooses nothing, and as fallback when the routed sub-queries find nothing. "none" among
    other routes is ignored; alone it ends retrieval only with `may_skip`.
    """

    name = "route"

    def __init__(self, router: Router, *, keep_page: bool = True, may_skip: bool = False) -> None:
        self._router = router
        self._keep_page = keep_page
        self._may_skip = may_skip

    def revise(self, query: Query, plan: Plan, *, listener: Listener = SILENCE) -> Plan:
        """Return the routed plan."""
        if not query.text.strip():
            return plan
        try:
            routed = self._router.route(query.text, listener=listener)
        except ModelError as error:
            return plan.warned(f"routing: {error}; searched everything")
        routes = [route for route in Route if route in routed.routes]
        said = ", ".join(routes) or "nothing chosen"
        plan = plan.noted(f"route ({self._router.name}): {said}", usage=routed.usage)
        if routes == [Route.NONE]:
            return replace(plan, retrieve=not self._may_skip)
        targets = {route: TARGETS[route] for route in routes if route != Route.NONE}
        if not targets or all(target == RouteTarget() for target in targets.values()):
            return plan
        if self._keep_page:
            targets.setdefault(Route.PAGE, TARGETS[Route.PAGE])
        queries = tuple(_to(old, route, target) for old in plan.queries for route, target in targets.items())
        return replace(plan, queries=queries, fallback=plan.queries)


def _to(old: SubQuery, route: Route, target: RouteTarget) -> SubQuery:
    return replace(old, label=f"{old.label} → {route}", kinds=target.kinds, retrievers=target.retrievers)


class RuleRouter:
    """Routes by the words of a question, without a model.

    A question that names figures is routed to them, one that names tables to these, one about all of a
    document to whole documents; greetings and sums need no document. Any other names no place, and everything
    is searched.
    """

    name = "rules"

    def route(self, question: str, *, listener: Listener = SILENCE) -> Routed:
        """Return the routes that the words name."""
        text = question.strip()
        if _SMALL_TALK.fullmatch(text) or _SUM.fullmatch(text):
            return Routed(frozenset({Route.NONE}))
        return Routed(frozenset(route for route, words in _WORDS if words.search(text)))


_FIGURE = re.compile(
    r"\b(?:fig(?:ure)?s?|charts?|graphs?|plots?|diagrams?|flow ?charts?|images?|pictures?|photo(?:graph)?s?"
    r"|illustrations?|logos?|icons?|maps?|screenshots?|drawings?|pie|bars?|legends?|axis|axes|curves?"
    r"|colou?rs?|depict(?:s|ed)?)\b",
    re.IGNORECASE,
)
_TABLE = re.compile(r"\b(?:tables?|rows?|columns?|cells?)\b", re.IGNORECASE)
_WHOLE = re.compile(
    r"\b(?:summari[sz]e|summary of|overview of)\b"
    r"|\bhow many (?:pages|slides|figures|tables|charts|images|photos|sections|chapters)\b"
    r"|\b(?:list|name) all\b|\b(?:whole|entire) (?:document|report|paper|presentation|deck)\b"
    r"|\bthroughout the (?:document|report|paper|presentation|deck)\b",
    re.IGNORECASE,
)
_WORDS: Sequence[tuple[Route, re.Pattern[str]]] = (
    (Route.FIGURE, _FIGURE),
    (Route.TABLE, _TABLE),
    (Route.DOCUMENT, _WHOLE),
)
_SMALL_TALK = re.compile(
    r"(?:hi|hello|hey|good (?:morning|afternoon|evening)|thanks?(?: you)?(?: (?:very|so) much)?|bye|goodbye"
    r"|who are you|what can you do|how are you)\W*",
    re.IGNORECASE,
)
_SUM = re.compile(
    r"(?:what(?: is|'s) |calculate |compute )?[\d\s.,()+*/×÷^%-]*\d\s*[+*/×÷^-]\s*\d[\d\s.,()+*/×÷^%-]*\W*",
    re.I,
)
