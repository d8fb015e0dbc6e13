"""Small pages and documents for the tests of the store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from docrag.geometry import Box
from docrag.protocols import EncoderIdentity
from docrag.store.writer import IndexWriter
from docrag.types import Chunk, Document, Page, PageFailure, Region, Word

ENCODER = EncoderIdentity("toy", "r1", 8, "mean")


def make_page(page_no: int, *texts: str, label: str | None = None) -> Page:
    """One chunk and region per text, one word per token, laid out in lines from the top."""
    text = "\n".join(texts)
    words: list[Word] = []
    regions: list[Region] = []
    chunks: list[Chunk] = []
    start = 0
    for i, part in enumerate(texts):
        y = 72.0 + 20 * i
        at = start
        for token in part.split():
            at = text.index(token, at)
            words.append(
                Word(at, at + len(token), Box(72.0 + at, y, 72.0 + at + len(token), y + 10), i, False)
            )
            at += len(token)
        box = Box(72.0, y, 500.0, y + 10)
        regions.append(Region(i, "text", box, start, start + len(part)))
        chunks.append(Chunk(i + 1, "text", part, start, start + len(part), (box,), (i,)))
        start += len(part) + 1
    return Page(
        page_no=page_no,
        label=str(page_no) if label is None else label,
        width_pt=612.0,
        height_pt=792.0,
        rotation=0,
        text=text,
        search_text=text,
        text_source="text-layer",
        words=tuple(words),
        regions=tuple(regions),
        chunks=tuple(chunks),
    )


def make_document(
    doc: str, doc_id: str, n_pages: int, failures: Sequence[PageFailure] = (), **changes: object
) -> Document:
    values = {
        "doc": doc,
        "doc_id": doc_id,
        "n_pages": n_pages,
        "n_pages_indexed": n_pages - len(failures),
        "failures": tuple(failures),
        "size_bytes": 100,
        "mtime_ns": 1,
        "parser": "toy",
    }
    return Document(**(values | changes))  # type: ignore[arg-type]


def embed(texts: Sequence[str], dim: int = 8) -> np.ndarray:
    """One vector per text that depends on its letters alone."""
    vectors = np.zeros((len(texts), dim), np.float32)
    for row, text in zip(vectors, texts, strict=True):
        for i, letter in enumerate(text):
            row[(ord(letter) * 7 + i) % dim] += 1 + ord(letter) % 5
        row[0] += 1e-3
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def chunk_vectors(pages: Sequence[Page]) -> np.ndarray:
    """A vector for every chunk, zeros for one without text."""
    texts = [chunk.text for page in pages for chunk in page.chunks]
    return embed(texts) * np.array([bool(text) for text in texts], np.float32)[:, np.newaxis]


def put(
    writer: IndexWriter,
    doc: str,
    doc_id: str,
    pages: Sequence[Page],
    *,
    failures: Sequence[PageFailure] = (),
    batch: int = 2,
    fingerprint: str = "f1",
    with_vectors: bool = True,
    **changes: object,
) -> None:
    """Write and commit a document, resuming what is there."""
    draft = writer.draft(doc_id, fingerprint=fingerprint)
    todo = [page for page in pages if page.page_no not in draft.pages_done]
    for i in range(0, len(todo), batch):
        some = todo[i : i + batch]
        draft.add(some, chunk_vectors(some) if with_vectors else None, [])
    left = [failure for failure in failures if failure.page_no not in draft.pages_done]
    if left:
        draft.add([], None, left)
    n_pages = len(pages) + len(failures)
    writer.commit(draft, make_document(doc, doc_id, n_pages, failures, **changes))
