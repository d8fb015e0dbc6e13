"""Search: which pages speak of something."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from docrag.agents.tools.desk import Desk, place_of
from docrag.agents.tools.tool import Observation, ToolArguments, said


class SearchArguments(ToolArguments):
    """What to look for."""

    tool: Literal["search"] = "search"
    query: str = Field(min_length=1, max_length=400, description="words that the page will have")


class SearchTool:
    """Lists the best pages with their evidence ids and a snippet of each."""

    name = "search"
    purpose = "find pages; gives evidence ids, pages and snippets"
    arguments = SearchArguments

    def __init__(self, desk: Desk, *, n_pages: int) -> None:
        self._desk = desk
        self._n_pages = n_pages

    def announce(self, arguments: SearchArguments) -> str:
        """Say what is searched for."""
        return f"searching: {said(arguments.query)}"

    def run(self, arguments: SearchArguments) -> Observation:
        """Search within the scope."""
        found = self._desk.search(arguments.query, k=self._n_pages)
        if not found:
            return Observation(("Nothing was found. Search with other words.",), "nothing found")
        ids = ", ".join(e.evidence_id for e in found)
        shown = [self._desk.fenced(self._desk.snippet(e), label=place_of(e)) for e in found]
        return Observation((f"Found, best first: {ids}", *shown), ids)
