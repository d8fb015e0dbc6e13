"""How pages are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from docrag.ingest.pixels import MAX_RENDER_PIXELS

OcrMode = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What a page may cost.

    `ocr`: "auto" reads pages and pictures whose text layer is missing or unusable; "always" every page in
    full, beside its text layer; "never" none. `ocr_dpi` is the resolution that OCR renders at, lowered
    where a picture would have more than `max_pixels` pixels.
    """

    ocr: OcrMode = "auto"
    ocr_dpi: float = 150.0
    max_pixels: int = MAX_RENDER_PIXELS
