"""Candidate stages: a cheap look at every unit, so that only the promising ones are scored exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.fde import Fde
from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import MultiVectors, encode
from docrag.late_interaction.pooling import pool_hierarchically
from docrag.late_interaction.view import Selection, VectorPart, VectorView
from docrag.retrieve.visual.ranking import best_rows

Columns = dict[str, NDArray[Any]]


class Candidates(Protocol):
    """Finds the units worth an exact look."""

    name: str
    misses_nothing: bool
    """Whether the best `n` of all are certain to be on a shortlist for `n`."""

    @property
    def column_names(self) -> Sequence[str]:
        """What `columns` makes; none for a stage that stores nothing beside the vectors."""
        ...

    def columns(self, vectors: MultiVectors) -> Columns:
        """What to store beside the vectors of a segment, by `column_names`."""
        ...

    def shortlist(
        self, query: NDArray[np.float32], view: VectorView, selections: Sequence[Selection], *, n: int
    ) -> list[Selection]:
        """About `n` of the selected rows that exact scoring will most likely rank best."""
        ...


class Exact:
    """No shortlist: everything is scored exactly."""

    name = "exact"
    misses_nothing = True
    column_names: Sequence[str] = ()

    def columns(self, vectors: MultiVectors) -> Columns:
        """Nothing."""
        del vectors
        return {}

    def shortlist(
        self, query: NDArray[np.float32], view: VectorView, selections: Sequence[Selection], *, n: int
    ) -> list[Selection]:
        """Everything selected."""
        del query, view, n
        return list(selections)


class StoredColumns:
    """Columns of parts: as stored, or made once where an index was written without them."""

    def __init__(self, make: Callable[[MultiVectors], Columns]) -> None:
        self._make = make
        self._made: dict[str, Columns] = {}

    def of(self, part: VectorPart, names: Sequence[str]) -> list[NDArray[Any]]:
        """The named columns of a part."""
        if all(name in part.columns for name in names):
            return [part.columns[name] for name in names]
        if part.name not in self._made:
            self._made[part.name] = self._make(part.vectors)
        return [self._made[part.name][name] for name in names]


class PooledCandidates:
    """MaxSim over few vectors a unit: hierarchically pooled, as int8 or as signs.

    With ``vector_type="1-bit"`` this is Hamming MaxSim, but for the query, which keeps 8 bits: the product
    of a query vector with signs orders as the Hamming distance does, and finer.
    """

    misses_nothing = False

    def __init__(
        self, kernel: MaxSim, *, pool_factor: int = 4, vector_type: Literal["int8", "1-bit"] = "1-bit"
    ) -> None:
        self.name = f"pooled-{pool_factor}-{vector_type}"
        self._kernel = kernel
        self._factor = pool_factor
        self._type: Literal["int8", "1-bit"] = vector_type
        self._stored = StoredColumns(self.columns)
        self._opened: dict[str, MultiVectors] = {}

    def columns(self, vectors: MultiVectors) -> Columns:
        """Codes, offsets and scales of the pooled vectors."""
        pooled = [pool_hierarchically(vectors.vectors(i), self._factor)[0] for i in range(len(vectors))]
        packed = encode(pooled, self._type, dim=vectors.dim)
        values = (packed.codes, packed.offsets, packed.scales, packed.means)
        return {name: v for name, v in zip(self.column_names, values, strict=False) if v is not None}

    def shortlist(
        self, query: NDArray[np.float32], view: VectorView, selections: Sequence[Selection], *, n: int
    ) -> list[Selection]:
        """The rows with the best MaxSim over pooled vectors."""
        del view
        parts = [(self._pooled(part), rows) for part, rows in selections]
        scores = [scores[0] for scores in self._kernel.scores_each([query], parts)]
        return best_rows(selections, scores, n=n)

    @property
    def column_names(self) -> Sequence[str]:
        """Of a packed `MultiVectors`."""
        stored = ["codes", "offsets", "scales"] + ["means"] * (self._type == "1-bit")
        return [f"{self.name}-{what}" for what in stored]

    def _pooled(self, part: VectorPart) -> MultiVectors:
        if part.name not in self._opened:
            codes, offsets, scales, *means = self._stored.of(part, self.column_names)
            self._opened[part.name] = MultiVectors(
                codes, offsets, scales, self._type, part.vectors.dim, means[0] if means else None
            )
        return self._opened[part.name]


class CentroidCandidates:
    """MaxSim over the centroids that residuals are stored beside: pooled by 16, and there already."""

    name = "centroids"
    misses_nothing = False
    column_names: Sequence[str] = ()

    def __init__(self, kernel: MaxSim) -> None:
        self._kernel = kernel

    def columns(self, vectors: MultiVectors) -> Columns:
        """Nothing: the vectors bring their centroids."""
        del vectors
        return {}

    def shortlist(
        self, query: NDArray[np.float32], view: VectorView, selections: Sequence[Selection], *, n: int
    ) -> list[Selection]:
        """The rows with the best MaxSim over centroids.

        Raises ValueError for vectors of another storage type, which have none.
        """
        del view
        parts: list[tuple[MultiVectors, NDArray[np.int64]]] = []
        for part, rows in selections:
            if part.vectors.centroids is None:
                raise ValueError(
                    f"segment {part.name} holds {part.vectors.vector_type} vectors, which have no centroids; "
                    "choose another candidate stage"
                )
            parts.append((part.vectors.centroids, rows))
        scores = [scores[0] for scores in self._kernel.scores_each([query], parts)]
        return best_rows(selections, scores, n=n)


class FdeCandidates:
    """Inner products of fixed dimensional encodings, in one matrix product over all units."""

    misses_nothing = False

    def __init__(self, fde: Fde) -> None:
        self.name = fde.name
        self.column_names: Sequence[str] = (fde.name,)
        self._fde = fde
        self._stored = StoredColumns(self.columns)

    def columns(self, vectors: MultiVectors) -> Columns:
        """``(n_units, fde_dim) float16``."""
        rows = [self._fde.encode_document(vectors.vectors(i)) for i in range(len(vectors))]
        return {self.name: np.asarray(rows, np.float16).reshape(len(vectors), self._fde.fde_dim)}

    def shortlist(
        self, query: NDArray[np.float32], view: VectorView, selections: Sequence[Selection], *, n: int
    ) -> list[Selection]:
        """The rows with the largest inner products."""
        del view
        encoded = self._fde.encode_query(query)
        scores: list[NDArray[np.float32]] = []
        for part, rows in selections:
            (column,) = self._stored.of(part, [self.name])
            chosen = column if len(rows) == len(column) else column[rows]
            scores.append(chosen.astype(np.float32) @ encoded)
        return best_rows(selections, scores, n=n)
