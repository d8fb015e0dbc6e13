"""Retrieval as answering sees it, and as a step of a run: its warnings and its cost in the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from docrag.answer.run import Run
from docrag.chat.events import SILENCE, Listener
from docrag.types import Hit, Query, TraceStep, Usage


class Hits(Protocol):
    """What a search returns."""

    @property
    def hits(self) -> Sequence[Hit]:
        """Best first."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What failed and was done without."""
        ...

    @property
    def usage(self) -> Usage:
        """What models were paid for it."""
        ...

    @property
    def steps(self) -> Sequence[TraceStep]:
        """What the stages of retrieval did."""
        ...


class Search(Protocol):
    """Retrieval, as answering needs it: the `search` method of a retrieval stage."""

    def __call__(self, query: Query, *, k: int, listener: Listener = SILENCE) -> Hits:
        """At most `k` units of ``query.unit`` within ``query.scope``.

        `listener` hears what models are asked for, and may call the search off, which raises
        `docrag.errors.Cancelled`.
        """
        ...


def search_for(run: Run, search: Search, query: Query, *, k: int) -> Sequence[Hit]:
    """Return the best `k` hits, as a step that the listener hears and the trace holds."""
    with run.step("search", f"searching for: {query.text}") as detail:
        found = search(query, k=k, listener=run.listener)
        for warning in found.warnings:
            run.warn(warning)
        run.search_usage.append(found.usage)
        detail |= {
            "query": query.text,
            "k": k,
            "hits": [[hit.doc, hit.page_no, hit.unit.chunk_no] for hit in found.hits],
            "stages": [{"name": step.name, **step.detail} for step in found.steps],
        }
    return found.hits
