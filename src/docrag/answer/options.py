"""Options of the answerers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ExtractiveOptions(BaseModel):
    """How answers are picked from the pages, without a model.

    `n_pages` is how many retrieved pages are read. `threshold` is the least calibrated confidence at which an
    answer is given; None takes the one that was fitted together with the calibration.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["extractive"] = "extractive"
    n_pages: int = Field(default=5, ge=1, le=50)
    threshold: float | None = Field(default=None, ge=0, le=1)
