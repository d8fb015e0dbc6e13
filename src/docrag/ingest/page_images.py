"""Pictures of pages and of regions on them, for encoders that look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from docrag.errors import IngestError
from docrag.geometry import Box
from docrag.protocols import RgbImage
from docrag.types import Reason

CROP_MARGIN_PT = 6.0
"""White around a region's content tells where it ends; half a line of text."""

MAX_CROP_DPI = 200.0
"""Small regions are enlarged at most so far: beyond it there is nothing more to see."""

_POINTS_PER_INCH = 72.0


class Crop(NamedTuple):
    """A region to cut out: its chunk, and its box on the page."""

    chunk_no: int
    box: Box


@dataclass(frozen=True, slots=True)
class PageImages:
    """Pictures of one page: the whole page under chunk 0, regions under theirs.

    `failures` are regions that could not be drawn, and why.
    """

    page_no: int
    images: tuple[tuple[int, RgbImage], ...]
    failures: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ImageJob:
    """What to draw of a page of this size: the page itself or not, and which regions."""

    width_pt: float
    height_pt: float
    with_page: bool
    crops: Sequence[Crop]


def dpi_for(width_pt: float, height_pt: float, *, longest_px: int) -> float:
    """The resolution at which the longer side has `longest_px` pixels."""
    longest_pt = max(width_pt, height_pt)
    if not longest_pt > 0:
        raise IngestError(Reason.PAGE_UNREADABLE, f"a page of {width_pt} × {height_pt} points has no area")
    return longest_px * _POINTS_PER_INCH / longest_pt


def padded(box: Box, width_pt: float, height_pt: float) -> Box:
    """The box with a margin, kept on the page."""
    return box.padded(CROP_MARGIN_PT).clipped(width_pt, height_pt)


Jobs = Mapping[str, Mapping[int, ImageJob]]
"""What to draw, by path and page number."""
