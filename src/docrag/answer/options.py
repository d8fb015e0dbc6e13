"""Options of the answerers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from docrag.answer.plain_output import LinkPolicy

Modality = Literal["text", "image", "both"]
"""What a model is shown of a page: UniDoc-Bench's paradigms. Which pages, is for retrieval to say."""
Order = Literal["rank", "document"]
Packing = Literal["separate", "collage"]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExtractiveOptions(_Options):
    """How answers are picked from the pages, without a model.

    `n_pages` is how many retrieved pages are read. `threshold` is the least calibrated confidence at which an
    answer is given; None takes the one that was fitted together with the calibration.
    """

    kind: Literal["extractive"] = "extractive"
    n_pages: int = Field(default=5, ge=1, le=50)
    threshold: float | None = Field(default=None, ge=0, le=1)


class ContextOptions(_Options):
    """What a model is shown of the pages that were found."""

    modality: Modality = "both"
    order: Order = Field(
        default="rank", description="document: page by page within a document, the best document first"
    )
    packing: Packing = Field(
        default="separate", description="collage: all pages in one picture, if their text stays legible"
    )
    dpi: float = Field(default=144.0, ge=36, le=600, description="of whole pages")
    min_dpi: float = Field(default=72.0, ge=36, le=600, description="as far as dpi is lowered to fit")
    crops: bool = Field(
        default=True,
        description="show retrieved regions as crops at reading resolution, too, not as text only",
    )
    max_text_chars: int = Field(default=12_000, ge=200, description="of one page")
    collage_px: int = Field(default=3_000, ge=500, le=10_000, description="longest side of a collage")
    min_line_px: float = Field(
        default=9.0, gt=0, description="height of the small lines on a collage below which it is not used"
    )
    reply_tokens: int = Field(default=1_500, ge=64, description="kept free in the model's context")

    @model_validator(mode="after")
    def _dpi_in_order(self) -> ContextOptions:
        if self.min_dpi > self.dpi:
            raise ValueError(f"min_dpi is {self.min_dpi:g}, expected at most dpi, {self.dpi:g}")
        return self


class CitingOptions(_Options):
    """What becomes of sentences and addresses that a model writes."""

    unsupported: Literal["mark", "drop"] = Field(
        default="mark",
        description="sentences without a citation that could be verified: kept with a warning, or left out",
    )
    links: LinkPolicy = Field(
        default="remove", description="web addresses in answers; text: kept without their scheme"
    )
