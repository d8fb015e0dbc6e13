"""What a worker does: open a PDF within its limits, and read its pages with layout and OCR."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from docrag.errors import IngestError
from docrag.ingest.open_pdf import Parser, open_source
from docrag.ingest.options import IngestOptions
from docrag.ingest.page import read_page
from docrag.ingest.page_options import PageOptions
from docrag.protocols import LayoutDetector, Ocr, PageSource
from docrag.types import Page, Reason


class PdfReader:
    """Reads PDFs as `options` say. Models are loaded when the first page needs them."""

    def __init__(self, options: IngestOptions) -> None:
        self._options = options
        self._page_options = PageOptions(
            ocr=options.ocr, ocr_dpi=options.ocr_dpi, max_pixels=options.limits.max_pixels
        )
        self._detector: LayoutDetector | None = None
        self._ocr = None if options.ocr == "never" else _ocr()

    def open(self, path: Path, *, parser: str, password: str | None) -> PageSource:
        """Open a file; `IngestError` with a reason when that fails or it has too many pages."""
        source = open_source(path, parser=cast("Parser", parser), password=password)
        limit = self._options.limits.max_pages
        if source.n_pages > limit:
            n_pages = source.n_pages
            source.close()
            raise IngestError(
                Reason.TOO_MANY_PAGES,
                f"{path.name}: has {n_pages:,} pages, more than the limit of {limit:,}; "
                "split it, or raise ingest.limits.max_pages",
            )
        return source

    def read(self, source: PageSource, page_no: int) -> Page:
        """Read one page; `IngestError` with a reason when that fails."""
        if self._detector is None:
            self._detector = _detector(self._options.layout)
        return read_page(source, page_no, detector=self._detector, ocr=self._ocr, options=self._page_options)


# Models are imported where they are needed: the parent process imports this module too, to name `PdfReader`.


def _ocr() -> Ocr:
    from docrag.ingest.rapid_ocr import RapidOcr

    return RapidOcr()


def _detector(layout: str) -> LayoutDetector:
    if layout == "ml":
        from docrag.ingest.layout_ml import MlLayout

        return MlLayout()
    from docrag.ingest.layout_fast import FastLayout

    return FastLayout()
