"""`/UserUnit` of a page, which PDFium does not apply and has no call for."""

from __future__ import annotations

import io
import mmap
import re
import zlib
from pathlib import Path

import pypdfium2 as pdfium

_KEY = b"/UserUnit"
_VALUE = re.compile(rb"/UserUnit\s+(\d*\.?\d+)")
_OBJECT_STREAM = re.compile(rb"/ObjStm\b.{0,400}?stream\r?\n", re.DOTALL)
_MAX_STREAM_BYTES = 1 << 24
_MAX_STREAMS = 2000


def may_have_user_units(path: Path) -> bool:
    """Whether the key occurs in the file, plainly or in a deflated object stream; nearly always False."""
    with path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (ValueError, OSError):
            return False
        with data:
            if data.find(_KEY) >= 0:
                return True
            for count, match in enumerate(_OBJECT_STREAM.finditer(data)):
                if count >= _MAX_STREAMS:
                    return False
                try:
                    inflated = zlib.decompressobj().decompress(
                        data[match.end() : match.end() + _MAX_STREAM_BYTES], _MAX_STREAM_BYTES
                    )
                except zlib.error:
                    continue
                if _KEY in inflated:
                    return True
    return False


def user_unit(doc: pdfium.PdfDocument, page_no: int) -> float:
    """The page's unit in 1/72 inch: read from a copy of the page, which PDFium writes out in the clear."""
    copy = pdfium.PdfDocument.new()
    out = io.BytesIO()
    try:
        copy.import_pages(doc, [page_no - 1])
        copy.save(out)
    finally:
        copy.close()
    match = _VALUE.search(out.getvalue())
    return float(match.group(1)) if match and float(match.group(1)) > 0 else 1.0
