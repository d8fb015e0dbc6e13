"""From detected boxes to regions that own every word exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from docrag.geometry import union_box
from docrag.ingest.blocks import blocks_of
from docrag.ingest.lines import Line, is_right_to_left, lines_of
from docrag.ingest.ocr_use import merged_tiles
from docrag.ingest.page_text import RegionDraft
from docrag.ingest.reading_order import reading_order
from docrag.ingest.tables import table_of
from docrag.protocols import LayoutBox, RawPage

_KEPT_EMPTY = frozenset({"picture", "table", "formula"})
_MIN_IMAGE_SHARE = 0.01  # of the page; smaller images are icons and bullets
_BACKGROUND_SHARE = 0.85
_SAME_PLACE = 0.7
_MAX_IMAGES = 300
_ORDER_OF_FURNITURE = {"page-header": -1, "page-footer": 1}


def with_images(page: RawPage, detected: Sequence[LayoutBox]) -> list[LayoutBox]:
    """`detected` with the page's raster images added as pictures, backgrounds and icons left out."""
    page_area = page.width_pt * page.height_pt
    pictures = [found.box for found in detected if found.kind in ("picture", "table")]
    added: list[LayoutBox] = []
    for box in merged_tiles([image for image in page.images[:_MAX_IMAGES] if image.area > 0]):
        if not _MIN_IMAGE_SHARE <= box.area / page_area < _BACKGROUND_SHARE:
            continue
        if any(
            box.overlap_fraction(other) > _SAME_PLACE or other.overlap_fraction(box) > _SAME_PLACE
            for other in pictures
        ):
            continue
        added.append(LayoutBox("picture", box, 1.0))
    return [*detected, *added]


def regions_of(page: RawPage, detected: Sequence[LayoutBox]) -> list[RegionDraft]:
    """Regions in reading order; page headers come first and page footers last.

    A word goes to the smallest box around its centre; words that no box covers form text regions of their
    own; boxes without words stay only as pictures, tables and formulas.
    """
    owned: list[list[int]] = [[] for _ in detected]
    free: list[int] = []
    by_area = sorted(range(len(detected)), key=lambda i: detected[i].box.area)
    for index, word in enumerate(page.words):
        x, y = word.box.center
        owner = next((i for i in by_area if detected[i].box.contains_point(x, y)), None)
        (free if owner is None else owned[owner]).append(index)
    drafts: list[RegionDraft] = []
    for found, indices in zip(detected, owned, strict=True):
        lines = _lines(page, indices)
        if not lines and found.kind not in _KEPT_EMPTY:
            continue
        # The box of text is the box of its words: a detector's box cuts letters off or holds air.
        held = [line.box for line in lines]
        box = union_box([found.box, *held] if found.kind in _KEPT_EMPTY else held)
        box = box.clipped(page.width_pt, page.height_pt)
        table = table_of(page, box, indices) if found.kind == "table" else None
        drafts.append(RegionDraft(found.kind, box, tuple(lines), table))
    for block in blocks_of(_lines(page, free)):
        drafts.append(RegionDraft("text", union_box(line.box for line in block), tuple(block)))
    rtl = is_right_to_left("".join(word.text for word in page.words))
    ordered = [drafts[i] for i in reading_order([draft.box for draft in drafts], right_to_left=rtl)]
    return sorted(ordered, key=lambda draft: _ORDER_OF_FURNITURE.get(draft.kind, 0))


def _lines(page: RawPage, indices: Sequence[int]) -> list[Line]:
    lines = lines_of([page.words[i] for i in indices])
    return [replace(line, words=tuple(indices[i] for i in line.words)) for line in lines]
