"""From detected boxes to regions that own every word exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from docrag.geometry import Box, union_box
from docrag.ingest.layout_fast import blocks_of
from docrag.ingest.lines import Line, is_right_to_left, lines_of
from docrag.ingest.page_text import RegionDraft
from docrag.ingest.reading_order import reading_order
from docrag.protocols import LayoutBox, RawPage

_KEPT_EMPTY = frozenset({"picture", "table", "formula"})


def regions_of(page: RawPage, detected: Sequence[LayoutBox]) -> list[RegionDraft]:
    """Regions in reading order. A word goes to the smallest box around its centre; words that no box
    covers form text regions of their own; boxes without words stay only as pictures, tables and formulas.
    """
    owned: dict[int, list[int]] = {i: [] for i in range(len(detected))}
    free: list[int] = []
    by_area = sorted(range(len(detected)), key=lambda i: detected[i].box.area)
    for index, word in enumerate(page.words):
        x, y = word.box.center
        owner = next((i for i in by_area if detected[i].box.contains_point(x, y)), None)
        (free if owner is None else owned[owner]).append(index)
    drafts: list[RegionDraft] = []
    for i, found in enumerate(detected):
        lines = _lines(page, owned[i])
        if not lines and found.kind not in _KEPT_EMPTY:
            continue
        box = union_box([found.box, *(line.box for line in lines)]).clipped(page.width_pt, page.height_pt)
        drafts.append(RegionDraft(found.kind, box, tuple(lines)))
    for block in blocks_of(_lines(page, free)):
        drafts.append(RegionDraft("text", union_box(line.box for line in block), tuple(block)))
    rtl = is_right_to_left("".join(word.text for word in page.words))
    boxes: list[Box] = [draft.box for draft in drafts]
    return [drafts[i] for i in reading_order(boxes, right_to_left=rtl)]


def _lines(page: RawPage, indices: Sequence[int]) -> list[Line]:

    lines = lines_of([page.words[i] for i in indices])
    return [replace(line, words=tuple(indices[i] for i in line.words)) for line in lines]
