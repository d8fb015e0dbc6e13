"""What the planner's tools work with: one run, the index within one scope, and a viewer of its pages."""

from __future__ import annotations

from dataclasses import replace

from docrag.agents.tools.tool import ToolRefused
from docrag.answer.context import EVIDENCE_CHARS, Viewer
from docrag.answer.run import Run
from docrag.answer.search import Search
from docrag.answer.visible_text import visible_text, without_disguise
from docrag.chat.fence import fenced
from docrag.chat.messages import Part
from docrag.geometry import Box
from docrag.protocols import Corpus
from docrag.types import Evidence, Hit, Page, Query, Region, Scope, UnitRef

GRID = 1_000
"""Boxes are told to models in thousandths of the page's width and height, as vision models are trained on."""
SNIPPET_CHARS = 300


class Desk:
    """Finds, shows and crops pages within one question's scope; everything shown is issued as evidence.

    Nothing outside the scope can be reached: tools name pages by evidence ids, which only a search within the
    scope, or a step to a neighbouring page of the same document, can issue.
    """

    def __init__(self, run: Run, corpus: Corpus, search: Search, *, viewer: Viewer, scope: Scope) -> None:
        self._run = run
        self._corpus = corpus
        self._search = search
        self._viewer = viewer
        self._scope = scope

    def search(self, text: str, *, k: int) -> list[Evidence]:
        """Return the best pages for a text, issued as evidence, best first."""
        query = Query(text, unit="page", scope=self._scope)
        found = self._search(query, k=k, listener=self._run.listener)
        for warning in found.warnings:
            self._run.warn(warning)
        self._run.search_usage.append(found.usage)
        return [self._issue(hit) for hit in found.hits]

    def _issue(self, hit: Hit) -> Evidence:
        page = replace(hit, unit=hit.unit.as_page)
        shown = visible_text(self._corpus.page(page.unit.page)).text
        return self._run.ledger.issue(page, shown[:EVIDENCE_CHARS])

    def evidence(self, evidence_id: str, *, offset: int = 0) -> Evidence:
        """Return issued evidence, or the page `offset` pages after it; raises `ToolRefused`."""
        evidence = self._run.ledger.get(evidence_id)
        if evidence is None:
            known = ", ".join(e.evidence_id for e in self._run.ledger.issued) or "none yet; search first"
            raise ToolRefused(f"{evidence_id[:40]!a} is no evidence id; the ids are: {known}")
        if not offset:
            return evidence
        unit = evidence.hit.unit
        page_no = unit.page_no + offset
        labels = self._corpus.page_labels(unit.doc_id)
        if page_no not in labels or not self._scope.allows_page(page_no):
            raise ToolRefused(
                f"{evidence_id} is page {unit.page_no}; there is no page {page_no} to read in its document"
            )
        near = Hit(UnitRef(unit.doc, page_no, 0, unit.doc_id), labels[page_no], 0.0, {}, "")
        return self._issue(near)

    def snippet(self, evidence: Evidence) -> str:
        """Return what the search quotes of a page, or where readers do not see that, how the page begins."""
        seen = " ".join(visible_text(self.page(evidence)).text.split())
        quoted = " ".join(evidence.hit.snippet.split())
        return quoted if quoted and quoted.strip("… ") in seen else seen[:SNIPPET_CHARS]

    def page(self, evidence: Evidence) -> Page:
        """Return the page of evidence."""
        return self._corpus.page(evidence.hit.unit.page)

    def region(self, evidence: Evidence, order: int) -> Region:
        """Return a region of a page by its number; raises `ToolRefused`."""
        regions = self.page(evidence).regions
        name = evidence.evidence_id
        if not regions:
            raise ToolRefused(f"{name} has no regions; zoom into a box instead")
        if not 0 <= order < len(regions):
            raise ToolRefused(f"{name} has no region {order}; its regions are 0 to {len(regions) - 1}")
        return regions[order]

    def box(self, page: Page, grid_box: tuple[float, float, float, float]) -> Box:
        """Return a box given in thousandths of the page in points; raises `ToolRefused` for an empty one."""
        x, y = page.width_pt / GRID, page.height_pt / GRID
        x0, y0, x1, y1 = grid_box
        box = Box(x0 * x, y0 * y, x1 * x, y1 * y).clipped(page.width_pt, page.height_pt)
        if box.width < 1 or box.height < 1:
            raise ToolRefused(
                f"the box {list(grid_box)} is empty; give [left, top, right, bottom] from 0 to {GRID}"
            )
        return box

    def on_grid(self, page: Page, box: Box) -> str:
        """Write a box in thousandths of the page."""
        x, y = GRID / page.width_pt, GRID / page.height_pt
        return f"[{box.x0 * x:.0f}, {box.y0 * y:.0f}, {box.x1 * x:.0f}, {box.y1 * y:.0f}]"

    def fenced(self, text: str, *, label: str) -> str:
        """Return text of a document as data, without disguise, cut to what is shown of one page."""
        plain = without_disguise(text).text
        limit = self._viewer.options.max_text_chars
        cut = plain if len(plain) <= limit else plain[:limit] + "\n[cut]"
        return fenced(cut, self._run.marker, label=label)

    def show(self, evidence: Evidence) -> tuple[Part, ...]:
        """Return a whole page as it is shown to the planner: picture and text."""
        return self._viewer.show(self._run, [evidence.hit], role="plan").parts

    def zoom(self, evidence: Evidence, box: Box) -> tuple[Part, ...]:
        """Return a part of a page at reading resolution, with the text inside."""
        return self._viewer.zoom(self._run, evidence.hit, box, role="plan").parts


def place_of(evidence: Evidence) -> str:
    """Name a page as people do, with its evidence id: "E3: report.pdf, page 12 (printed iv)"."""
    hit = evidence.hit
    printed = f" (printed {hit.page_label})" if hit.page_label not in ("", str(hit.page_no)) else ""
    name = without_disguise(" ".join(hit.doc.split())).text
    return f"{evidence.evidence_id}: {name}, page {hit.page_no}{printed}"
