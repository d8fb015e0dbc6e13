"""Zoom: a part of a page at reading resolution."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from docrag.agents.tools.desk import Desk, place_of
from docrag.agents.tools.tool import Observation, ToolArguments
from docrag.geometry import Box
from docrag.types import Evidence


class ZoomArguments(ToolArguments):
    """What to enlarge: a region by its number, or a box in thousandths of the page."""

    tool: Literal["zoom"] = "zoom"
    evidence_id: str = Field(max_length=20)
    region: int | None = Field(default=None, description="number of the region")
    box: tuple[float, float, float, float] | None = Field(
        default=None, description="[left, top, right, bottom], each 0 to 1000"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.region is None) == (self.box is None):
            raise ValueError("give either region or box")
        return self


class ZoomTool:
    """Shows a region or a box of a page, enlarged, with the text inside."""

    name = "zoom"
    purpose = "enlarge a region or a box of a page, such as a chart or small print"
    arguments = ZoomArguments

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def announce(self, arguments: ZoomArguments) -> str:
        """Say into which page."""
        evidence = self._desk.evidence(arguments.evidence_id)
        return f"zooming into {evidence.hit.doc}, page {evidence.hit.page_no}"

    def run(self, arguments: ZoomArguments) -> Observation:
        """Show the part of the page."""
        evidence = self._desk.evidence(arguments.evidence_id)
        page = self._desk.page(evidence)
        clip = self._clip(evidence, arguments)
        where = f"{place_of(evidence)}, box {self._desk.on_grid(page, clip)}"
        return Observation(self._desk.zoom(evidence, clip), where, (evidence.evidence_id,))

    def _clip(self, evidence: Evidence, arguments: ZoomArguments) -> Box:
        if arguments.box is not None:
            return self._desk.box(self._desk.page(evidence), arguments.box)
        return self._desk.region(evidence, arguments.region if arguments.region is not None else -1).box
