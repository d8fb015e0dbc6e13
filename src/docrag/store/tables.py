"""LanceDB's tables behind a few functions: open, scan, filter."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import cast

import lancedb
import pyarrow as pa
from lancedb.db import DBConnection
from lancedb.table import Table

from docrag.errors import IndexFormatError
from docrag.store.durable import first_line


def connect(index: Path) -> DBConnection:
    """Return a connection; a table opened through it stays at its version until it is opened again."""
    return lancedb.connect(str(index))


def scan(
    table: Table, columns: list[str], *, where: str | None = None, with_row_id: bool = False
) -> pa.Table:
    """Return the named columns of every row that `where` admits."""
    query = table.search().select(columns)
    if where is not None:
        query = query.where(where)
    if with_row_id:
        query = query.with_row_id(True)
    return query.to_arrow()


def ingest_ids(table: Table) -> set[str]:
    """Return every ingest_id that occurs in a table, committed or not."""
    column = scan(table, ["ingest_id"]).column("ingest_id")
    return set(cast("list[str]", column.unique().to_pylist()))


def is_in(column: str, values: Collection[str]) -> str:
    """Return the filter for rows whose `column` is one of `values`."""
    return f"{column} IN ({', '.join(map(quoted, sorted(values)))})"


def damaged(index: Path, error: Exception) -> IndexFormatError:
    """Return the error for a table that is not there or cannot be read."""
    return IndexFormatError(
        f"{index}: a table is missing or damaged ({first_line(error)}); run docrag index again, which "
        "repairs what a power cut left, or else remove the folder and index again"
    )


def quoted(value: str) -> str:
    """Return `value` as an SQL string."""
    return "'" + value.replace("'", "''") + "'"


def ranges(column: str, bounds: Iterable[tuple[int, int]]) -> str:
    """Return the filter for rows whose `column` lies in one of the inclusive ranges."""
    return "(" + " OR ".join(f"{column} BETWEEN {int(first)} AND {int(last)}" for first, last in bounds) + ")"
