"""Results as pieces of HTML for notebooks: everything escaped, no script, no style but inline, no request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from docrag.errors import IngestError
from docrag.geometry import Box
from docrag.report.crops import Crop
from docrag.report.explain import abstention_text, support_text, text_with_marks
from docrag.report.printable import printable
from docrag.results.files import PageFiles
from docrag.types import Answer, Citation, Hit

MAX_PICTURES = 4
"""Pictures in one result; the places after them are listed in words."""

_MARK_MARGIN_PT = 1.5
_MAX_SNIPPET_CHARS = 400
_BORDER = "border:1px solid rgba(128,128,128,.35);border-radius:6px"


def answer_fragment(answer: Answer, files: PageFiles | None) -> str:
    """Return the answer, or why there is none, then every citation with its place on the page."""
    text = _text(text_with_marks(answer))
    parts = [f'<p style="font-size:1.15em;font-weight:600;margin:.2em 0">{text}</p>']
    if answer.abstained:
        parts.append(f"<p>{_text(abstention_text(answer))}</p>")
    parts += [f"<p>⚠ {_text(warning)}</p>" for warning in answer.warnings]
    for place, citation in enumerate(answer.citations):
        parts.append(citation_html(citation, files if place < MAX_PICTURES else None))
    return _block(parts)


def citation_html(citation: Citation, files: PageFiles | None) -> str:
    """Return a citation: where, the quote, and the page around it with its boxes; in words without files."""
    where = _where(citation.doc, citation.page_no, citation.page_label)
    doubt = f", {support}" if (support := support_text(citation)) else ""
    parts = [f"<p><b>[{citation.n}]</b> {where}{doubt}</p>"]
    if citation.quote:
        parts.append(f"<blockquote>{_text(citation.quote)}</blockquote>")
    if files is not None:
        parts.append(
            _picture(
                lambda: files.crop(
                    citation.doc_id, citation.page_no, citation.boxes, page_size=citation.page_size
                )
            )
        )
    return _block(parts)


def hit_html(hit: Hit, files: PageFiles | None, *, page_size: tuple[float, float] | None) -> str:
    """Return a hit: where, its score, the snippet, and the page around it; in words without files."""
    kind = f" · {hit.kind}" if hit.kind else ""
    snippet = (
        hit.snippet if len(hit.snippet) <= _MAX_SNIPPET_CHARS else f"{hit.snippet[:_MAX_SNIPPET_CHARS]}…"
    )
    parts = [
        f"<p>{_where(hit.doc, hit.page_no, hit.page_label)}{kind} · {hit.score:.4f}</p>",
        f"<blockquote>{_text(snippet)}</blockquote>",
    ]
    if files is not None and page_size is not None:
        boxes = (hit.box,) if hit.box is not None else hit.snippet_boxes
        parts.append(_picture(lambda: files.crop(hit.unit.doc_id, hit.page_no, boxes, page_size=page_size)))
    return _block(parts)


def search_fragment(question: str, hits: Sequence[str]) -> str:
    """Return a question and its hits, each as `hit_html` gives it."""
    items = "".join(f"<li>{hit}</li>" for hit in hits)
    heading = f"<p><b>{_text(question)}</b></p>"
    return _block([heading, f"<ol>{items}</ol>" if hits else "<p>Nothing found.</p>"])


def _block(parts: Sequence[str]) -> str:
    return f'<div style="max-width:52em">{"".join(parts)}</div>'


def _text(text: str) -> str:
    return escape(printable(text)).replace("\n", "<br>")


def _where(doc: str, page_no: int, page_label: str) -> str:
    label = f" (label {page_label})" if page_label not in ("", str(page_no)) else ""
    return _text(f"{doc}, page {page_no}{label}")


def _picture(cut: Callable[[], Crop]) -> str:
    try:
        crop = cut()
    except IngestError as error:
        return f"<p>No picture: {_text(str(error))}</p>"
    width, height = crop.box.width, crop.box.height
    marks = "".join(_mark(mark, crop.box) for mark in crop.marks)
    return (
        f'<svg viewBox="0 0 {width:.2f} {height:.2f}" role="img" '
        f'style="display:block;width:100%;height:auto;background:#fff;{_BORDER}">'
        f'<image href="{crop.data_uri}" width="{width:.2f}" height="{height:.2f}" '
        f'preserveAspectRatio="none"/>'
        f"{marks}</svg>"
    )


def _mark(box: Box, crop: Box) -> str:
    grown = box.padded(_MARK_MARGIN_PT)
    return (
        f'<rect x="{grown.x0 - crop.x0:.2f}" y="{grown.y0 - crop.y0:.2f}" width="{grown.width:.2f}" '
        f'height="{grown.height:.2f}" rx="2" fill="#f59e0b" fill-opacity="0.25" stroke="#f59e0b"/>'
    )
