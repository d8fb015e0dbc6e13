"""What judges said before about equal questions and equal content."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from docrag.errors import StorageError

_log = logging.getLogger(__name__)

Value = TypeVar("Value")


class Cache(Protocol):
    """Short texts by key; safe to use from several threads."""

    def get(self, key: str) -> str | None:
        """Return what was put under this key, None when nothing was or it is forgotten."""
        ...

    def put(self, key: str, value: str) -> None:
        """Remember a value."""
        ...


def cache_key(*parts: str) -> str:
    """Sha256 of the parts and of where each ends."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def cached(cache: Cache, key: str, read: Callable[[str], Value]) -> Value | None:
    """What `read` makes of the value of a key; None when there is none, or when it cannot be read.

    `read` raises ValueError for a text that it did not write, as files that were damaged hold: the next value
    put replaces it.
    """
    text = cache.get(key)
    if text is None:
        return None
    try:
        return read(text)
    except ValueError:  # its message may quote a model's words about a page
        _log.warning("a cached rerank judgement cannot be read and is made anew")
        return None


class MemoryCache:
    """The `max_entries` values last used."""

    def __init__(self, max_entries: int = 10_000) -> None:
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, str] = OrderedDict()

    def get(self, key: str) -> str | None:
        """Return a value, which then counts as the last used."""
        with self._lock:
            value = self._entries.get(key)
            if value is not None:
                self._entries.move_to_end(key)
            return value

    def put(self, key: str, value: str) -> None:
        """Remember a value, and forget the one that was not used for longest when there are too many."""
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)


class FileCache:
    """The last `max_entries` values in an SQLite file, behind a `MemoryCache`: digests and scores, no text.

    Several threads and processes may share it; it is open only while it is read or written. A read or write
    that fails is a value that is not cached, and is logged. Raises `docrag.errors.StorageError` when the file
    cannot be made or is no such cache.
    """

    def __init__(
        self, path: Path, *, max_entries: int = 1_000_000, memory: MemoryCache | None = None
    ) -> None:
        self._path = path
        self._max_entries = max_entries
        self._memory = memory if memory is not None else MemoryCache()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS judged (n INTEGER PRIMARY KEY, key TEXT UNIQUE, value TEXT)"
                )
                database.execute("SELECT n, key, value FROM judged LIMIT 1")
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"{path}: no cache of rerank scores can be kept here ({error}); "
                "name another file, or delete it"
            ) from error

    def get(self, key: str) -> str | None:
        """Return a value of this process, or else of the file."""
        value = self._memory.get(key)
        if value is not None:
            return value
        try:
            with self._open() as database:
                row = database.execute("SELECT value FROM judged WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            _log.warning("%s: cannot read the cache of rerank scores: %s", self._path, error)
            return None
        if row is None:
            return None
        self._memory.put(key, str(row[0]))
        return str(row[0])

    def put(self, key: str, value: str) -> None:
        """Remember a value here and in the file, and drop the oldest of the file when there are too many."""
        self._memory.put(key, value)
        try:
            with self._open() as database:
                cursor = database.execute(
                    "INSERT OR REPLACE INTO judged (key, value) VALUES (?, ?)", (key, value)
                )
                # Numbers only grow, so this bounds the rows without counting them.
                oldest = (cursor.lastrowid or 0) - self._max_entries
                database.execute("DELETE FROM judged WHERE n <= ?", (oldest,))
        except sqlite3.Error as error:
            _log.warning("%s: cannot write to the cache of rerank scores: %s", self._path, error)

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        """The file, with what is done in one transaction."""
        with closing(sqlite3.connect(self._path, timeout=5.0)) as database, database:
            yield database
