"""What candidate stages search outside the segments: one derived row per unit, in a LanceDB vector index.

The segments stay the truth. A row names its segment and its place there, so what a view no longer shows is
dropped from what is found, at once; rows of segments that are gone are deleted when the table is next brought
up to date. A table that is damaged is made anew from the segments.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.db import DBConnection
from lancedb.index import IvfFlat, IvfRq
from lancedb.table import IndexStatistics, Table
from numpy.typing import NDArray

from docrag.late_interaction.multivectors import MultiVectors
from docrag.store import tables
from docrag.store.durable import FolderSync, storage_errors

FOLDER = "candidates"
BATCH_ROWS = 256

REBUILD_SHARE = 0.25
"""The vector index is built anew when more than this share of the rows came after it; until then those rows
are scanned beside it."""

REFINE = 5
"""So many times the rows asked for are compared by their stored numbers: a quantised index only estimates."""

SAMPLE_PER_PARTITION = 64
"""Rows per partition that its centre is learnt from; a quarter of LanceDB's own default."""

_OLD = timedelta(hours=1)
"""Files of older versions are kept so long: a reader may stay on its version for that time."""

_log = logging.getLogger(__name__)


class TableSpec(NamedTuple):
    """What a table holds; equal names mean equal rows.

    Attributes
    ----------
    dim
        Of a vector, or of every vector of a multi-vector.
    distance
        "dot" for plain inner products; LanceDB indexes multi-vectors by "cosine" only.
    index_from
        Rows from which on there is an IVF index; fewer are scanned.
    n_probes
        Partitions of the index that a search looks into.
    """

    name: str
    dim: int
    is_multivector: bool
    distance: Literal["dot", "cosine"]
    index_from: int = 10_000
    n_probes: int = 32


Rows = Callable[[MultiVectors], Iterator[NDArray[np.float32]]]
"""The derived row of every unit of a segment: ``(dim,)``, or ``(n, dim)`` for a multi-vector."""


def n_partitions(n_rows: int) -> int:
    """Partitions of an index over so many rows, 2 √n: LanceDB's own choice is made for millions."""
    return max(1, round(2 * n_rows**0.5))


