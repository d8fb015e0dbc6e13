"""The retrieval stage: several rankings, one fused, lifted, cut, and shown with snippets."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from docrag.chat.events import SILENCE, Listener
from docrag.chat.model import CallUsage, total_usage
from docrag.errors import Cancelled, UsageError
from docrag.http.calling_off import called_off_by
from docrag.protocols import Corpus, Cutoff, Fusion, Reranker, Retriever
from docrag.retrieve.boost import Boost, boosted, of_kinds
from docrag.retrieve.cutoff.cut import Cut, cut_ranking
from docrag.retrieve.cutoff.per_document import cap_per_document
from docrag.retrieve.named_only import named_only
from docrag.retrieve.padding import padded
from docrag.retrieve.query.memory import PlanMemory
from docrag.retrieve.query.merge import merged
from docrag.retrieve.query.plan import Plan, Planner, SubQuery
from docrag.retrieve.rerank.checked import CheckedReranker
from docrag.retrieve.rerank.reranked import RerankStep
from docrag.retrieve.snippets import best_snippet
from docrag.types import Fused, Hit, Page, Query, Scored, SourceScore, TraceStep, Unit, UnitRef, Usage


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first; every retriever's own ranking; the whole final ranking; and what each step took.

    `rankings` are uncut. `fused` is the final ranking, `as_fused` what fusion gave to each unit, before it
    was lifted, filtered or reranked. `cuts` holds what cut-offs took, ranking by ranking; a unit cut from one
    retriever's ranking may be a hit by another's. `plan` is what was searched for. `warnings` say what failed
    and was done without, `usage` what models were paid for it.
    """

    query: Query
    hits: tuple[Hit, ...]
    rankings: Mapping[str, tuple[Scored, ...]]
    fused: tuple[Fused, ...]
    steps: tuple[TraceStep, ...]
    cuts: tuple[Cut, ...] = ()
    plan: Plan | None = None
    warnings: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    as_fused: Mapping[UnitRef, SourceScore] = field(default_factory=dict[UnitRef, SourceScore])


PageOrder = Literal["rank", "document"]
"""Best first; or document by document, the one with the best hit first, in page order."""


class Refiner(Reranker, Protocol):
    """Reorders what fusion gives, before it is boosted; `name` is that of its step and of its source."""

    name: str


