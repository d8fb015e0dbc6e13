"""Retrieval as a step of a run: its hits, with its warnings and its cost in the answer."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.answer.gather import Search
from docrag.answer.run import Run
from docrag.types import Hit, Query


def search_for(run: Run, search: Search, query: Query, *, k: int) -> Sequence[Hit]:
    """Return the best `k` hits, as a step that the listener hears and the trace holds."""
    with run.step("search", f"searching for: {query.text}") as detail:
        found = search(query, k=k)
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
