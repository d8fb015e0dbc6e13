"""Where answers to one question may come from: every retriever's ranking, or what is shown of pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast

from docrag.agents.tools.tool import said
from docrag.answer.options import Modality
from docrag.answer.run import Run
from docrag.answer.search import Hits, Search
from docrag.protocols import Corpus
from docrag.types import Hit, Query, Scored, SourceScore


class Ranked(Protocol):
    """A search result that keeps every retriever's own ranking, best first."""

    @property
    def rankings(self) -> Mapping[str, Sequence[Scored]]:
        """Units by the name of the retriever that ranked them."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """Pages of one source, best first, and how they are shown; None is as the context's options say."""

    name: str
    hits: tuple[Hit, ...]
    modality: Modality | None = None


def find(run: Run, search: Search, query: Query, *, k: int) -> Hits:
    """Search as a step of the run, and return the whole result."""
    with run.step("search", f"searching for: {said(query.text)}") as detail:
        found = search(query, k=k, listener=run.listener)
        for warning in found.warnings:
            run.warn(warning)
        run.search_usage.append(found.usage)
        detail |= {"query": query.text, "hits": [[hit.doc, hit.page_no] for hit in found.hits]}
    return found


def by_retriever(found: Hits, corpus: Corpus, *, k: int) -> list[Source]:
    """Return the best `k` units of every retriever that found any; one source "search" without rankings."""
    rankings = cast(Mapping[str, Sequence[Scored]], getattr(found, "rankings", {}))
    known = {hit.unit: hit for hit in found.hits}
    sources: list[Source] = []
    for name, ranking in rankings.items():
        hits: list[Hit] = []
        for rank, (unit, score) in enumerate(ranking[:k], 1):
            own = {name: SourceScore(rank, score)}
            hit = known.get(unit) or Hit(unit, corpus.page(unit.page).label, score, own, "")
            hits.append(replace(hit, sources=own, score=score))
        if hits:
            sources.append(Source(name, tuple(hits)))
    if not sources and found.hits:
        return [Source("search", tuple(found.hits[:k]))]
    return sources


def by_modality(found: Hits, *, k: int) -> list[Source]:
    """Return the same pages twice, as text and as pictures; nothing when nothing was found."""
    hits = tuple(found.hits[:k])
    return [Source("text", hits, "text"), Source("image", hits, "image")] if hits else []
