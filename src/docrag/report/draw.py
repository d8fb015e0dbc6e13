"""Draw regions and words over the picture of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from docrag.geometry import POINTS_PER_INCH, Box
from docrag.protocols import RgbImage
from docrag.types import Page, RegionKind

if TYPE_CHECKING:
    from PIL.Image import Image

REGION_COLORS: dict[RegionKind, str] = {
    "text": "#2563eb",
    "section-header": "#9333ea",
    "list-item": "#0891b2",
    "table": "#16a34a",
    "picture": "#ea580c",
    "formula": "#db2777",
    "caption": "#ca8a04",
    "footnote": "#64748b",
    "page-header": "#94a3b8",
    "page-footer": "#94a3b8",
}
TEXT_WORD_COLOR = "#2563eb"
OCR_WORD_COLOR = "#dc2626"
LABEL_PT = 6.5
_FILL_ALPHA = 28
MARK_COLOR = "#f59e0b"
_MARK_ALPHA = 70


def draw_page(image: RgbImage, page: Page, *, dpi: float, regions: bool = True, words: bool = True) -> Image:
    """Return the page's picture with region boxes (reading order and kind) and word boxes drawn over it.

    Words of the text layer are blue, words that OCR read are red. `dpi` is what `image` was rendered at.
    """
    from PIL import Image, ImageDraw, ImageFont

    scale = dpi / POINTS_PER_INCH
    picture = Image.fromarray(image).convert("RGBA")
    overlay = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    canvas = ImageDraw.Draw(overlay)
    font = ImageFont.load_default(size=LABEL_PT * scale)
    if regions:
        for region in page.regions:
            color = REGION_COLORS[region.kind]
            box = _pixels(region.box, scale)
            canvas.rectangle(box, fill=f"{color}{_FILL_ALPHA:02x}", outline=color, width=2)
            label = f" {region.order} {region.kind} "
            left, top, right, bottom = canvas.textbbox((0, 0), label, font=font)
            x = min(box[0], picture.width - (right - left))
            y = max(0.0, box[1] - (bottom - top) - 3)
            canvas.rectangle((x, y, x + right - left, y + bottom - top + 3), fill=color)
            canvas.text((x - left, y - top + 1), label, fill="white", font=font)
    if words:
        for word in page.words:
            canvas.rectangle(
                _pixels(word.box, scale), outline=OCR_WORD_COLOR if word.is_ocr else TEXT_WORD_COLOR, width=1
            )
    return Image.alpha_composite(picture, overlay).convert("RGB")


def mark_places(image: RgbImage, boxes: Sequence[Box], *, dpi: float) -> Image:
    """Return the page's picture with `boxes`, in points, marked as by a highlighter and framed."""
    from PIL import Image, ImageDraw

    scale = dpi / POINTS_PER_INCH
    picture = Image.fromarray(image).convert("RGBA")
    overlay = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    canvas = ImageDraw.Draw(overlay)
    for box in boxes:
        canvas.rectangle(
            _pixels(box, scale), fill=f"{MARK_COLOR}{_MARK_ALPHA:02x}", outline=MARK_COLOR, width=2
        )
    return Image.alpha_composite(picture, overlay).convert("RGB")


def _pixels(box: Box, scale: float) -> tuple[float, float, float, float]:
    left, top, right, bottom = box.scaled(scale)
    return left, top, right, bottom
