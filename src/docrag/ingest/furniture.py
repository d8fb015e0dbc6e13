"""Page headers and footers: short lines of ordinary size at the top and bottom edge, apart from the text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from docrag.ingest.lines import Line
from docrag.types import RegionKind

_EDGE_SHARE = 0.085  # a header or footer stands in this share of the page's height
_MAX_LINES = 3
_MAX_WORDS = 25
_MAX_SIZE_RATIO = 1.15  # larger type at the top is a title
_MIN_GAP_EM, _MIN_GAP_BOLD_EM = 0.8, 1.8
_PAGE_NUMBER = re.compile(
    r"(?:page\s*|p\.\s*|-\s*|[A-Z]{1,2}-)?(?:\d{1,4}|[ivxlc]{1,7})(?:\s*(?:of|/)\s*\d{1,4})?(?:\s*-)?",
    re.IGNORECASE,
)


def furniture_kind(
    block: Sequence[Line], others: Sequence[Line], *, page_height_pt: float, body_size_pt: float
) -> RegionKind | None:
    """``page-header`` or ``page-footer`` when `block` is one, else None; `others` are all the lines."""
    top = min(line.box.y0 for line in block)
    bottom = max(line.box.y1 for line in block)
    text = " ".join(line.text for line in block)
    at_top = (top + bottom) / 2 < _EDGE_SHARE * page_height_pt
    at_bottom = (top + bottom) / 2 > (1 - _EDGE_SHARE) * page_height_pt
    if not (at_top or at_bottom):
        return None
    kind: RegionKind = "page-header" if at_top else "page-footer"
    if _PAGE_NUMBER.fullmatch(text):
        return kind
    if len(block) > _MAX_LINES or len(text.split()) > _MAX_WORDS:
        return None
    if max(line.size_pt for line in block) > _MAX_SIZE_RATIO * body_size_pt:
        return None
    # What stands between the block and the middle of the page must keep its distance; bold type at the top
    # is more often a heading, which stands close to its text.
    if at_top:
        gap = min((o.box.y0 - bottom for o in others if o.box.center[1] > bottom), default=page_height_pt)
        least = _MIN_GAP_BOLD_EM if block[0].is_bold else _MIN_GAP_EM
    else:
        gap = min((top - o.box.y1 for o in others if o.box.center[1] < top), default=page_height_pt)
        least = _MIN_GAP_EM
    return kind if gap >= least * block[0].size_pt else None
