"""Exact cosine search over the vectors of all visible chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from docrag.store.selection import Place
from docrag.types import Document, Scored, UnitRef

SCORE_DIGITS = 6
"""Cosines are rounded to what float32 sums can tell apart, so that equal vectors tie wherever they lie."""


@dataclass(frozen=True, slots=True)
class ChunkVectors:
    """Vectors in unit order: row i of `matrix` ``(n_chunks, dim) float32`` is chunk i.

    `doc_indices` point into `documents`, which are sorted by name.
    """

    documents: Sequence[Document]
    doc_indices: NDArray[np.int64]
    page_nos: NDArray[np.int32]
    chunk_nos: NDArray[np.int32]
    kinds: NDArray[np.str_]
    matrix: NDArray[np.float32]

    @classmethod
    def of_rows(
        cls, rows: pa.Table, documents: Sequence[Document], doc_index_of: Mapping[str, int], *, dim: int
    ) -> ChunkVectors:
        """Take the vectors of the rows of ``chunks`` whose ingest_id has an index into `documents`.

        Chunks without text are left out.
        """
        keys = rows.column("ingest_id").combine_chunks().dictionary_encode()
        names = cast("list[str]", keys.dictionary.to_pylist())
        lookup = np.array([doc_index_of.get(name, -1) for name in names], np.int64)
        doc_indices = lookup[keys.indices.to_numpy()]
        page_nos = rows.column("page_no").to_numpy()
        chunk_nos = rows.column("chunk_no").to_numpy()
        vectors = rows.column("vector").combine_chunks()
        matrix = vectors.flatten().to_numpy().reshape(-1, dim)
        order = np.lexsort((chunk_nos, page_nos, doc_indices))
        # A chunk without text has a row of zeros: it has no direction, and is never found by words.
        order = order[(doc_indices[order] >= 0) & matrix[order].any(axis=1)]
        kinds = np.array(rows.column("kind").to_pylist(), np.str_)
        return cls(
            documents, doc_indices[order], page_nos[order], chunk_nos[order], kinds[order], matrix[order]
        )

    def search(self, vector: NDArray[np.float32], place: Place, *, k: int) -> list[Scored]:
        """Return the `k` chunks of a place that are nearest to `vector`, best first."""
        rows = self._rows(place)
        if k <= 0 or len(rows) == 0:
            return []
        norm = float(np.linalg.norm(vector))
        if not np.isfinite(norm) or norm == 0.0:
            raise ValueError(f"got a query vector of length {norm}; expected a finite length above 0")
        matrix = self.matrix if len(rows) == len(self.matrix) else self.matrix[rows]
        scores = np.round((matrix @ (vector / norm)).astype(np.float64), SCORE_DIGITS)
        if k < len(scores):
            kth_best = np.partition(scores, len(scores) - k)[len(scores) - k]
            kept = np.flatnonzero(scores >= kth_best)
        else:
            kept = np.arange(len(scores))
        best = kept[np.lexsort((rows[kept], -scores[kept]))][:k]
        return [Scored(self._unit(int(rows[i])), float(scores[i])) for i in best]

    def _rows(self, place: Place) -> NDArray[np.int64]:
        docs, pages, kinds = place
        if len(docs) == len(self.documents):
            rows = np.arange(len(self.matrix))
        else:
            wanted = {document.doc_id for document in docs}
            indices = [i for i, document in enumerate(self.documents) if document.doc_id in wanted]
            starts = np.searchsorted(self.doc_indices, indices, side="left")
            ends = np.searchsorted(self.doc_indices, indices, side="right")
            spans = [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
            rows = np.concatenate(spans) if spans else np.arange(0)
        if pages is not None:
            page_nos = self.page_nos[rows]
            admitted = np.zeros(len(rows), np.bool_)
            for first, last in pages:
                admitted |= (page_nos >= first) & (page_nos <= last)
            rows = rows[admitted]
        if kinds is not None:
            rows = rows[np.isin(self.kinds[rows], list(kinds))]
        return rows

    def _unit(self, row: int) -> UnitRef:
        document = self.documents[self.doc_indices[row]]
        return UnitRef(document.doc, int(self.page_nos[row]), int(self.chunk_nos[row]), document.doc_id)
