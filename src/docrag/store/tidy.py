"""Tidying up after a run: rows of nothing go, full-text indices are completed, small files merged."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import timedelta

from lancedb.table import Table

from docrag.store import fulltext, tables
from docrag.store.durable import is_disk_full
from docrag.store.schema import DOCUMENTS, SEARCHED, TABLES
from docrag.store.storage import Storage

RETENTION_S = 3600.0
"""Files of older versions are kept so long: a reader may stay on its version for that time."""

MERGE_EVERY = 256
"""Writes to a table between two merges; the cost of a write grows with the number of files."""

_FOREVER = timedelta(days=36_500)
_log = logging.getLogger(__name__)


def is_tidy(storage: Storage, tidy_at: Mapping[str, int]) -> bool:
    """Whether no table changed since `tidy` returned these versions."""
    return all(storage.table(name).version == tidy_at.get(name) for name in TABLES)


def tidy(storage: Storage, visible: Collection[str], *, tidy_at: Mapping[str, int]) -> dict[str, int]:
    """Tidy all tables and return their versions; rows of ingest_ids that are not `visible` are deleted.

    A table that still stands at the version in `tidy_at`, and holds no such rows, is left as it is.
    """
    for name, column in SEARCHED.items():
        strays = tables.ingest_ids(storage.table(name)) - set(visible)
        if strays:
            storage.delete(name, tables.is_in("ingest_id", strays))
        if storage.table(name).version != tidy_at.get(name):
            _merge(storage, name)
            # Built anew every time: scores then depend on the rows alone, not on the way they came in.
            storage.write_table(
                name, "full-text index", lambda n=name, c=column: fulltext.build(storage.table(n), c)
            )
    if storage.table(DOCUMENTS).version != tidy_at.get(DOCUMENTS):
        _merge(storage, DOCUMENTS)
    drop_leftovers(storage)
    return {name: storage.table(name).version for name in TABLES}


def merge_if_many(storage: Storage, name: str) -> None:
    """Merge the files of a table after every `MERGE_EVERY` writes, so that a long run stays fast."""
    if storage.n_writes[name] >= MERGE_EVERY:
        _merge(storage, name)
        _drop_leftovers(storage, name)
        storage.n_writes[name] = 0


def drop_leftovers(storage: Storage) -> None:
    """Delete the files of versions older than `RETENTION_S`, and those of writes that never finished."""
    for name in TABLES:
        _drop_leftovers(storage, name)


def _drop_leftovers(storage: Storage, name: str) -> None:
    # Only now, when what replaced them is known to be whole on disk. The lock says that nobody else writes.
    older = timedelta(seconds=RETENTION_S)
    storage.write_table(
        name,
        "clean-up",
        lambda: storage.table(name).optimize(cleanup_older_than=older, delete_unverified=True),
    )


def _merge(storage: Storage, name: str) -> None:
    """Merge small files; the versions before stay."""
    storage.write_table(name, "merge", lambda: _merged(storage.table(name), SEARCHED.get(name)))


def _merged(table: Table, searched: str | None) -> None:
    try:
        table.optimize(cleanup_older_than=_FOREVER)
    except RuntimeError as error:
        if searched is None or is_disk_full(str(error)):
            raise
        # A damaged full-text index stands in the way of merging; replacing it never leaves the table without.
        _log.warning("merging table %s failed (%s); building its full-text index first", table.name, error)
        fulltext.build(table, searched)
        table.optimize(cleanup_older_than=_FOREVER)
