"""How files are read: the options of `index`, their limits, and which of them change the result."""

from __future__ import annotations

import hashlib
import os
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_DEFAULT_WORKERS = 8
"""More workers than this rarely help a laptop, and each takes some 400 MB with the layout model loaded."""

RESULT_VERSION = 3
"""Raised when the code reads the same page differently, so that half-read files are not continued."""


class IngestLimits(BaseModel):
    """What one file may cost. A limit that is reached fails the page (or refuses the file) by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    page_cpu_s: Annotated[float, Field(gt=0)] = 60.0
    """CPU seconds for one page, OCR included."""
    open_cpu_s: Annotated[float, Field(gt=0)] = 60.0
    """CPU seconds for opening a file, repairing its cross-reference table included."""
    wall_factor: Annotated[float, Field(ge=1)] = 4.0
    """Wall-clock limit as a multiple of the CPU limit: other programs may keep the CPU busy."""
    memory_mb: Annotated[int, Field(ge=256)] = 1536
    """Resident memory of a worker, and the address space it may take on top of what it has at its start."""
    max_pixels: Annotated[int, Field(ge=1_000_000)] = 40_000_000
    """Largest picture of a page or of a part of it; a larger one is rendered at a lower resolution."""
    max_pages: Annotated[int, Field(ge=1)] = 100_000
    """A file that declares more pages is refused."""
    max_crashes: Annotated[int, Field(ge=1)] = 8
    """After a file has taken this many workers with it, its remaining pages are not tried."""


class IngestOptions(BaseModel):
    """How files are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: Literal["ml", "fast"] = "ml"
    """Layout regions from PyMuPDF's bundled model, or from geometry alone (about five times faster)."""
    ocr: Literal["auto", "always", "never"] = "auto"
    """OCR where the text layer is missing or unusable and inside pictures; of every page; or not at all."""
    ocr_dpi: Annotated[int, Field(ge=50, le=600)] = 150
    """Resolution of the pictures that OCR reads."""
    parser: Literal["auto", "pymupdf", "pdfium"] = "auto"
    """PyMuPDF, then pypdfium2 where that fails; or one of them (pdfium avoids PyMuPDF's AGPL)."""
    n_workers: Annotated[int, Field(ge=1, le=256)] | None = None
    """Worker processes of one thread each; default: one per CPU, at most 8."""
    recycle_after_pages: Annotated[int, Field(ge=1)] = 2000
    """A worker is replaced after this many pages, against leaks in native code."""
    limits: IngestLimits = IngestLimits()

    def worker_count(self) -> int:
        """Number of worker processes to start."""
        return self.n_workers or min(available_cpus(), MAX_DEFAULT_WORKERS)

    def fingerprint(self) -> str:
        """Equal for options that read every page alike; a file half read with others is read afresh."""
        changing = self.model_dump_json(include={"layout", "ocr", "ocr_dpi", "parser"})
        budget = self.limits.max_pixels
        return hashlib.sha256(f"{RESULT_VERSION} {changing} {budget}".encode()).hexdigest()[:16]


def available_cpus() -> int:
    """CPUs this process may use, which a container or `taskset` can make fewer than the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
