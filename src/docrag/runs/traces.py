"""The last traces of an index, one file each in a folder inside it, so that a question can be asked again."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from docrag.errors import UsageError
from docrag.runs.record import ID_CHARS, TraceRecord
from docrag.store.durable import storage_errors, write_atomically

FOLDER = "traces"
"""Folder of the traces, inside the index."""

KEPT = 200
"""Traces kept; the oldest go first. One takes some 10 to 100 KB, most of it the text that was looked at."""

MIN_PREFIX = 4
_ID = re.compile(r"[0-9a-f]+")
_SUFFIX = ".json"


class TraceStore:
    """Traces below `folder`, at most `n_kept` of them; a file is there whole or not at all."""

    def __init__(self, folder: Path, *, n_kept: int = KEPT) -> None:
        self.folder = folder
        self._n_kept = n_kept

    def save(self, record: TraceRecord) -> None:
        """Keep a trace; raises `docrag.errors.StorageError` when it cannot be written."""
        text = json.dumps(record.to_json(), ensure_ascii=False, indent=1)
        with storage_errors(self.folder.parent, "keeping the trace"):
            self.folder.mkdir(exist_ok=True)
            data = text.encode("utf-8", "backslashreplace")
            write_atomically(self.folder / f"{record.trace_id}{_SUFFIX}", data)
            self._drop_oldest()

    def find(self, prefix: str) -> list[str]:
        """Ids of the traces that begin with `prefix`, sorted."""
        return sorted(path.stem for path in self._paths() if path.stem.startswith(prefix))

    def load(self, trace_id: str) -> TraceRecord:
        """Read a trace; raises UsageError when its file is no trace."""
        path = self.folder / f"{trace_id}{_SUFFIX}"
        try:
            values: Any = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: cannot be read: {error}") from error
        if not isinstance(values, dict):
            raise UsageError(f"{path}: is no trace of docrag's")
        return TraceRecord.of_json(cast("Mapping[str, Any]", values), place=str(path))

    def _paths(self) -> list[Path]:
        return [path for path in self.folder.glob(f"*{_SUFFIX}") if _ID.fullmatch(path.stem)]

    def _drop_oldest(self) -> None:
        paths = self._paths()
        if len(paths) <= self._n_kept:
            return
        ages: list[tuple[int, Path]] = []
        for path in paths:
            with contextlib.suppress(FileNotFoundError):  # another process drops them, too
                ages.append((path.stat().st_mtime_ns, path))
        for _, path in sorted(ages)[: -self._n_kept]:
            path.unlink(missing_ok=True)


def check_prefix(prefix: str) -> str:
    """Return a trace id or the beginning of one, in lower case; raises UsageError for anything else."""
    lowered = prefix.strip().lower()
    if not _ID.fullmatch(lowered) or not MIN_PREFIX <= len(lowered) <= ID_CHARS:
        raise UsageError(
            f"{prefix}: expected a trace id such as ask --json prints, at least its first {MIN_PREFIX} digits"
        )
    return lowered
