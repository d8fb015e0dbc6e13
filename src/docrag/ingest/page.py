"""One page: from the parser's words to regions, text and chunks."""

from __future__ import annotations

from dataclasses import replace

from docrag.geometry import Box
from docrag.ingest.chunks import chunks_of
from docrag.ingest.page_options import PageOptions
from docrag.ingest.page_text import compose
from docrag.ingest.regions import regions_of
from docrag.ingest.search_text import search_text_of
from docrag.protocols import LayoutDetector, Ocr, PageSource, RawPage, RawWord
from docrag.types import Page


def read_page(
    source: PageSource, page_no: int, *, detector: LayoutDetector, ocr: Ocr | None, options: PageOptions
) -> Page:
    """Read one page.

    Raises
    ------
    IngestError
        The page could not be read.
    """
    raw = source.read(page_no)
    n_text_lines = 1 + max((word.line_no for word in raw.words), default=-1)
    notes: list[str] = []
    if ocr is not None and options.ocr != "never" and not raw.words:
        raw = with_ocr(raw, source, ocr, dpi=options.ocr_dpi)
        notes.append("ocr:no_text_layer")
    detected = detector.detect(raw, source)
    text, words, regions = compose(regions_of(raw, detected), raw.words, n_text_lines=n_text_lines)
    n_ocr = sum(word.is_ocr for word in words)
    return Page(
        page_no=page_no,
        label=raw.label,
        width_pt=raw.width_pt,
        height_pt=raw.height_pt,
        rotation=raw.rotation,
        text=text,
        search_text=search_text_of(text),
        text_source=(
            "none" if not words else "text-layer" if not n_ocr else "ocr" if n_ocr == len(words) else "mixed"
        ),
        words=words,
        regions=regions,
        chunks=chunks_of(text, regions),
        notes=tuple(notes),
    )


def with_ocr(raw: RawPage, source: PageSource, ocr: Ocr, *, dpi: float) -> RawPage:
    """`raw` with the words that OCR reads on the whole page added after its own."""
    image = source.render(raw.page_no, dpi=dpi)
    scale_x, scale_y = raw.width_pt / image.shape[1], raw.height_pt / image.shape[0]
    first_line = 1 + max((word.line_no for word in raw.words), default=-1)
    found: list[RawWord] = []
    for word in ocr.read(image):
        x0, y0, x1, y1 = word.box
        box = Box(x0 * scale_x, y0 * scale_y, x1 * scale_x, y1 * scale_y).clipped(raw.width_pt, raw.height_pt)
        found.append(RawWord(word.text, box, -1, first_line + word.line_no, 0.0, False))
    return replace(raw, words=raw.words + tuple(found))
