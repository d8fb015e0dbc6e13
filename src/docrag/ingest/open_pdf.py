"""Opening a PDF with the first parser that finds pages in it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from docrag.errors import IngestError
from docrag.protocols import PageSource
from docrag.types import Reason

Parser = Literal["auto", "pymupdf", "pdfium"]

# PDF viewers look for the header in the first 1,024 bytes (ISO 32000-1, Annex H, note 13).
_HEADER_WINDOW_BYTES = 1024


def open_source(path: Path, *, parser: Parser = "auto", password: str | None = None) -> PageSource:
    """Open a PDF; `PageSource.parser` says with what.

    "auto" tries PyMuPDF, then pypdfium2 when the first fails or finds no page.

    Raises
    ------
    IngestError
        ``io_error``, ``empty_file``, ``not_pdf``, ``encrypted`` (no or a wrong password), ``zero_pages``
        or ``xref_unrecoverable``. Where both parsers fail, a missing password is the reason that counts.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_WINDOW_BYTES)
    except OSError as error:
        raise IngestError(Reason.IO_ERROR, f"{path.name}: cannot be read ({error.strerror})") from error
    if not head:
        raise IngestError(Reason.EMPTY_FILE, f"{path.name}: the file has 0 bytes")
    failures: list[IngestError] = []
    for name in ("pymupdf", "pdfium") if parser == "auto" else (parser,):
        try:
            return _open_with(name, path, password)
        except IngestError as error:
            failures.append(error)
    for failure in failures:
        if failure.reason == Reason.ENCRYPTED:
            raise failure
    if b"%PDF-" not in head:
        raise IngestError(
            Reason.NOT_PDF, f"{path.name}: not a PDF: it starts with {head[:16]!r}, expected b'%PDF-'"
        ) from failures[0]
    raise failures[0]


def _open_with(name: Literal["pymupdf", "pdfium"], path: Path, password: str | None) -> PageSource:
    # Each parser is imported when it is used: PyMuPDF takes a second and 140 MB, and has another licence.
    if name == "pymupdf":
        from docrag.ingest.pymupdf_source import PyMuPdfSource

        return PyMuPdfSource(path, password=password)
    from docrag.ingest.pdfium_source import PdfiumSource

    return PdfiumSource(path, password=password)
