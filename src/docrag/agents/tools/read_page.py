"""Read a page: its picture, its text, and the regions it has."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from docrag.agents.tools.desk import Desk, place_of
from docrag.agents.tools.tool import Observation, ToolArguments

_NAMED = ("table", "picture", "formula")


class ReadPageArguments(ToolArguments):
    """Which page to read."""

    tool: Literal["read_page"] = "read_page"
    evidence_id: str = Field(max_length=20)
    offset: int = Field(default=0, ge=-5, le=5, description="pages after it; -1 is the page before")


class ReadPageTool:
    """Shows a page in whole."""

    name = "read_page"
    purpose = "read a whole page, or one near it (offset); gives its picture, text and regions"
    arguments = ReadPageArguments

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def announce(self, arguments: ReadPageArguments) -> str:
        """Say which page is looked at, as far as it is known."""
        evidence = self._desk.evidence(arguments.evidence_id, offset=arguments.offset)
        return f"looked at {evidence.hit.doc}, page {evidence.hit.page_no}"

    def run(self, arguments: ReadPageArguments) -> Observation:
        """Show the page."""
        evidence = self._desk.evidence(arguments.evidence_id, offset=arguments.offset)
        page = self._desk.page(evidence)
        regions = [
            f"region {r.order}: {r.kind} {self._desk.on_grid(page, r.box)}"
            for r in page.regions
            if r.kind in _NAMED
        ]
        more = ("\n".join(["Tables and pictures on it:", *regions]),) if regions else ()
        read = (evidence.evidence_id,)
        return Observation((*self._desk.show(evidence), *more), place_of(evidence), read)
