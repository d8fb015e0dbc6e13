"""Durable writing to the tables of one index, step by step."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from lancedb.table import Table

from docrag.store import schema, tables
from docrag.store.durable import FolderSync, storage_errors
from docrag.store.versions import newest, roll_back

T = TypeVar("T")
_log = logging.getLogger(__name__)

_MAX_TORN = 3
"""Commits of one write: tidying merges files, updates the index and cleans up."""


class Storage:
    """The tables of an index for its one writer.

    Every change goes through `write`, which reports it to `on_write` before and after and turns failures into
    `StorageError`. `n_writes` counts the writes to each table since its files were merged.
    """

    def __init__(self, index: Path, on_write: Callable[[str], None]) -> None:
        self.index = index
        self._on_write = on_write
        self._connection = tables.connect(index)
        self._sync = FolderSync()
        for name in schema.TABLES:
            self._sync.watch(self._folder_of(name))
        self._tables: dict[str, Table] = {}
        self.n_writes: Counter[str] = Counter()

    def write(self, step: str, change: Callable[[], T]) -> T:
        """Run a change that is durable by itself."""
        with storage_errors(self.index, step):
            self._on_write(f"before {step}")
            result = change()
            self._on_write(f"after {step}")
        return result

    def write_table(self, name: str, step: str, change: Callable[[], T]) -> T:
        """Change a table; the change is on disk when this returns, and taken back when it fails."""

        def flushed() -> T:
            folder = self._folder_of(name)
            version = newest(folder)
            try:
                result = change()
                self._sync.flush(folder)
            except (OSError, RuntimeError):
                roll_back(folder, version)
                self._sync.watch(folder)  # what was written of it is unused and goes with the next clean-up
                self._tables.pop(name, None)
                raise
            self.n_writes[name] += 1
            return result

        return self.write(f"{name} {step}", flushed)

    def table(self, name: str) -> Table:
        """Return an open table at its newest version."""
        if name not in self._tables:
            try:
                self._tables[name] = self._connection.open_table(name)
            except (OSError, RuntimeError, ValueError) as error:
                raise tables.damaged(self.index, error) from error
        return self._tables[name]

    def recover(self, name: str, *, known_good: int) -> None:
        """Take back commits of a table that a power cut left torn, at most down to a version known good.

        Every write is flushed before the next begins, so only what the last one committed can be torn.
        """
        folder = self._folder_of(name)
        for _ in range(_MAX_TORN):
            version = newest(folder)
            try:
                tables.ingest_ids(self._connection.open_table(name))
            except (OSError, RuntimeError, ValueError) as error:
                if version <= known_good:
                    return
                _log.warning("version %d of table %s is torn (%s); taking it back", version, name, error)
                self.write(f"{name} recover", lambda v=version: roll_back(folder, v - 1))
            else:
                return

    def append(self, name: str, rows: pa.Table) -> None:
        """Add rows to a table, in one commit."""
        self.write_table(name, "append", lambda: self.table(name).add(rows))

    def delete(self, name: str, where: str) -> None:
        """Delete rows from a table, in one commit; without such rows nothing is written."""
        with storage_errors(self.index, f"reading table {name}"):
            n_rows = self.table(name).count_rows(where)
        if n_rows:
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
