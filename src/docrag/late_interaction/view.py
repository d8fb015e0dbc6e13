"""Stored multi-vectors and the units they belong to, as one committed state of an index shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.multivectors import MultiVectors
from docrag.types import Document, PageRef, Unit, UnitRef


class Grids(Protocol):
    """Patch grids by row, see `docrag.protocols.ImageVectors`; None for a unit without one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> NDArray[np.int32] | None: ...


@dataclass(frozen=True, slots=True)
class VectorPart:
    """One segment: the vectors of some units, with the place of each unit in the index.

    Row ``i`` of every array is unit ``i`` of `vectors`. `doc_indices` point into the documents of the view;
    −1 marks a unit that is not visible. `columns` are what candidate stages stored beside the vectors.
    """

    name: str
    vectors: MultiVectors
    doc_indices: NDArray[np.int32]
    page_nos: NDArray[np.int32]
    chunk_nos: NDArray[np.int32]
    grids: Grids
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, Any])


class Selection(NamedTuple):
    """Rows of one part of a view."""

    part: VectorPart
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class VectorView:
    """All visible units of an index that have vectors. `documents` are sorted by name."""

    documents: Sequence[Document]
    parts: Sequence[VectorPart]

    def select(
        self, docs: Sequence[Document], pages: Sequence[tuple[int, int]] | None, unit: Unit
    ) -> list[Selection]:
        """Rows of the given documents and inclusive page ranges, whole pages or regions, part by part."""
        admitted_docs = np.zeros(len(self.documents) + 1, bool)  # the last place is that of index −1
        wanted = {document.doc_id for document in docs}
        admitted_docs[:-1] = [document.doc_id in wanted for document in self.documents]
        chosen: list[Selection] = []
        for part in self.parts:
            keep = admitted_docs[part.doc_indices] & ((part.chunk_nos == 0) == (unit == "page"))
            if pages is not None:
                in_range = np.zeros(len(keep), bool)
                for first, last in pages:
                    in_range |= (part.page_nos >= first) & (part.page_nos <= last)
                keep &= in_range
            rows = np.flatnonzero(keep)
            if len(rows):
                chosen.append(Selection(part, rows))
        return chosen

    def unit(self, part: VectorPart, row: int) -> UnitRef:
        """The unit behind a row."""
        document = self.documents[part.doc_indices[row]]
        return UnitRef(document.doc, int(part.page_nos[row]), int(part.chunk_nos[row]), document.doc_id)

    def find(self, unit: UnitRef) -> tuple[VectorPart, int] | None:
        """Where a unit's vectors lie; None when it has none."""
        for part in self.parts:
            rows = np.flatnonzero((part.page_nos == unit.page_no) & (part.chunk_nos == unit.chunk_no))
            for row in rows:
                index = part.doc_indices[row]
                if index >= 0 and self.documents[index].doc_id == unit.doc_id:
                    return part, int(row)
        return None

    def pages(self) -> set[PageRef]:
        """Pages whose whole image has vectors."""
        return {
            PageRef(self.documents[doc_index].doc_id, int(page_no))
            for part in self.parts
            for doc_index, page_no, chunk_no in zip(
                part.doc_indices, part.page_nos, part.chunk_nos, strict=True
            )
            if doc_index >= 0 and chunk_no == 0
        }
