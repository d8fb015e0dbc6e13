"""Tidying up after a run: rows of nothing go, full-text indices are completed, small files merged."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import timedelta

from docrag.store import fulltext, tables
from docrag.store.schema import DOCUMENTS, SEARCHED
from docrag.store.storage import Storage

RETENTION_S = 3600.0
"""Files of older versions are kept so long: a reader may stay on its version for that time."""

_log = logging.getLogger(__name__)


def is_tidy(storage: Storage, tidy_at: Mapping[str, int]) -> bool:
    """Whether no table changed since `tidy` returned these versions."""
    return all(storage.table(name).version == tidy_at.get(name) for name in (DOCUMENTS, *SEARCHED))


def tidy(storage: Storage, visible: Collection[str]) -> dict[str, int]:
    """Tidy all tables and return their versions; rows of ingest_ids that are not `visible` are deleted."""
    for name, column in SEARCHED.items():
        strays = tables.ingest_ids(storage.table(name)) - set(visible)
        if strays:
            storage.delete(name, tables.is_in("ingest_id", strays))
        _merge(storage, name)
        # Built anew every time: scores then depend on the rows alone, not on the way they came in.
        storage.write_table(
            name, "full-text index", lambda n=name, c=column: fulltext.build(storage.table(n), c)
        )
    _merge(storage, DOCUMENTS)
    return {name: storage.table(name).version for name in (DOCUMENTS, *SEARCHED)}


def drop_leftovers(storage: Storage) -> None:
    """Delete the files that only versions older than `RETENTION_S` need, without a new version."""
    for name in (DOCUMENTS, *SEARCHED):
        _merge(storage, name)


def _merge(storage: Storage, name: str) -> None:
    """Merge small files and drop what no version of the last `RETENTION_S` needs, crashed writes included."""
    table = storage.table(name)

    def optimize() -> None:
        # Unverified files are those of writes that never finished; the lock says that none is under way.
        table.optimize(cleanup_older_than=timedelta(seconds=RETENTION_S), delete_unverified=True)

    def optimize_without_index() -> None:
        for index in table.list_indices():
            table.drop_index(index.name)
        optimize()

    def optimize_or_drop_index() -> None:
        try:
            optimize()
        except RuntimeError as error:
            # Merging a damaged or half-written full-text index fails; it is built anew afterwards.
            _log.warning("optimizing table %s failed (%s); dropping its full-text index first", name, error)
            optimize_without_index()

    storage.write_table(name, "optimize", optimize_or_drop_index)
