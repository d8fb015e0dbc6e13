"""What a worker does to draw pages: open a PDF, and render pages and crops of a bounded size."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from docrag.errors import IngestError
from docrag.geometry import Box
from docrag.ingest.open_pdf import Parser, open_source
from docrag.ingest.page_images import MAX_CROP_DPI, Jobs, PageImages, dpi_for, padded
from docrag.protocols import PageSource, RgbImage


class ImageReader:
    """Draws what `jobs` ask for. `longest_px` bounds the longer side of a page, and of a crop."""

    def __init__(self, jobs: Jobs, longest_px: int) -> None:
        self._jobs = jobs
        self._longest_px = longest_px
        self._path = ""

    def open(self, path: Path, *, parser: str, password: str | None) -> PageSource:
        """Open a file; `IngestError` with a reason when that fails."""
        self._path = str(path)
        return open_source(path, parser=cast("Parser", parser), password=password)

    def read(self, source: PageSource, page_no: int) -> PageImages:
        """Draw one page; `IngestError` with a reason when that fails."""
        job = self._jobs[self._path][page_no]
        images: list[tuple[int, RgbImage]] = []
        failures: list[tuple[int, str]] = []
        dpi = dpi_for(job.width_pt, job.height_pt, longest_px=self._longest_px)
        if job.with_page:
            images.append((0, source.render(page_no, dpi=dpi)))
        for crop in job.crops:
            box = padded(crop.box, job.width_pt, job.height_pt)
            try:
                images.append((crop.chunk_no, self._draw(source, page_no, box)))
            except (IngestError, ValueError) as error:
                failures.append((crop.chunk_no, str(error)))
        return PageImages(page_no, tuple(images), tuple(failures))

    def _draw(self, source: PageSource, page_no: int, box: Box) -> RgbImage:
        x0, y0, x1, y1 = box
        dpi = min(dpi_for(x1 - x0, y1 - y0, longest_px=self._longest_px), MAX_CROP_DPI)
        return source.render(page_no, dpi=dpi, clip=box)
