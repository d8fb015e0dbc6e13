"""One page: from the parser's words to regions, text and chunks."""

from __future__ import annotations

from dataclasses import replace

from docrag.errors import IngestError
from docrag.geometry import Box
from docrag.ingest.captions import tied_captions
from docrag.ingest.chunks import chunks_of
from docrag.ingest.ocr_use import pictures_to_read, read_boxes
from docrag.ingest.page_options import PageOptions
from docrag.ingest.page_text import compose
from docrag.ingest.regions import regions_of, with_images
from docrag.ingest.search_text import search_text_of
from docrag.ingest.text_quality import unusable_reason
from docrag.protocols import LayoutDetector, Ocr, PageSource, RawPage
from docrag.types import Page, TextSource, Word


def read_page(
    source: PageSource, page_no: int, *, detector: LayoutDetector, ocr: Ocr | None, options: PageOptions
) -> Page:
    """Read one page: words (by OCR where the text layer fails), regions, tables, text and chunks.

    `Page.notes` names what happened: "hidden_text:KIND" for text that people do not see (see
    `docrag.ingest.hidden_text`), "ocr:REASON" for a page that OCR read in whole, "ocr:pictures" for OCR
    inside pictures, "no_ocr:REASON" where OCR was needed and not to be had, "layout:fast" where the layout
    model cannot work with the parser.

    Raises
    ------
    IngestError
        The page could not be read: ``page_unreadable``; or, when it has no text of its own and OCR was to
        read it, ``image_too_large`` or ``ocr_failed``.
    """
    raw = source.read(page_no)
    if options.ocr == "never":
        ocr = None
    notes = [f"hidden_text:{kind}" for kind in raw.hidden]
    reason = unusable_reason(raw)
    if reason == "unmapped_text" and ocr is not None:
        raw = replace(raw, words=())
    n_text_lines = 1 + max((word.line_no for word in raw.words), default=-1)
    if reason is None and options.ocr == "always":
        reason = "always"
    if reason is not None:
        if ocr is None:
            notes.append(f"no_ocr:{reason}")
        else:
            raw = _read_whole(raw, source, ocr, options, reason, notes)
    # A detector that works with one parser names it, and falls back to geometry elsewhere.
    if getattr(detector, "parser", source.parser) != source.parser:
        notes.append("layout:fast")
    detected = with_images(raw, detector.detect(raw, source))
    if ocr is not None and reason is None:
        boxes = pictures_to_read(raw, detected)
        try:
            raw, found = read_boxes(
                raw, boxes, source, ocr, dpi=options.ocr_dpi, max_pixels=options.max_pixels
            )
        except IngestError as error:
            notes.append(f"no_ocr:{error.reason}")
        else:
            if found:
                notes.append("ocr:pictures")
    drafts, captions = tied_captions(regions_of(raw, detected), page_height_pt=raw.height_pt)
    text, words, regions = compose(drafts, raw.words, captions=captions, n_text_lines=n_text_lines)
    return Page(
        page_no=page_no,
        label=raw.label,
        width_pt=raw.width_pt,
        height_pt=raw.height_pt,
        rotation=raw.rotation,
        text=text,
        search_text=search_text_of(text),
        text_source=_text_source(words),
        words=words,
        regions=regions,
        chunks=chunks_of(text, words, regions),
        notes=tuple(notes),
    )


def _read_whole(
    raw: RawPage, source: PageSource, ocr: Ocr, options: PageOptions, reason: str, notes: list[str]
) -> RawPage:
    whole = Box(0.0, 0.0, raw.width_pt, raw.height_pt)
    try:
        raw, _ = read_boxes(raw, [whole], source, ocr, dpi=options.ocr_dpi, max_pixels=options.max_pixels)
    except IngestError as error:
        if not raw.words:
            raise
        notes.append(f"no_ocr:{error.reason}")  # the text layer's own words are better than nothing
    else:
        notes.append(f"ocr:{reason}")
    return raw


def _text_source(words: tuple[Word, ...]) -> TextSource:
    n_ocr = sum(word.is_ocr for word in words)
    if not words:
        return "none"
    if n_ocr == 0:
        return "text-layer"
    return "ocr" if n_ocr == len(words) else "mixed"
