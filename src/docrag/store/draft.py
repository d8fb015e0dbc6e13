"""A document on its way into the index, page batch by page batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from docrag.errors import StorageError
from docrag.store import schema, tables
from docrag.store.drafts import DraftRecord
from docrag.store.schema import CHUNKS, PAGES
from docrag.store.storage import Storage
from docrag.store.tidy import merge_if_many
from docrag.types import Document, Page, PageFailure, Reason

_UNIT_NORM_TOLERANCE = 1e-3


class Draft:
    """The rows of one document before its commit; what `add` wrote survives a crash and is resumed.

    Attributes
    ----------
    pages_done
        Page numbers with a durable row, failed pages included: these need not be read again.
    failures
        The failed pages among them, in page order.
    """

    def __init__(self, storage: Storage, record: DraftRecord, *, dim: int | None) -> None:
        self._storage = storage
        self._record = record
        self._dim = dim
        self._is_torn = False
        self.pages_done: frozenset[int] = frozenset()
        self.failures: tuple[PageFailure, ...] = ()

    @classmethod
    def resume(cls, storage: Storage, record: DraftRecord, *, dim: int | None) -> Draft:
        """Return a draft with the pages that are in the tables; a half-written batch is removed first."""
        draft = cls(storage, record, dim=dim)
        of_draft = f"ingest_id = {tables.quoted(record.ingest_id)}"
        rows = tables.scan(storage.table(PAGES), ["page_no", "reason", "message"], where=of_draft).to_pylist()
        draft._note(
            [row["page_no"] for row in rows],
            [
                PageFailure(row["page_no"], Reason(row["reason"]), row["message"])
                for row in rows
                if row["reason"] is not None
            ],
        )
        chunk_pages = tables.scan(storage.table(CHUNKS), ["page_no"], where=of_draft).column("page_no")
        half_written = set(cast("list[int]", chunk_pages.unique().to_pylist())) - draft.pages_done
        if half_written:
            listed = ", ".join(map(str, sorted(half_written)))
            storage.delete(CHUNKS, f"{of_draft} AND page_no IN ({listed})")
        return draft

    @property
    def ingest_id(self) -> str:
        """The id that all rows of this draft carry."""
        return self._record.ingest_id

    @property
    def doc_id(self) -> str:
        """The doc_id of the bytes that are being read."""
        return self._record.doc_id

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the ingest settings."""
        return self._record.fingerprint

    def add(
        self,
        pages: Sequence[Page],
        vectors: NDArray[np.float32] | None,
        failures: Sequence[PageFailure] = (),
    ) -> None:
        """Write pages and failed pages; they are on disk when this returns.

        Parameters
        ----------
        pages
            Pages in any order, none of them written before.
        vectors
            ``(n_chunks, dim) float32``, a row for every chunk of `pages`, in order: of unit length, or all
            zeros for a chunk without text. None in an index without vectors.
        failures
            Pages that could not be read.

        Raises
        ------
        StorageError
            Nothing or only part was written. Ask the writer for the draft again: it drops the part.
        """
        if self._is_torn:
            raise StorageError(
                f"{self._storage.index}: the last write to this draft failed; ask for the draft again"
            )
        numbers = [page.page_no for page in pages] + [failure.page_no for failure in failures]
        repeated = self.pages_done.intersection(numbers)
        repeated |= {number for number, count in Counter(numbers).items() if count > 1}
        if repeated:
            raise ValueError(f"pages {sorted(repeated)} of document {self.doc_id} were added before")
        lengths = [1.0 if chunk.text else 0.0 for page in pages for chunk in page.chunks]
        n_chunks = len(lengths)
        self._check_vectors(vectors, lengths)
        merge_if_many(self._storage, CHUNKS)
        merge_if_many(self._storage, PAGES)
        ids: dict[str, Any] = {"ingest_id": self.ingest_id, "doc_id": self.doc_id}
        self._is_torn = True
        # A page's row comes after its chunks, so that a page that is there is there with all of them.
        if n_chunks:
            self._storage.append(CHUNKS, schema.chunk_rows(pages, vectors, **ids))
        if numbers:
            self._storage.append(PAGES, schema.page_rows(pages, failures, **ids))
        self._is_torn = False
        self._note(numbers, failures)

    def check_complete(self, document: Document) -> None:
        """Raise ValueError unless the rows written are those that `document` declares."""
        expected = frozenset(range(1, document.n_pages + 1))
        n_indexed = len(self.pages_done) - len(self.failures)
        failed = {failure.page_no for failure in document.failures}
        if (
            document.doc_id != self.doc_id
            or self.pages_done != expected
            or n_indexed != document.n_pages_indexed
            or failed != {failure.page_no for failure in self.failures}
        ):
            raise ValueError(
                f"{document.doc} ({document.doc_id}) declares {document.n_pages} pages, "
                f"{document.n_pages_indexed} indexed, failed {sorted(failed)}; the draft of {self.doc_id} "
                f"has {len(self.pages_done)} pages, {n_indexed} indexed, "
                f"failed {[failure.page_no for failure in self.failures]}"
            )

    def _note(self, numbers: Sequence[int], failures: Sequence[PageFailure]) -> None:
        self.pages_done = self.pages_done.union(numbers)
        self.failures = tuple(sorted((*self.failures, *failures)))

    def _check_vectors(self, vectors: NDArray[np.float32] | None, lengths: Sequence[float]) -> None:
        n_chunks = len(lengths)
        if vectors is None or self._dim is None:
            if vectors is None and (self._dim is None or n_chunks == 0):
                return
            raise ValueError(
                f"got {'no vectors' if vectors is None else f'vectors {vectors.shape}'} for {n_chunks} "
                f"chunks; the index holds {'none' if self._dim is None else f'vectors of dim {self._dim}'}"
            )
        if vectors.shape != (n_chunks, self._dim):
            raise ValueError(f"got vectors {vectors.shape}; expected {(n_chunks, self._dim)}")
        norms = np.linalg.norm(vectors, axis=1)
        if not np.all(np.abs(norms - lengths) <= _UNIT_NORM_TOLERANCE):
            raise ValueError(
                f"got vectors of length {norms.min()} to {norms.max()}; expected unit length, and zeros "
                "for a chunk without text"
            )
