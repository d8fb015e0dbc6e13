"""Files that survive a power cut, and storage failures as one error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

from docrag.errors import StorageError


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: after a crash it holds the old bytes or the new ones, never a mixture."""
    temporary = path.with_name(f".{path.name}.new")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    _fsync(path.parent)


def remove_durably(path: Path) -> None:
    """Delete `path`, if it is there, so that it does not come back after a power cut."""
    path.unlink(missing_ok=True)
    _fsync(path.parent)


class FolderSync:
    """Flushes what was added to a folder tree that other code writes to: Lance itself never calls fsync.

    Lance's files are never changed once written, so only names that were not there before are flushed,
    and then the folders that hold them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = set(_files(folder))

    def flush(self) -> None:
        """Make every file durable that appeared since the last call."""
        present = set(_files(self._folder))
        new = present - self._known
        for path in new:
            with contextlib.suppress(FileNotFoundError):
                _fsync(path)
        folders = {parent for path in new for parent in path.parents}
        for folder in folders:
            if folder.is_relative_to(self._folder):
                _fsync(folder)
        self._known = present


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in names:
            yield Path(root, name)


def _fsync(path: Path) -> None:
    if sys.platform == "win32" and path.is_dir():
        return  # Windows cannot open a folder; renames are durable there once the file is flushed
    descriptor = os.open(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def storage_errors(index: Path, step: str) -> Generator[None]:
    """Turn what the file system or LanceDB raises during `step` into `StorageError`.

    LanceDB reports I/O failures as OSError or RuntimeError with the cause in the text.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise StorageError(
            f"index {index}: {step} failed: {_first_line(error)}. "
            f"What was committed before is intact; {_next_step(str(error))}, then run the same command again"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:400]


def _next_step(message: str) -> str:
    lowered = message.lower()
    if "no space left" in lowered or "quota" in lowered:
        return "free some disk space"
    if "permission denied" in lowered or "read-only" in lowered:
        return "make the folder writable"
    return "check the disk"
