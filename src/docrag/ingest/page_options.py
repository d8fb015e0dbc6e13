"""How pages are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OcrMode = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class PageOptions:
    """`ocr`: "auto" reads pages and pictures whose text layer is missing or unusable, "always" every page.

    `ocr_dpi` is the resolution that OCR renders at.
    """

    ocr: OcrMode = "auto"
    ocr_dpi: float = 144.0
