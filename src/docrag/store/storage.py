"""Durable writing to the tables of one index, step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from lancedb.table import Table

from docrag.store import schema, tables
from docrag.store.durable import FolderSync, storage_errors

T = TypeVar("T")


class Storage:
    """The tables of an index for its one writer.

    Every change goes through `write`, which reports it to `on_write` before and after and turns failures into
    `StorageError`.
    """

    def __init__(self, index: Path, on_write: Callable[[str], None]) -> None:
        self.index = index
        self._on_write = on_write
        self._connection = tables.connect(index)
        self._sync = FolderSync()
        self._tables: dict[str, Table] = {}

    def write(self, step: str, change: Callable[[], T]) -> T:
        """Run a change that is durable by itself."""
        with storage_errors(self.index, step):
            self._on_write(f"before {step}")
            result = change()
            self._on_write(f"after {step}")
        return result

    def write_table(self, name: str, step: str, change: Callable[[], T]) -> T:
        """Change a table; the change is on disk when this returns."""

        def flushed() -> T:
            result = change()
            self._sync.flush(self._folder_of(name))
            return result

        return self.write(f"{name} {step}", flushed)

    def table(self, name: str) -> Table:
        """Return an open table at its newest version."""
        if name not in self._tables:
            with storage_errors(self.index, f"opening table {name}"):
                self._tables[name] = self._connection.open_table(name)
                self._sync.watch(self._folder_of(name))
        return self._tables[name]

    def append(self, name: str, rows: pa.Table) -> None:
        """Add rows to a table, in one commit."""
        self.write_table(name, "append", lambda: self.table(name).add(rows))

    def delete(self, name: str, where: str) -> None:
        """Delete rows from a table, in one commit; without such rows nothing is written."""
        if self.table(name).count_rows(where):
            self.write_table(name, "delete", lambda: self.table(name).delete(where))

    def create_tables(self, dim: int | None) -> None:
        """Create all tables anew, empty."""
        schemas = {
            schema.DOCUMENTS: schema.DOCUMENTS_SCHEMA,
            schema.PAGES: schema.PAGES_SCHEMA,
            schema.CHUNKS: schema.chunks_schema(dim),
        }
        for name, columns in schemas.items():
            self.write_table(name, "create", lambda n=name, c=columns: self._create_table(n, c))

    def _create_table(self, name: str, columns: pa.Schema) -> None:
        if self._folder_of(name).is_dir():  # an earlier creation was interrupted
            self._connection.drop_table(name)
        self._connection.create_table(name, schema=columns)

    def has_documents(self) -> bool:
        """Whether there is a ``documents`` table with rows in it."""
        if not self._folder_of(schema.DOCUMENTS).is_dir():
            return False
        return self._connection.open_table(schema.DOCUMENTS).count_rows() > 0

    def _folder_of(self, name: str) -> Path:
        return self.index / f"{name}.lance"
