"""Read a table: its cells as Markdown, as the index has them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from docrag.agents.tools.desk import Desk, place_of
from docrag.agents.tools.tool import Observation, ToolArguments, ToolRefused
from docrag.types import Evidence, Table


class ReadTableArguments(ToolArguments):
    """Which table to read; without a region, the only one of the page."""

    tool: Literal["read_table"] = "read_table"
    evidence_id: str = Field(max_length=20)
    region: int | None = Field(default=None, description="number of the region")


class ReadTableTool:
    """Gives a table region as rows and columns."""

    name = "read_table"
    purpose = "read a table of a page as rows and columns"
    arguments = ReadTableArguments

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def announce(self, arguments: ReadTableArguments) -> str:
        """Say on which page."""
        evidence = self._desk.evidence(arguments.evidence_id)
        return f"reading a table on {evidence.hit.doc}, page {evidence.hit.page_no}"

    def run(self, arguments: ReadTableArguments) -> Observation:
        """Show the table."""
        evidence = self._desk.evidence(arguments.evidence_id)
        order, table = self._table(evidence, arguments.region)
        where = f"{place_of(evidence)}, region {order}"
        text = self._desk.fenced(table.to_markdown(), label=where)
        return Observation((text,), where, (evidence.evidence_id,))

    def _table(self, evidence: Evidence, order: int | None) -> tuple[int, Table]:
        tables = {r.order: r.table for r in self._desk.page(evidence).regions if r.table is not None}
        name = evidence.evidence_id
        if order is not None:
            self._desk.region(evidence, order)
        if not tables:
            raise ToolRefused(f"{name} has no table that could be read as one; zoom into it instead")
        known = ", ".join(map(str, tables))
        if order is None and len(tables) > 1:
            raise ToolRefused(f"{name} has several tables; name one of the regions {known}")
        chosen = next(iter(tables)) if order is None else order
        if chosen not in tables:
            raise ToolRefused(f"region {chosen} of {name} is no table; its tables are the regions {known}")
        return chosen, tables[chosen]