class RowTable:
    """One table, read by searches and brought up to date by the pass that holds the writer lock.

    Satisfies `docrag.retrieve.visual.table.RowSearch`.
    """

    def __init__(self, index: Path, spec: TableSpec) -> None:
        self.index, self.spec = index, spec
        self._table: Table | None = None
        self._parts: tuple[int, frozenset[str]] = -1, frozenset()  # with the version it was read at
        self._partitions = -1, 0

    def parts(self) -> frozenset[str]:
        """Names of the segments whose units have rows; none without a table."""
        table = self._open()
        if table is None:
            return frozenset()
        if self._parts[0] != (version := table.version):
            names = tables.scan(table, ["segment"]).column("segment").unique().to_pylist()
            self._parts = version, frozenset(cast("list[str]", names))
        return self._parts[1]

    def n_rows(self) -> int:
        """How many rows there are, those of hidden units included."""
        table = self._open()
        return 0 if table is None else table.count_rows()

    def nearest(
        self, query: NDArray[np.float32], *, n: int, exhaustive: bool = False
    ) -> list[tuple[str, int]]:
        """Segment and row of the `n` nearest units, nearest first; fewer when fewer are looked at.

        `query` is ``(dim,)``, or ``(n_query_vectors, dim)`` against multi-vectors. With `exhaustive` every
        row is compared, index or not.
        """
        table = self._open()
        if table is None or n < 1:
            return []
        vector: Any = query if query.ndim == 1 else [row.tolist() for row in query]
        search: Any = table.search(vector, vector_column_name="vector")
        search = search.distance_type(self.spec.distance).limit(n)
        n_partitions = self._n_partitions()
        if exhaustive:
            search = search.bypass_vector_index()
        elif n_partitions:
            n_probes = min(self.spec.n_probes, n_partitions)
            search = search.minimum_nprobes(n_probes).maximum_nprobes(n_probes).refine_factor(REFINE)
        found: pa.Table = search.select(["segment", "row", "_distance"]).to_arrow()
        return list(zip(found["segment"].to_pylist(), found["row"].to_pylist(), strict=True))

    def indexed(self) -> bool:
        """Whether there is an IVF index; otherwise every row is compared."""
        return self._n_partitions() > 0

    def update(self, segments: Mapping[str, MultiVectors], rows: Rows) -> int:
        """Add rows of segments that have none, drop those of others, see to the index; how many were added.

        Every segment is one commit: a crash leaves all of its rows or none.
        """
        with storage_errors(self.index, f"updating the candidate table {self.spec.name}"):
            try:
                gone = self.parts() - segments.keys()
            except (OSError, RuntimeError, ValueError) as error:
                _log.warning("candidate table %s is damaged (%s); making it anew", self.spec.name, error)
                self._drop()
                gone = frozenset[str]()
            table = self._open() or self._create()
            sync, folder = FolderSync(), self.index / FOLDER / f"{self.spec.name}.lance"
            sync.watch(folder)
            n_added = 0
            for name in sorted(segments.keys() - self.parts()):
                reader = pa.RecordBatchReader.from_batches(
                    self._schema, self._batches(name, rows(segments[name]))
                )
                table.add(reader)
                n_added += len(segments[name])
            if gone:
                table.delete(tables.is_in("segment", gone))
                table.optimize(cleanup_older_than=_OLD)
            self._see_to_index(table)
            sync.flush(folder)
        return n_added

    def _n_partitions(self) -> int:
        """Partitions of the IVF index, 0 without one."""
        table = self._open()
        if table is None:
            return 0
        if self._partitions[0] != (version := table.version):
            stats = self._index_stats(table)
            self._partitions = version, n_partitions(stats.num_indexed_rows) if stats is not None else 0
        return self._partitions[1]

    def _index_stats(self, table: Table) -> IndexStatistics | None:
        names = [index.name for index in table.list_indices() if index.columns == ["vector"]]
        return table.index_stats(names[0]) if names else None

    def _see_to_index(self, table: Table) -> None:
        n_rows = table.count_rows()
        if n_rows < self.spec.index_from:
            return
        stats = self._index_stats(table)
        if stats is not None and stats.num_unindexed_rows <= REBUILD_SHARE * n_rows:
            return
        # RaBitQ keeps one bit a number; it packs eight of them in a byte.
        kind = IvfRq if self.spec.dim % 8 == 0 else IvfFlat
        config = kind(
            distance_type=self.spec.distance,
            num_partitions=n_partitions(n_rows),
            sample_rate=SAMPLE_PER_PARTITION,
        )
        table.create_index("vector", config=config)

    def _batches(self, segment: str, rows: Iterator[NDArray[np.float32]]) -> Iterator[pa.RecordBatch]:
        waiting: list[NDArray[np.float32]] = []
        first = 0
        for row in rows:
            waiting.append(row)
            if len(waiting) == BATCH_ROWS:
                yield self._batch(segment, first, waiting)
                first, waiting = first + len(waiting), []
        if waiting:
            yield self._batch(segment, first, waiting)

    def _batch(self, segment: str, first: int, rows: Sequence[NDArray[np.float32]]) -> pa.RecordBatch:
        flat = np.concatenate([row.reshape(-1) for row in rows]).astype(np.float16)
        vectors: pa.Array = pa.FixedSizeListArray.from_arrays(pa.array(flat), self.spec.dim)
        if self.spec.is_multivector:
            ends = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int32)
            vectors = pa.ListArray.from_arrays(pa.array(ends), vectors)
        names = pa.array([segment] * len(rows))
        places = pa.array(np.arange(first, first + len(rows), dtype=np.int32))
        return pa.RecordBatch.from_arrays([names, places, vectors], schema=self._schema)

    @property
    def _schema(self) -> pa.Schema:
        vector = pa.list_(pa.float16(), self.spec.dim)
        return pa.schema(
            [
                pa.field("segment", pa.string(), nullable=False),
                pa.field("row", pa.int32(), nullable=False),
                pa.field("vector", pa.list_(vector) if self.spec.is_multivector else vector),
            ]
        )

    def _connect(self) -> DBConnection:
        """Connect, which makes the folder: not before there is a table to read or to write.

        A search sees at once what another process added.
        """
        return lancedb.connect(str(self.index / FOLDER), read_consistency_interval=timedelta(0))

    def _open(self) -> Table | None:
        if self._table is None and self._exists():
            self._table = self._connect().open_table(self.spec.name)
        return self._table

    def _exists(self) -> bool:
        return (self.index / FOLDER / f"{self.spec.name}.lance").is_dir()

    def _create(self) -> Table:
        self._table = self._connect().create_table(self.spec.name, schema=self._schema)
        return self._table

    def _drop(self) -> None:
        self._table, self._parts, self._partitions = None, (-1, frozenset()), (-1, 0)
        if self._exists():
            self._connect().drop_table(self.spec.name)
