"""Candidates from a vector index that stands beside the segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.multivectors import MultiVectors
from docrag.late_interaction.view import Selection, VectorView


class RowSearch(Protocol):
    """Finds rows of segments by something derived from their vectors."""

    def parts(self) -> AbstractSet[str]:
        """Names of the segments that have rows here."""
        ...

    def n_rows(self) -> int:
        """How many rows there are, those of hidden units included."""
        ...

    def nearest(
        self, query: NDArray[np.float32], *, n: int, exhaustive: bool = False
    ) -> list[tuple[str, int]]:
        """Segment and row of at most `n` units, nearest first; with `exhaustive` every row is compared."""
        ...


class TableCandidates:
    """The nearest rows that the selection holds; the index's own scores are estimates and not used further.

    A segment that the index does not have yet is put on the shortlist as a whole: nothing is missed, it only
    takes longer until the index is brought up to date.

    Parameters
    ----------
    encode_query
        Makes of ``(n_query_vectors, dim)`` what the index compares.
    """

    misses_nothing = False

    def __init__(
        self, name: str, table: RowSearch, encode_query: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    ) -> None:
        self.name = name
        self.column_names: Sequence[str] = ()
        self._table = table
        self._encode_query = encode_query

    def columns(self, vectors: MultiVectors) -> dict[str, NDArray[Any]]:
        """Nothing: the rows are in the index."""
        del vectors
        return {}

    def shortlist(
        self, query: NDArray[np.float32], view: VectorView, selections: Sequence[Selection], *, n: int
    ) -> list[Selection]:
        """The `n` nearest of the selected rows, and all rows that the index does not have.

        The index knows nothing of scopes and deletions, so it is asked for more until enough are left.
        """
        del view
        known = self._table.parts()
        inside = [selection for selection in selections if selection.part.name in known]
        nearest = self._nearest(self._encode_query(query), inside, n=n) if inside else {}
        return [
            Selection(part, np.asarray(sorted(nearest[part.name]), np.int64))
            if part.name in known
            else all_rows
            for all_rows in selections
            for part in [all_rows.part]
            if part.name not in known or nearest[part.name]
        ]

    def _nearest(
        self, encoded: NDArray[np.float32], selections: Sequence[Selection], *, n: int
    ) -> dict[str, list[int]]:
        """Rows of the `n` nearest that are selected, by segment."""
        selected = {part.name: _mask(len(part.vectors), rows) for part, rows in selections}
        n_selected, n_rows = sum(len(rows) for _, rows in selections), max(self._table.n_rows(), 1)
        n_asked = n if n_selected >= n_rows else n * n_rows // max(n_selected, 1) + n
        exhaustive = False
        while True:
            found = self._table.nearest(encoded, n=min(n_asked, n_rows), exhaustive=exhaustive)
            kept = [(name, row) for name, row in found if name in selected and selected[name][row]]
            if len(kept) >= min(n, n_selected) or (exhaustive and n_asked >= n_rows):
                break
            # What was looked at held too few: look at everything, and at more of it.
            exhaustive, n_asked = exhaustive or len(found) < min(n_asked, n_rows), n_asked * 4
            exhaustive = exhaustive or n_asked >= n_rows
        rows_of: dict[str, list[int]] = {name: [] for name in selected}
        for name, row in kept[:n]:
            rows_of[name].append(row)
        return rows_of


def _mask(size: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    mask[rows] = True
    return mask
