"""Tables of an index, and the rows of documents, pages and chunks in them.

``documents`` holds one row per committed file; its `ingest_id` makes the rows of ``pages`` and ``chunks``
with the same `ingest_id` visible. Append-only files of wide data, such as multi-vectors, belong into
``segments/<ingest_id>`` and become visible, and are purged, by the same rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from docrag.store.page_codec import pack_page
from docrag.store.terms import index_terms
from docrag.types import Document, OutlineEntry, Page, PageFailure, Reason

DOCUMENTS, PAGES, CHUNKS = "documents", "pages", "chunks"
TABLES = (DOCUMENTS, PAGES, CHUNKS)
SEARCHED = {PAGES: "terms", CHUNKS: "terms"}
"""The column of each table that full-text search looks in; see `docrag.store.terms`."""


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


DOCUMENTS_SCHEMA = pa.schema(
    [
        _required("doc", pa.string()),
        _required("doc_id", pa.string()),
        _required("ingest_id", pa.string()),
        _required("fingerprint", pa.string()),
        _required("n_pages", pa.int32()),
        _required("n_pages_indexed", pa.int32()),
        _required("size_bytes", pa.int64()),
        _required("mtime_ns", pa.int64()),
        _required("parser", pa.string()),
        _required("title", pa.string()),
        _required("details", pa.string()),
    ]
)

PAGES_SCHEMA = pa.schema(
    [
        _required("ingest_id", pa.string()),
        _required("doc_id", pa.string()),
        _required("page_no", pa.int32()),
        _required("label", pa.string()),
        _required("width_pt", pa.float32()),
        _required("height_pt", pa.float32()),
        _required("rotation", pa.int32()),
        _required("text_source", pa.string()),
        _required("notes", pa.list_(pa.string())),
        pa.field("terms", pa.string()),
        pa.field("packed", pa.large_binary()),
        # A page that could not be read is a row with these two and no text.
        pa.field("reason", pa.string()),
        pa.field("message", pa.string()),
    ]
)


def chunks_schema(dim: int | None) -> pa.Schema:
    """Return the schema of ``chunks``; without an encoder there is no vector column."""
    fields = [
        _required("ingest_id", pa.string()),
        _required("doc_id", pa.string()),
        _required("page_no", pa.int32()),
        _required("chunk_no", pa.int32()),
        _required("kind", pa.string()),
        _required("terms", pa.string()),
        pa.field("box", pa.list_(pa.float32(), 4)),
    ]
    if dim is not None:
        fields.append(_required("vector", pa.list_(pa.float32(), dim)))
    return pa.schema(fields)


def document_row(document: Document, *, ingest_id: str, fingerprint: str) -> pa.Table:
    """Return the row that commits a document."""
    details = {
        "failures": [[f.page_no, str(f.reason), f.message] for f in document.failures],
        "outline": [list(entry) for entry in document.outline],
        "metadata": dict(document.metadata),
        "aliases": list(document.aliases),
        "notes": list(document.notes),
    }
    row = {
        "doc": document.doc,
        "doc_id": document.doc_id,
        "ingest_id": ingest_id,
        "fingerprint": fingerprint,
        "n_pages": document.n_pages,
        "n_pages_indexed": document.n_pages_indexed,
        "size_bytes": document.size_bytes,
        "mtime_ns": document.mtime_ns,
        "parser": document.parser,
        "title": utf8(document.title),
        "details": json.dumps(details, separators=(",", ":")),
    }
    return pa.Table.from_pylist([row], schema=DOCUMENTS_SCHEMA)


def document_of(row: Mapping[str, Any]) -> Document:
    """Return the document of a row of ``documents``."""
    details: Any = json.loads(row["details"])
    return Document(
        doc=row["doc"],
        doc_id=row["doc_id"],
        n_pages=row["n_pages"],
        n_pages_indexed=row["n_pages_indexed"],
        failures=tuple(PageFailure(n, Reason(reason), message) for n, reason, message in details["failures"]),
        size_bytes=row["size_bytes"],
        mtime_ns=row["mtime_ns"],
        parser=row["parser"],
        title=row["title"],
        outline=tuple(OutlineEntry(*entry) for entry in details["outline"]),
        metadata=details["metadata"],
        aliases=tuple(details["aliases"]),
        notes=tuple(details.get("notes", ())),  # not there in rows of docrag before it noted anything
    )


def page_rows(
    pages: Iterable[Page], failures: Iterable[PageFailure], *, ingest_id: str, doc_id: str
) -> pa.Table:
    """Return one row per page, read or failed."""
    rows: list[dict[str, Any]] = [
        {
            "page_no": page.page_no,
            "label": utf8(page.label),
            "width_pt": page.width_pt,
            "height_pt": page.height_pt,
            "rotation": page.rotation,
            "text_source": page.text_source,
            "notes": [utf8(note) for note in page.notes],
            "terms": utf8(index_terms(page.search_text)),
            "packed": pack_page(page),
        }
        for page in pages
    ]
    rows += [
        {
            "page_no": failure.page_no,
            "label": "",
            "width_pt": 0.0,
            "height_pt": 0.0,
            "rotation": 0,
            "text_source": "none",
            "notes": [],
            "reason": str(failure.reason),
            "message": utf8(failure.message),
        }
        for failure in failures
    ]
    for row in rows:
        row |= {"ingest_id": ingest_id, "doc_id": doc_id}
    return pa.Table.from_pylist(rows, schema=PAGES_SCHEMA)


def chunk_rows(
    pages: Sequence[Page], vectors: NDArray[np.float32] | None, *, ingest_id: str, doc_id: str
) -> pa.Table:
    """Return one row per chunk of `pages`, in order; `vectors` has one row for each."""
    rows = [
        {
            "ingest_id": ingest_id,
            "doc_id": doc_id,
            "page_no": page.page_no,
            "chunk_no": chunk.chunk_no,
            "kind": chunk.kind,
            "terms": utf8(index_terms(chunk.text)),
            "box": list(chunk.box) if chunk.boxes else None,
        }
        for page in pages
        for chunk in page.chunks
    ]
    table = pa.Table.from_pylist(rows, schema=chunks_schema(None))
    if vectors is None:
        return table
    dim = vectors.shape[1]
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, dim)
    return table.append_column(chunks_schema(dim).field("vector"), column)


def utf8(text: str) -> str:
    """Return `text` with what UTF-8 cannot hold (lone surrogates) replaced by a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
