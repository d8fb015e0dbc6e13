"""The documents' files, opened only while a picture is cut out of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from docrag.errors import IngestError
from docrag.geometry import Box
from docrag.ingest.names import document_path
from docrag.ingest.open_pdf import Parser, open_source
from docrag.protocols import PageSource
from docrag.report.crops import Crop, cut_place
from docrag.types import Document

NOTEBOOK_WIDTH_PX = 900
"""Wide enough for a notebook's column on a sharp screen; a crop takes some 30 to 80 KB."""

_NEXT_STEP = "docrag index brings the index in line"


def open_document(document: Document, folder: Path | None, password: str | None) -> PageSource:
    """Open the file of a document, below `folder`, provided it is still the file that was indexed.

    Raises `docrag.errors.IngestError` when it is not, or cannot be opened.
    """
    if folder is None:
        raise IngestError("io_error", "the folder of this index is not known; docrag index FOLDER records it")
    path = document_path(document.doc, folder)
    try:
        status = path.stat()
    except OSError as error:
        raise IngestError("io_error", f"{document.doc} is not where it was indexed; {_NEXT_STEP}") from error
    if (status.st_size, status.st_mtime_ns) != (document.size_bytes, document.mtime_ns):
        raise IngestError(
            "changed_while_reading", f"{document.doc} has changed since it was indexed; {_NEXT_STEP}"
        )
    parser: Parser = "pdfium" if document.parser == "pdfium" else "pymupdf"
    return open_source(path, parser=parser, password=password)


class PageFiles:
    """Files of the documents of one state of an index, below `folder`; holds none of them open.

    `password` opens those that are encrypted.
    """

    def __init__(
        self, documents: Sequence[Document], folder: Path | None, *, password: str | None = None
    ) -> None:
        self._documents = {document.doc_id: document for document in documents}
        self._folder = folder
        self._password = password

    def uri(self, doc_id: str, page_no: int) -> str | None:
        """Return ``file:///…/report.pdf#page=3``, None when the folder of the index is not known."""
        document = self._documents.get(doc_id)
        if document is None or self._folder is None:
            return None
        return f"{document_path(document.doc, self._folder).absolute().as_uri()}#page={page_no}"

    def crop(
        self, doc_id: str, page_no: int, boxes: tuple[Box, ...], *, page_size: tuple[float, float]
    ) -> Crop:
        """Picture of the surroundings of `boxes`.

        Raises `docrag.errors.IngestError` when the file is gone, has changed, or cannot be drawn.
        """
        document = self._documents.get(doc_id)
        if document is None:
            raise IngestError("io_error", f"the document {doc_id} is not in the index any more")
        source = open_document(document, self._folder, self._password)
        try:
            return cut_place(source, page_no, boxes, page_size=page_size, width_px=NOTEBOOK_WIDTH_PX)
        finally:
            source.close()
