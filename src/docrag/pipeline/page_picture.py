"""The picture of a page with places on it marked, from the file that was indexed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from docrag.errors import StorageError
from docrag.geometry import Box
from docrag.report.draw import mark_places
from docrag.results.files import open_document
from docrag.types import Document

DPI = 110.0
"""A letter page is 935 x 1,210 pixels: readable, and shown whole on most screens."""


def write_page_picture(
    document: Document,
    page_no: int,
    path: Path,
    *,
    boxes: Sequence[Box],
    folder: Path | None,
    password: str | None,
    dpi: float = DPI,
) -> None:
    """Write the page as a PNG with `boxes` marked.

    Raises
    ------
    IngestError
        The file is gone, has changed since it was indexed, or cannot be drawn.
    StorageError
        The picture cannot be written.
    """
    source = open_document(document, folder, password)
    try:
        picture = mark_places(source.render(page_no, dpi=dpi), boxes, dpi=dpi)
    finally:
        source.close()
    try:
        picture.save(path, "PNG")
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: the picture cannot be written: {error}") from error
