"""Visual units of chosen kinds: regions that are tables, pages that hold a picture."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from docrag.late_interaction.view import Selection, VectorView
from docrag.protocols import Corpus
from docrag.types import RegionKind


def of_kinds(
    selections: Sequence[Selection], view: VectorView, corpus: Corpus, kinds: Collection[RegionKind]
) -> list[Selection]:
    """Keep the rows of regions of these kinds, and of pages that hold one."""
    admitted: dict[int, set[tuple[int, int]]] = {}

    def places(doc_index: int) -> set[tuple[int, int]]:
        if doc_index not in admitted:
            of_document = corpus.chunk_kinds(view.documents[doc_index].doc_id)
            chunks = {place for place, kind in of_document.items() if kind in kinds}
            admitted[doc_index] = chunks | {(page_no, 0) for page_no, _ in chunks}
        return admitted[doc_index]

    kept: list[Selection] = []
    for part, rows in selections:
        keep = [
            (int(part.page_nos[row]), int(part.chunk_nos[row])) in places(int(part.doc_indices[row]))
            for row in rows
        ]
        if any(keep):
            kept.append(Selection(part, rows[keep]))
    return kept
