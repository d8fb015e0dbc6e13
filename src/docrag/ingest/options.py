"""How files are read: the options of `index`, their limits, and which of them change the result."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from docrag.devices import usable_cores

MAX_DEFAULT_WORKERS = 8
"""More workers than this rarely help a laptop, and each takes some 400 MB with the layout model loaded."""

RESULT_VERSION = 4
"""Raised when the code reads the same page differently, so that half-read files are not continued."""


class IngestLimits(BaseModel):
    """What one file may cost. A limit that is reached fails the page (or refuses the file) by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    page_cpu_s: Annotated[float, Field(gt=0)] = Field(
        default=60.0, description="CPU seconds for one page, OCR included"
    )
    open_cpu_s: Annotated[float, Field(gt=0)] = Field(
        default=60.0,
        description="CPU seconds for opening a file, repairing its cross-reference table included",
    )
    wall_factor: Annotated[float, Field(ge=1)] = Field(
        default=4.0,
        description="wall-clock limit as a multiple of the CPU limit: other programs may keep the CPU busy",
    )
    memory_mb: Annotated[int, Field(ge=256)] = Field(
        default=1536,
        description="resident memory of a worker in MB, and what it may allocate on top of its start",
    )
    max_pixels: Annotated[int, Field(ge=1_000_000)] = Field(
        default=40_000_000,
        description="pixels of the largest picture of a page; a larger one is rendered at a lower resolution",
    )
    max_pages: Annotated[int, Field(ge=1)] = Field(
        default=100_000, description="a file that declares more pages is refused"
    )
    max_crashes: Annotated[int, Field(ge=1)] = Field(
        default=8, description="workers that a file may take with it before its remaining pages are not tried"
    )


class IngestOptions(BaseModel):
    """How files are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: Literal["ml", "fast"] = Field(
        default="ml",
        description="regions by PyMuPDF's bundled model, or by geometry alone, about five times faster",
    )
    ocr: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="auto: pages without a usable text layer, and pictures; or every page; or none",
    )
    ocr_dpi: Annotated[int, Field(ge=50, le=600)] = Field(
        default=150, description="resolution of the pictures that OCR reads"
    )
    parser: Literal["auto", "pymupdf", "pdfium"] = Field(
        default="auto",
        description="auto: PyMuPDF, then pypdfium2 where that fails; pdfium avoids PyMuPDF's AGPL",
    )
    n_workers: Annotated[int, Field(ge=1, le=256)] | None = Field(
        default=None, description="processes of one thread each; null starts one per CPU, at most 8"
    )
    recycle_after_pages: Annotated[int, Field(ge=1)] = Field(
        default=2000, description="pages after which a worker is replaced, against leaks in native code"
    )
    limits: IngestLimits = Field(default=IngestLimits(), description="what one file may cost")

    def worker_count(self) -> int:
        """Number of worker processes to start."""
        return self.n_workers or min(usable_cores(), MAX_DEFAULT_WORKERS)

    def fingerprint(self) -> str:
        """Equal for options that read every page alike; a file half read with others is read afresh."""
        changing = self.model_dump_json(include={"layout", "ocr", "ocr_dpi", "parser"})
        budget = self.limits.max_pixels
        return hashlib.sha256(f"{RESULT_VERSION} {changing} {budget}".encode()).hexdigest()[:16]
