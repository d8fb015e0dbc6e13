"""Cut the part of a page that a citation points to, as a picture for a report."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from docrag.geometry import POINTS_PER_INCH, Box, union_box
from docrag.protocols import PageSource
from docrag.types import Citation

CROP_WIDTH_PX = 1400
"""Sharp on a phone's and a laptop's screen alike; a crop takes some 50 to 150 KB."""
JPEG_QUALITY = 80

_MARGIN_FRACTION = 0.06
_MIN_WIDTH_FRACTION = 0.65
_MIN_HEIGHT_FRACTION = 0.22
"""Share of the page that a crop shows at least: a lone line says little without its surroundings."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A JPEG of the part `box` of a page, both in points of the page as displayed."""

    jpeg: bytes
    box: Box
    marks: tuple[Box, ...]

    @property
    def data_uri(self) -> str:
        """The picture as a ``data:`` URI."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode('ascii')}"


def crop_box(boxes: tuple[Box, ...], page_size: tuple[float, float]) -> Box:
    """The part of the page around `boxes`, with a margin; the whole page when there are none."""
    width_pt, height_pt = page_size
    if not boxes:
        return Box(0.0, 0.0, width_pt, height_pt)
    around = union_box(boxes)
    left, right = _widen(around.x0, around.x1, width_pt, _MIN_WIDTH_FRACTION)
    top, bottom = _widen(around.y0, around.y1, height_pt, _MIN_HEIGHT_FRACTION)
    return Box(left, top, right, bottom)


def _widen(start: float, end: float, size_pt: float, min_fraction: float) -> tuple[float, float]:
    """Grow an interval by the margin, to the least size at least, and shift it into the page."""
    length = min(size_pt, max(end - start + 2 * _MARGIN_FRACTION * size_pt, min_fraction * size_pt))
    first = min(max(0.0, (start + end - length) / 2), size_pt - length)
    return first, first + length


def cut(source: PageSource, citation: Citation) -> Crop:
    """Render the surroundings of a citation's boxes."""
    return cut_place(source, citation.page_no, citation.boxes, page_size=citation.page_size)


def cut_place(
    source: PageSource,
    page_no: int,
    boxes: tuple[Box, ...],
    *,
    page_size: tuple[float, float],
    width_px: int = CROP_WIDTH_PX,
) -> Crop:
    """Render the surroundings of `boxes` on a page, `width_px` wide; the whole page when there are none."""
    from PIL import Image

    box = crop_box(boxes, page_size)
    dpi = width_px / box.width * POINTS_PER_INCH
    buffer = io.BytesIO()
    Image.fromarray(source.render(page_no, dpi=dpi, clip=box)).save(
        buffer, "JPEG", quality=JPEG_QUALITY, optimize=True
    )
    return Crop(buffer.getvalue(), box, boxes)
