"""Write the HTML report of a search: pages as they look, and where the question matched them."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from docrag.errors import IngestError, StorageError
from docrag.geometry import POINTS_PER_INCH
from docrag.late_interaction.similarity import heat
from docrag.protocols import PageSource
from docrag.report.search_html import PAGE_WIDTH_PX, PagePicture, page_jpeg, search_html
from docrag.results.files import open_document
from docrag.retrieve.stage import SearchResult
from docrag.retrieve.visual.retriever import VisualRetriever
from docrag.store.reader import IndexReader
from docrag.types import Hit, UnitRef


def write_search_report(
    result: SearchResult,
    path: Path,
    *,
    corpus: IndexReader,
    folder: Path | None,
    visual: VisualRetriever | None,
    notices: list[str],
    password: str | None,
) -> None:
    """Write the report of `result`; raise StorageError when the file cannot be written."""
    documents = {document.doc_id: document for document in corpus.documents()}
    pictures: dict[UnitRef, PagePicture] = {}
    missing: dict[UnitRef, str] = {}
    sources: dict[str, PageSource] = {}
    with ExitStack() as stack:
        for hit in result.hits:
            doc_id = hit.unit.doc_id
            try:
                if doc_id not in sources:
                    sources[doc_id] = open_document(documents[doc_id], folder, password)
                    stack.callback(sources[doc_id].close)
                pictures[hit.unit] = _picture(hit, result.query.text, sources[doc_id], corpus, visual)
            except IngestError as error:
                missing[hit.unit] = str(error)
    html = search_html(
        result,
        pictures=pictures,
        missing=missing,
        notices=notices,
        written_at=datetime.now(UTC),
    )
    try:
        path.write_text(html, "utf-8")
    except OSError as error:
        raise StorageError(f"{path}: the report cannot be written: {error.strerror or error}") from error


def _picture(
    hit: Hit, question: str, source: PageSource, corpus: IndexReader, visual: VisualRetriever | None
) -> PagePicture:
    page = corpus.page(hit.unit.page)
    image = source.render(hit.page_no, dpi=PAGE_WIDTH_PX * POINTS_PER_INCH / page.width_pt)
    similarity = visual.similarity(question, hit.unit.as_page) if visual is not None else None
    layers: list[tuple[str, NDArray[np.float32]]] = []
    if similarity is not None:
        layers.append(("all words", heat(similarity.maps)))
        layers += [
            (token.strip() or "·", heat(similarity.maps[i : i + 1]))
            for i, token in enumerate(similarity.tokens)
        ]
    boxes = (hit.box,) if hit.box is not None else hit.snippet_boxes
    return PagePicture(page_jpeg(image), page.width_pt, page.height_pt, boxes, layers)
