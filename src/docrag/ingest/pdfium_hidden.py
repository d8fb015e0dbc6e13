"""What PDFium says about text that is not seen: how a character is painted, layers, annotations."""

from __future__ import annotations

import ctypes
from typing import Any

import pypdfium2.raw as pdfium_c

from docrag.geometry import Box
from docrag.ingest.hidden_text import MIN_LETTERS, OPAQUE, TINY_PT, HiddenKind, is_light, n_letters_of

_UNPAINTED = frozenset({pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE})
_NOT_SHOWN = 1 | 2 | 32  # annotation flags invisible, hidden, no view (ISO 32000-1, table 165)
_COLOR = tuple(ctypes.c_uint() for _ in range(4))  # PDFium is used by one thread of a process
_MAX_ANNOTATIONS = 500
_MAX_NAME_BYTES = 64


def why_unseen(text_page: Any, index: int, box: Box) -> HiddenKind | None:  # noqa: ANN401 - a ctypes handle
    """Why a character would not be seen on white paper, None when it would."""
    red, green, blue, alpha = _COLOR
    has_color = pdfium_c.FPDFText_GetFillColor(text_page, index, red, green, blue, alpha)
    item = pdfium_c.FPDFText_GetTextObject(text_page, index)
    mode = int(pdfium_c.FPDFTextObj_GetTextRenderMode(item)) if item else -1
    if mode in _UNPAINTED or (has_color and alpha.value < OPAQUE):
        return "invisible"
    if max(box.width, box.height) < TINY_PT:
        return "tiny"
    is_filled = mode == pdfium_c.FPDF_TEXTRENDERMODE_FILL
    if is_filled and has_color and is_light(red.value, green.value, blue.value):
        return "no_contrast"
    return None


def is_optional(item: Any) -> bool:  # noqa: ANN401 - a ctypes handle
    """Whether a page object belongs to a layer (optional content), which may be switched off."""
    n_marks = int(pdfium_c.FPDFPageObj_CountMarks(item))
    if n_marks < 1:
        return False
    name = ctypes.create_string_buffer(_MAX_NAME_BYTES)
    length = ctypes.c_ulong()
    for number in range(n_marks):
        mark = pdfium_c.FPDFPageObj_GetMark(item, number)
        letters = ctypes.cast(name, ctypes.POINTER(ctypes.c_ushort))
        if not pdfium_c.FPDFPageObjMark_GetName(mark, letters, _MAX_NAME_BYTES, length):
            continue
        if name.raw[: max(0, length.value - 2)].decode("utf-16-le", "replace") == "OC":
            return True
    return False


def hides_annotations(page: Any) -> bool:  # noqa: ANN401 - a ctypes handle
    """Whether annotations that are not shown hold a text worth hiding."""
    n_letters = 0
    for number in range(min(_MAX_ANNOTATIONS, max(0, int(pdfium_c.FPDFPage_GetAnnotCount(page))))):
        annotation = pdfium_c.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        try:
            if not int(pdfium_c.FPDFAnnot_GetFlags(annotation)) & _NOT_SHOWN:
                continue
            size = int(pdfium_c.FPDFAnnot_GetStringValue(annotation, b"Contents", None, 0))
            buffer = ctypes.create_string_buffer(size)
            letters = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort))
            pdfium_c.FPDFAnnot_GetStringValue(annotation, b"Contents", letters, size)
            n_letters += n_letters_of(buffer.raw.decode("utf-16-le", "replace"))
        finally:
            pdfium_c.FPDFPage_CloseAnnot(annotation)
    return n_letters >= MIN_LETTERS