class RetrievalStage:
    """Runs retrievers, fuses their rankings, applies boosts and rerankers, and makes hits of the best.

    `planners` decide first what is searched for: a question may be routed, split or reworded, and a retriever
    that is given several texts contributes one ranking, merged from theirs.
    `depth` is how many units every retriever returns. `retriever_cutoff` cuts each of their rankings before
    fusion; `refiners` rerank what it gives, before it is boosted; `only_named` then keeps what the question
    names, where it names pages that are there; `cutoff` cuts the boosted ranking before `rerank_steps`, and
    then `rerankers`, see it. `pad_to` fills what cut-offs left up to the next of these numbers, but brings
    nothing back that a filter took, `max_per_document` keeps one document from filling the result of a search
    over several, and `page_order` decides how the best `k` are shown. The stage is made once per index and
    used for many queries, from several threads if its parts allow that.
    """

    def __init__(
        self,
        corpus: Corpus,
        retrievers: Sequence[Retriever],
        fusion: Fusion,
        *,
        planners: Sequence[Planner] = (),
        refiners: Sequence[Refiner] = (),
        boosts: Sequence[tuple[Boost, float]] = (),
        rerank_steps: Sequence[RerankStep] = (),
        rerankers: Sequence[Reranker] = (),
        only_named: bool = False,
        retriever_cutoff: Cutoff | None = None,
        cutoff: Cutoff | None = None,
        pad_to: Sequence[int] = (),
        max_per_document: int | None = None,
        page_order: PageOrder = "rank",
        depth: int = 200,
    ) -> None:
        names = [retriever.name for retriever in retrievers]
        if len(set(names)) < len(names):
            raise ValueError(f"retrievers are named {names}, expected different names")
        self._corpus = corpus
        self._retrievers = tuple(retrievers)
        self._fusion = fusion
        self._planners = tuple(planners)
        self._plans = PlanMemory(planners)
        self._refiners = tuple(refiners)
        self._boosts = tuple(boosts)
        self._rerank_steps = (*rerank_steps, *(CheckedReranker(reranker) for reranker in rerankers))
        self._only_named = only_named
        self._retriever_cutoff = retriever_cutoff
        self._cutoff = cutoff
        self._pad_to = tuple(pad_to)
        self._max_per_document = max_per_document
        self._page_order: PageOrder = page_order
        self._depth = depth

    def search(self, query: Query, *, k: int, listener: Listener = SILENCE) -> SearchResult:
        """Return the best `k` units of ``query.unit`` within ``query.scope``.

        An empty question finds nothing. `listener` hears what models are asked for, and may call the search
        off, which drops its requests to servers. Raises `docrag.errors.UsageError` when `k` is not positive,
        the unit is neither a page nor a region, or the scope names a document that is not there,
        `docrag.errors.Cancelled` when the search is called off.
        """
        if k < 1:
            raise UsageError(f"k is {k}, expected 1 or more")
        if query.unit not in get_args(Unit):
            raise UsageError(f'unit is "{query.unit}", expected one of {", ".join(get_args(Unit))}')
        with called_off_by(listener.cancelled):
            return self._search(query, k=k, listener=listener)

    def _search(self, query: Query, *, k: int, listener: Listener) -> SearchResult:
        watch = _Watch(listener)
        documents = self._corpus.select(query.scope)  # a wrong name is an error, whatever the retrievers do
        plan = self._plans.plan_for(query, listener=listener)
        if self._planners:
            watch.record("query plan", searched=[sub.text for sub in plan.queries], notes=list(plan.notes))
        rankings = self._rankings(query, plan.queries if plan.retrieve else (), watch, k=k)
        if plan.fallback and not any(rankings.values()):
            plan = plan.noted("the routes found nothing: searched everything")
            rankings = self._rankings(query, plan.fallback, watch, k=k)
        kept: dict[str, Sequence[Scored]] = dict(rankings)
        cuts: list[Cut] = []
        filtered: set[UnitRef] = set()
        if self._retriever_cutoff is not None:
            for name, ranking in rankings.items():
                kept[name], cut = cut_ranking(name, ranking, self._retriever_cutoff)
                cuts += cut
            watch.record("retriever cut-off", by=_kind(self._retriever_cutoff), n_cut=len(cuts))
        fused = self._fusion.fuse(kept)
        as_fused = {place.unit: SourceScore(rank, place.score) for rank, place in enumerate(fused, 1)}
        watch.record("fusion", by=_kind(self._fusion), n_units=len(fused))
        for refiner in self._refiners:
            fused = refiner.rerank(query, fused)
            watch.record(refiner.name, n_units=len(fused))
        for boost, weight in self._boosts:
            lifts = of_kinds(self._corpus, boost.lift(query, fused), query.scope)
            fused = boosted(fused, lifts, name=boost.name, weight=weight)
            watch.record(boost.name, n_units=len(lifts))
        if self._only_named:
            fused, cut = named_only(fused)
            cuts += cut
            filtered |= {taken.unit for taken in cut}
            watch.record("named only", n_cut=len(cut))
        if self._cutoff is not None:
            fused, cut = cut_ranking("fusion", fused, self._cutoff)
            cuts += cut
            watch.record("cut-off", by=_kind(self._cutoff), n_cut=len(cut))
        warnings = list(plan.warnings)
        usage: list[CallUsage] = list(plan.usage)
        for step in self._rerank_steps:
            reranked = step.rerank(query, fused, listener=listener)
            fused = list(reranked.ranking)
            cuts += reranked.cuts
            filtered |= {taken.unit for taken in reranked.cuts}
            warnings += reranked.warnings
            usage += reranked.usage
            watch.record(step.name, n_units=len(fused), **reranked.detail)
        if self._pad_to:
            n_cut = len(fused)
            fused = padded(fused, rankings, self._pad_to, without=filtered)
            watch.record("padding", n_added=len(fused) - n_cut)
        if self._max_per_document is not None and len(documents) > 1:
            fused, cut = cap_per_document(fused, self._max_per_document)
            cuts += cut
            watch.record("cap per document", n_cut=len(cut))
        best = fused[:k] if self._page_order == "rank" else in_document_order(fused[:k])
        pages = self._corpus.read_pages(item.unit.page for item in best)
        hits = tuple(
            self._hit(query, item, pages[item.unit.page], fused=as_fused.get(item.unit)) for item in best
        )
        watch.record("snippets", n_units=len(hits))
        return SearchResult(
            query,
            hits,
            rankings,
            tuple(fused),
            watch.steps,
            tuple(cuts),
            plan=plan,
            warnings=tuple(warnings),
            usage=total_usage(usage),
            as_fused=as_fused,
        )

    def _rankings(
        self, query: Query, queries: Sequence[SubQuery], watch: _Watch, *, k: int
    ) -> dict[str, tuple[Scored, ...]]:
        """Return one ranking per retriever that a sub-query is for."""
        depth = max(k, self._depth)
        rankings: dict[str, tuple[Scored, ...]] = {}
        for retriever in self._retrievers:
            served = [sub for sub in queries if sub.serves(retriever.name)]
            if not served:
                continue
            asked = [sub for sub in served if sub.text.strip()]
            lists = [(sub, retriever.retrieve(sub.as_query(query), k=depth)) for sub in asked]
            rankings[retriever.name] = tuple(merged(lists, k=depth))
            watch.record(retriever.name, n_units=len(rankings[retriever.name]), n_queries=len(lists))
        return rankings

    def _hit(self, query: Query, item: Fused, page: Page, *, fused: SourceScore | None) -> Hit:
        unit = item.unit
        chunk = self._corpus.chunk(unit) if unit.chunk_no else None
        span = (chunk.start, chunk.end) if chunk is not None else (0, None)
        snippet = best_snippet(page, query.text, start=span[0], end=span[1])
        return Hit(
            unit=unit,
            page_label=page.label,
            score=item.score,
            sources=item.sources,
            snippet=snippet.text,
            snippet_boxes=snippet.boxes,
            kind=chunk.kind if chunk is not None else None,
            box=chunk.box if chunk is not None and chunk.boxes else None,
            fused=fused,
        )


def _kind(part: Fusion | Cutoff) -> str:
    return type(part).__name__


def in_document_order(fused: Sequence[Fused]) -> list[Fused]:
    """Documents in the order of their best unit, the units of each as they stand in it."""
    places: dict[str, int] = {}
    for place in fused:
        places.setdefault(place.unit.doc_id, len(places))
    return sorted(fused, key=lambda place: (places[place.unit.doc_id], place.unit))


class _Watch:
    """Times steps one after the other, until the listener calls them off."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._last_s = time.perf_counter()
        self._steps: list[TraceStep] = []

    def record(self, name: str, **detail: object) -> None:
        """Close the step that began when the last one was closed; raises Cancelled when it was the last."""
        if self._listener.cancelled():
            raise Cancelled("the search was called off")
        now_s = time.perf_counter()
        self._steps.append(TraceStep(name, now_s - self._last_s, detail))
        self._last_s = now_s

    @property
    def steps(self) -> tuple[TraceStep, ...]:
        return tuple(self._steps)
