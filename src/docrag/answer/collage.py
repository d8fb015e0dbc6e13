"""Several pages in one picture, each under its evidence id (ViDoRAG's packing)."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import NamedTuple

from docrag.chat.messages import ImagePart

GAP_PX = 40
"""Space between pages, as in ViDoRAG."""
LABEL_PX = 36
JPEG_QUALITY = 85


class Grid(NamedTuple):
    """Cells of a collage: columns, rows, and the size of a page in it."""

    n_columns: int
    n_rows: int
    cell_width_px: int
    cell_height_px: int

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the whole picture."""
        width_px = self.n_columns * self.cell_width_px + (self.n_columns + 1) * GAP_PX
        height_px = self.n_rows * (self.cell_height_px + LABEL_PX) + (self.n_rows + 1) * GAP_PX
        return width_px, height_px


def grid_for(n_pages: int, *, cell_px: tuple[int, int]) -> Grid:
    """Return a nearly square arrangement of `n_pages` cells of ``(width_px, height_px)``."""
    n_columns = max(1, math.ceil(math.sqrt(n_pages)))
    return Grid(n_columns, max(1, math.ceil(n_pages / n_columns)), *cell_px)


def collage(pictures: Sequence[tuple[str, ImagePart]], grid: Grid) -> ImagePart:
    """Put pictures with their labels into the cells, row by row; equal input gives equal bytes.

    A picture larger than its cell is scaled down, none is scaled up.
    """
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.new("RGB", grid.size_px, "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=LABEL_PX * 0.7)
    for i, (label, part) in enumerate(pictures):
        row, column = divmod(i, grid.n_columns)
        x = GAP_PX + column * (grid.cell_width_px + GAP_PX)
        y = GAP_PX + row * (grid.cell_height_px + LABEL_PX + GAP_PX)
        draw.text((x, y), label, fill="black", font=font)
        with Image.open(io.BytesIO(part.data)) as picture:
            cell = picture.convert("RGB")
        cell.thumbnail((grid.cell_width_px, grid.cell_height_px))
        canvas.paste(cell, (x, y + LABEL_PX))
        draw.rectangle(
            (x - 1, y + LABEL_PX - 1, x + cell.width, y + LABEL_PX + cell.height), outline="#888888"
        )
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return ImagePart(
        buffer.getvalue(), "image/jpeg", *canvas.size, label=",".join(name for name, _ in pictures)
    )
