"""Results as LangChain documents: text in ``page_content``, references in ``metadata``, never pictures.

Metadata of every document: ``source`` and ``doc`` (name below the indexed folder), ``doc_id``, ``page``
(1-based), ``page_label``, ``page_size`` (points), ``boxes`` (points, origin top left, y down, on the page as
displayed) and ``page_uri`` (``file:///…#page=3``, absent where the folder is not known). A hit adds
``region_id``, ``kind``, ``box``, ``score``, ``sources`` and ``snippet``; a citation adds ``n``, ``support``
and ``evidence_id``. All of it is JSON.
"""

from __future__ import annotations

from typing import Any

from langchain_core.documents import Document

from docrag.geometry import Box
from docrag.report.shapes import box_values, citation_values, hit_values
from docrag.results.files import PageFiles
from docrag.types import Citation, Hit


def hit_document(
    hit: Hit, *, text: str, page_size: tuple[float, float] | None, files: PageFiles | None
) -> Document:
    """`text` of a page or region; the id names the unit: ``doc_id:p3`` or ``doc_id:p3c2``."""
    values = hit_values(hit)
    region = values["region"] or {"id": None, "kind": None, "box": None}
    metadata = {
        **_place(hit.doc, hit.unit.doc_id, hit.page_no, hit.page_label, hit.snippet_boxes, files),
        "page_size": [round(side, 2) for side in page_size] if page_size is not None else None,
        "region_id": region["id"],
        "kind": region["kind"],
        "box": region["box"],
        "score": values["score"],
        "sources": values["sources"],
        "snippet": hit.snippet,
    }
    unit = f"p{hit.page_no}" + (f"c{hit.unit.chunk_no}" if hit.unit.chunk_no else "")
    return Document(page_content=text, metadata=metadata, id=f"{hit.unit.doc_id}:{unit}")


def citation_document(citation: Citation, files: PageFiles | None) -> Document:
    """Quote of a citation; the id names the page and the citation's number."""
    values = citation_values(citation)
    metadata = {
        **_place(citation.doc, citation.doc_id, citation.page_no, citation.page_label, citation.boxes, files),
        **{name: values[name] for name in ("page_size", "n", "support", "evidence_id")},
    }
    unit = f"{citation.doc_id}:p{citation.page_no}"
    return Document(page_content=citation.quote, metadata=metadata, id=f"{unit}#{citation.n}")


def _place(
    doc: str,
    doc_id: str,
    page_no: int,
    page_label: str,
    boxes: tuple[Box, ...],
    files: PageFiles | None,
) -> dict[str, Any]:
    uri = files.uri(doc_id, page_no) if files is not None else None
    return {
        "source": doc,
        "doc": doc,
        "doc_id": doc_id,
        "page": page_no,
        "page_label": page_label,
        "boxes": [box_values(box) for box in boxes],
        **({"page_uri": uri} if uri is not None else {}),
    }
