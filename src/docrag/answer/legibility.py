"""How large text is in a picture of a page, and at which resolution it can be read."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.geometry import POINTS_PER_INCH, Box
from docrag.types import Page

READING_LINE_PX = 18.0
"""Height of a line from which vision-language models read reliably; smaller lines cost them digits."""
MAX_CROP_DPI = 300.0
MAX_CROP_PX = 2000
"""Longest side of a crop: beyond it models scale down again, and the detail is paid for in vain."""
_SMALL_SHARE = 0.1


def small_line_pt(page: Page, box: Box | None = None) -> float | None:
    """Height of the small lines on a page or in `box`: the tenth percentile over words; None without words.

    Not the smallest: a superscript would decide over the page.
    """
    heights = sorted(
        min(word.box.height, word.box.width) if word.end - word.start > 2 else word.box.height
        for word in page.words
        if word.box.height > 0 and (box is None or box.contains_point(*word.box.center))
    )
    return heights[int(_SMALL_SHARE * (len(heights) - 1))] if heights else None


def small_line_px(pages: Sequence[Page], dpi: float) -> float | None:
    """Height in pixels of the smallest of the pages' small lines at `dpi`; None when no page has words."""
    heights = [height for page in pages if (height := small_line_pt(page)) is not None]
    return min(heights) * dpi / POINTS_PER_INCH if heights else None


def reading_dpi(page: Page, box: Box, *, at_least: float) -> float:
    """Resolution at which the small lines in `box` can be read, at least `at_least`, within limits."""
    height_pt = small_line_pt(page, box)
    wanted = MAX_CROP_DPI if height_pt is None else READING_LINE_PX / height_pt * POINTS_PER_INCH
    longest_pt = max(box.width, box.height, 1.0)
    return min(max(wanted, at_least), MAX_CROP_DPI, MAX_CROP_PX / longest_pt * POINTS_PER_INCH)
