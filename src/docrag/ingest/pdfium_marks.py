"""Images, drawings and texts of a page in the order in which PDFium paints them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from docrag.geometry import Box
from docrag.ingest.hidden_text import Mark, Suspicion, letters_in
from docrag.ingest.pdfium_hidden import is_optional

ToBox = Callable[[float, float, float, float], Box]
_MAX_FORM_DEPTH = 5


def read_marks(
    page: pdfium.PdfPage, to_box: ToBox, width_pt: float, height_pt: float
) -> tuple[tuple[Box, ...], tuple[Box, ...], list[Mark], list[Suspicion]]:
    """Boxes of images and of drawings, those inside form XObjects included.

    Also everything in the order of painting, and texts on layers, which may be switched off. `to_box` turns
    left, bottom, right and top of PDF user space into a box of the page as displayed.
    """
    images: list[Box] = []
    drawings: list[Box] = []
    marks: list[Mark] = []
    optional: list[Suspicion] = []
    identity = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)

    def visit(
        parent: object,
        count: Callable[..., Any],
        get: Callable[..., Any],
        matrix: tuple[float, ...],
        depth: int,
    ) -> None:
        left, bottom, right, top = (ctypes.c_float() for _ in range(4))
        for index in range(max(0, int(count(parent)))):
            item = get(parent, index)
            kind = int(pdfium_c.FPDFPageObj_GetType(item))
            if kind == pdfium_c.FPDF_PAGEOBJ_FORM and depth < _MAX_FORM_DEPTH:
                raw = pdfium_c.FS_MATRIX()
                inner = matrix
                if pdfium_c.FPDFPageObj_GetMatrix(item, raw):
                    inner = _product((raw.a, raw.b, raw.c, raw.d, raw.e, raw.f), matrix)
                visit(
                    item, pdfium_c.FPDFFormObj_CountObjects, pdfium_c.FPDFFormObj_GetObject, inner, depth + 1
                )
                continue
            found = None
            if kind == pdfium_c.FPDF_PAGEOBJ_IMAGE:
                found = images
            elif kind == pdfium_c.FPDF_PAGEOBJ_TEXT:
                pass
            elif kind in (pdfium_c.FPDF_PAGEOBJ_PATH, pdfium_c.FPDF_PAGEOBJ_SHADING):
                found = drawings
            else:
                continue
            if not pdfium_c.FPDFPageObj_GetBounds(item, left, bottom, right, top):
                continue
            corners = [
                _apply(matrix, x, y) for x in (left.value, right.value) for y in (bottom.value, top.value)
            ]
            xs, ys = [x for x, _ in corners], [y for _, y in corners]
            box = to_box(min(xs), min(ys), max(xs), max(ys))
            if found is None:
                marks.append(Mark("text", box))
                if is_optional(item):
                    optional.append(Suspicion("layer_off", box, letters_in(box)))
            elif box.x1 > 0 and box.y1 > 0 and box.x0 < width_pt and box.y0 < height_pt:
                found.append(box.clipped(width_pt, height_pt))
                if found is images or kind == pdfium_c.FPDF_PAGEOBJ_SHADING or _is_filled(item):
                    marks.append(Mark("image" if found is images else "paint", found[-1]))

    visit(page, pdfium_c.FPDFPage_CountObjects, pdfium_c.FPDFPage_GetObject, identity, 0)
    return tuple(images), tuple(drawings), marks, optional


def _is_filled(path: Any) -> bool:  # noqa: ANN401 - a ctypes handle
    mode, is_stroked = ctypes.c_int(), ctypes.c_int()
    return bool(pdfium_c.FPDFPath_GetDrawMode(path, mode, is_stroked)) and mode.value != 0


def _product(first: tuple[float, ...], then: tuple[float, ...]) -> tuple[float, ...]:
    """The matrix that applies `first` and `then` in this order."""
    a, b, c, d, e, f = first
    a2, b2, c2, d2, e2, f2 = then
    return (
        a * a2 + b * c2,
        a * b2 + b * d2,
        c * a2 + d * c2,
        c * b2 + d * d2,
        e * a2 + f * c2 + e2,
        e * b2 + f * d2 + f2,
    )


def _apply(matrix: tuple[float, ...], x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return x * a + y * c + e, x * b + y * d + f
