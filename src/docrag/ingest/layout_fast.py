"""Layout regions from geometry alone: type sizes, gaps, rules and images; no model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

from docrag.geometry import Box, union_box
from docrag.ingest.blocks import blocks_of, joined_markers, starts_item
from docrag.ingest.captions import caption_label
from docrag.ingest.furniture import furniture_kind
from docrag.ingest.lines import Line, joined_fragments, lines_of
from docrag.ingest.picture_finder import vector_pictures
from docrag.ingest.table_finder import aligned_tables, ruled_tables
from docrag.protocols import LayoutBox, PageSource, RawPage
from docrag.types import RegionKind

_HEADING_SIZE = 1.15  # times the body size
_TITLE_SIZE = 1.5  # type this large is a heading even when it ends like a sentence
_MAX_HEADING_WORDS = 20
_MAX_HEADING_LINES = 3
_FOOTNOTE_SIZE = 0.9
_FOOTNOTE_FROM = 0.6  # of the page's height
_FOOTNOTE_MARK = re.compile(r"(?:\d{1,2}|[*†‡§]|\([a-z0-9]\))\s*\S")
_BOLD_BODY = 0.5
_MAX_PICTURE_SHARE = 0.3


class FastLayout:
    """Finds regions by geometry; has no state and reads nothing but the page given."""

    def detect(self, page: RawPage, source: PageSource) -> list[LayoutBox]:
        """Tables, vector pictures and blocks of text of the page; `source` is not used.

        Raster images are left out: they become pictures whichever detector ran.
        """
        lines = joined_markers(joined_fragments(lines_of(page.words)))
        grids = ruled_tables(page.drawings, lines)
        pictures = vector_pictures(page, lines, grids)
        images = _solid_images(page)
        aligned = aligned_tables(_outside(lines, [*grids, *pictures, *images]))
        tables = [*grids, *(box for box in aligned if not _holds_pictures(box, pictures))]
        found = [LayoutBox("table", box, 1.0) for box in tables]
        found += [LayoutBox("picture", box, 1.0) for box in pictures]
        free = _outside(lines, [*tables, *pictures, *images])
        if not free:
            return found
        body_size_pt = median(line.size_pt for line in free for _ in line.words)
        n_bold = sum(len(line.words) for line in free if line.is_bold)
        has_bold_body = n_bold > _BOLD_BODY * sum(len(line.words) for line in free)
        for block in blocks_of(free):
            kind = furniture_kind(
                block, lines, page_height_pt=page.height_pt, body_size_pt=body_size_pt
            ) or _kind_of(block, page.height_pt, body_size_pt, bold_tells=not has_bold_body)
            found.append(LayoutBox(kind, union_box(line.box for line in block), 1.0))
        return found


def _outside(lines: Sequence[Line], boxes: Sequence[Box]) -> list[Line]:
    return [line for line in lines if not any(box.contains_point(*line.box.center) for box in boxes)]


def _holds_pictures(table: Box, pictures: Sequence[Box]) -> bool:
    """Whether pictures fill much of `table`: then its rows and columns are the labels on their axes."""
    return sum(table.overlap_fraction(picture) for picture in pictures) > _MAX_PICTURE_SHARE


def _solid_images(page: RawPage) -> list[Box]:
    """Images that text of the page can belong to: neither icons nor backgrounds."""
    page_area = page.width_pt * page.height_pt
    return [image for image in page.images[:300] if 0.01 <= image.area / page_area < 0.5]


def _kind_of(
    block: Sequence[Line], page_height_pt: float, body_size_pt: float, *, bold_tells: bool
) -> RegionKind:
    text = " ".join(line.text for line in block)
    size_pt = block[0].size_pt
    n_words = sum(len(line.words) for line in block)
    if caption_label(text) is not None:
        return "caption"
    is_short = n_words <= _MAX_HEADING_WORDS and len(block) <= _MAX_HEADING_LINES
    if is_short and any(c.isalpha() for c in text):
        is_large = size_pt >= _HEADING_SIZE * body_size_pt
        is_strong = bold_tells and block[0].is_bold and size_pt >= 0.95 * body_size_pt
        is_open = not text.endswith((".", ",", ";"))
        if size_pt >= _TITLE_SIZE * body_size_pt or (is_open and (is_large or is_strong)):
            return "section-header"
    if starts_item(text):
        return "list-item"
    is_low = block[0].box.y0 > _FOOTNOTE_FROM * page_height_pt
    if is_low and size_pt <= _FOOTNOTE_SIZE * body_size_pt and _FOOTNOTE_MARK.match(text):
        return "footnote"
    return "text"
