"""One committed state of an index: tables held at their versions, and what was read from them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

from lancedb.db import DBConnection
from lancedb.table import Table

from docrag.errors import IndexFormatError
from docrag.store import schema, tables
from docrag.store.manifest import Manifest
from docrag.store.page_codec import unpack_page
from docrag.store.schema import CHUNKS, DOCUMENTS, PAGES, TABLES
from docrag.store.selection import Place
from docrag.store.vectors import ChunkVectors
from docrag.types import Document, Page, PageRef, RegionKind, UnitRef

PAGE_CACHE = 256
"""Unpacked pages kept in memory; a dense page of 1,000 words takes about 0.4 MB."""

_MAX_TRIES = 100  # a writer would have to commit between two looks a hundred times in a row


class Committed(NamedTuple):
    """A document and the id that its rows carry."""

    document: Document
    ingest_id: str


class PagePlace(NamedTuple):
    """Where the row of a page lies in the version held, and its printed label."""

    row_id: int
    label: str


class Snapshot:
    """Documents, pages and chunks as of one commit; nothing a writer does changes it."""

    def __init__(self, index: Path, manifest: Manifest) -> None:
        connection = tables.connect(index)
        self.manifest = manifest
        try:
            self.tables = _open_together(connection)
            rows = tables.scan(self.tables[DOCUMENTS], schema.DOCUMENTS_SCHEMA.names).to_pylist()
        except (OSError, RuntimeError, ValueError) as error:
            raise tables.damaged(index, error) from error
        self.versions = {name: table.version for name, table in self.tables.items()}
        committed = [Committed(schema.document_of(row), row["ingest_id"]) for row in rows]
        committed.sort(key=lambda c: c.document.doc)
        self.documents: tuple[Document, ...] = tuple(c.document for c in committed)
        self.ingest_id_of: dict[str, str] = {c.document.doc_id: c.ingest_id for c in committed}
        self._unpacked: OrderedDict[PageRef, Page] = OrderedDict()  # the one used last comes last
        self._lock = threading.Lock()
        self.document_of: dict[str, Document] = {c.ingest_id: c.document for c in committed}

    @cached_property
    def pages(self) -> Mapping[PageRef, PagePlace]:
        """Place of every indexed page, in document and page order."""
        columns = ["ingest_id", "doc_id", "page_no", "label"]
        where = "reason IS NULL"
        rows = tables.scan(self.tables[PAGES], columns, where=where, with_row_id=True)
        places = {
            PageRef(row["doc_id"], row["page_no"]): PagePlace(row["_rowid"], row["label"])
            for row in rows.to_pylist()
            if row["ingest_id"] in self.document_of
        }
        order = {document.doc_id: i for i, document in enumerate(self.documents)}
        return dict(sorted(places.items(), key=lambda item: (order[item[0].doc_id], item[0].page_no)))

    @cached_property
    def page_units(self) -> Mapping[int, UnitRef]:
        """Every indexed page by the place of its row, as search returns it."""
        name_of = {document.doc_id: document.doc for document in self.documents}
        return {
            place.row_id: UnitRef(name_of[ref.doc_id], ref.page_no, 0, ref.doc_id)
            for ref, place in self.pages.items()
        }

    @cached_property
    def labels(self) -> Mapping[str, Mapping[int, str]]:
        """Printed label by doc_id and page number."""
        labels: dict[str, dict[int, str]] = {document.doc_id: {} for document in self.documents}
        for ref, place in self.pages.items():
            labels[ref.doc_id][ref.page_no] = place.label
        return labels

    @cached_property
    def chunk_kinds(self) -> Mapping[str, Mapping[tuple[int, int], RegionKind]]:
        """Kind of every visible chunk, by doc_id, page number and chunk number."""
        kinds: dict[str, dict[tuple[int, int], RegionKind]] = {d.doc_id: {} for d in self.documents}
        columns = ["ingest_id", "page_no", "chunk_no", "kind"]
        rows = tables.scan(self.tables[CHUNKS], columns, where=self._without_strays(CHUNKS))
        for row in rows.to_pylist():
            document = self.document_of.get(row["ingest_id"])
            if document is not None:
                kinds[document.doc_id][row["page_no"], row["chunk_no"]] = row["kind"]
        return kinds

    @cached_property
    def vectors(self) -> ChunkVectors | None:
        """Vectors of all visible chunks, None in an index without an encoder."""
        encoder = self.manifest.text_encoder
        if encoder is None:
            return None
        columns = ["ingest_id", "page_no", "chunk_no", "kind", "vector"]
        rows = tables.scan(self.tables[CHUNKS], columns, where=self._without_strays(CHUNKS))
        doc_index_of = {self.ingest_id_of[d.doc_id]: i for i, d in enumerate(self.documents)}
        return ChunkVectors.of_rows(rows, self.documents, doc_index_of, dim=encoder.dim)

    def read_pages(self, refs: Iterable[PageRef]) -> dict[PageRef, Page]:
        """Pages by reference, read together where they are not in memory; KeyError for one that is missing.

        A query takes LanceDB some 3 ms, however many rows it asks for.
        """
        wanted = list(dict.fromkeys(refs))
        with self._lock:
            found = {ref: self._unpacked[ref] for ref in wanted if ref in self._unpacked}
            for ref in found:
                self._unpacked.move_to_end(ref)
        found |= self._unpack([ref for ref in wanted if ref not in found])
        return {ref: found[ref] for ref in wanted}

    def _unpack(self, refs: Sequence[PageRef]) -> dict[PageRef, Page]:
        """Read pages from the table and remember them."""
        ref_of: dict[int, PageRef] = {}
        for ref in refs:
            if ref not in self.pages:
                raise KeyError(self._why_missing(ref))
            ref_of[self.pages[ref].row_id] = ref
        if not ref_of:
            return {}
        rows = self.tables[PAGES].take_row_ids(list(ref_of)).select(["packed"]).with_row_id().to_arrow()
        found: dict[PageRef, Page] = {}
        # Rows come in the order of the table, not of the request.
        for row_id, packed in zip(rows.column("_rowid"), rows.column("packed"), strict=True):
            found[ref_of[row_id.as_py()]] = unpack_page(cast("bytes", packed.as_py()))
        with self._lock:
            self._unpacked.update(found)
            while len(self._unpacked) > PAGE_CACHE:
                self._unpacked.popitem(last=False)
        return found

    def _why_missing(self, ref: PageRef) -> str:
        for document in self.documents:
            if document.doc_id == ref.doc_id:
                for failure in document.failures:
                    if failure.page_no == ref.page_no:
                        return f"{document.doc} page {ref.page_no} could not be read: {failure.reason}"
                return f"{document.doc} has pages 1 to {document.n_pages}, not page {ref.page_no}"
        return f"no document {ref.doc_id} in the index"

    def forget(self) -> None:
        """Drop what was read into memory."""
        with self._lock:
            self._unpacked.clear()
        for name in ("pages", "page_units", "labels", "chunk_kinds", "vectors"):
            self.__dict__.pop(name, None)

    def where(self, table: str, place: Place) -> str | None:
        """Return the filter for the rows of a place, None for all rows."""
        docs, pages, kinds = place
        conditions: list[str] = []
        if len(docs) < len(self.documents):
            conditions.append(tables.is_in("ingest_id", [self.ingest_id_of[d.doc_id] for d in docs]))
        else:
            without_strays = self._without_strays(table)
            conditions += [without_strays] if without_strays is not None else []
        if pages is not None:
            conditions.append(tables.ranges("page_no", pages))
        if kinds is not None and table == CHUNKS:
            conditions.append(tables.is_in("kind", kinds))
        return " AND ".join(conditions) or None

    def _without_strays(self, table: str) -> str | None:
        strays = self._strays[table]
        return f"NOT {tables.is_in('ingest_id', strays)}" if strays else None

    @cached_property
    def _strays(self) -> Mapping[str, set[str]]:
        """ingest_ids in ``pages`` and ``chunks`` that are not committed: drafts, and what was replaced."""
        if all(self.manifest.tidy_at.get(name) == version for name, version in self.versions.items()):
            return {name: set(self.manifest.kept_drafts) for name in (PAGES, CHUNKS)}
        return {
            name: tables.ingest_ids(self.tables[name]) - self.document_of.keys() for name in (PAGES, CHUNKS)
        }


def _open_together(connection: DBConnection) -> dict[str, Table]:
    """Open all tables so that every row of every document is there.

    A writer adds rows before their commit and deletes them after the commit that hides them. So if
    ``documents`` is the same before and after the others were opened, they hold all its rows.
    """
    for _ in range(_MAX_TRIES):
        opened = {name: connection.open_table(name) for name in TABLES}
        if connection.open_table(DOCUMENTS).version == opened[DOCUMENTS].version:
            return opened
    raise IndexFormatError(f"table {DOCUMENTS} changed {_MAX_TRIES} times while it was opened; try again")
