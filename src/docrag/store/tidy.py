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
            storage.write_table(name, "merge", lambda n=name, c=column: _merge(storage.table(n), c))
            # Built anew every time: scores then depend on the rows alone, not on the way they came in.
            storage.write_table(
                name, "full-text index", lambda n=name, c=column: fulltext.build(storage.table(n), c)
            )
    if storage.table(DOCUMENTS).version != tidy_at.get(DOCUMENTS):
        storage.write_table(DOCUMENTS, "merge", lambda: _merge(storage.table(DOCUMENTS), None))
    drop_leftovers(storage)
    return {name: storage.table(name).version for name in TABLES}


def drop_leftovers(storage: Storage) -> None:
    """Delete the files of versions older than `RETENTION_S`, and those of writes that never finished.

    Only now, when what replaced them is known to be whole on disk. The lock says that no write is under way.
    """
    older = timedelta(seconds=RETENTION_S)
    for name in TABLES:
        storage.write_table(
            name,
            "clean-up",
            lambda n=name: storage.table(n).optimize(cleanup_older_than=older, delete_unverified=True),
        )


def _merge(table: Table, searched: str | None) -> None:
    """Merge small files; the versions before stay."""
    try:
        table.optimize(cleanup_older_than=_FOREVER)
    except RuntimeError as error:
        if searched is None or is_disk_full(str(error)):
            raise
        # A damaged full-text index stands in the way of merging; replacing it never leaves the table without.
        _log.warning("merging table %s failed (%s); building its full-text index first", table.name, error)
        fulltext.build(table, searched)
        table.optimize(cleanup_older_than=_FOREVER)
