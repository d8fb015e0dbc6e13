"""Files that survive a power cut, and storage failures as one error."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

from docrag.errors import StorageError

_LAST_BYTES = {".lance": b"LANC", ".manifest": b"LANC", ".arrow": b"ARROW1"}
"""How the files of a Lance table end."""

_TABLE_FILES = (*_LAST_BYTES, ".bin")

_RUST_PLACE = re.compile(r",? ?\S+\.rs:\d+(:\d+)?")  # where in LanceDB's source; of no use to people


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: after a crash it holds the old bytes or the new ones, never a mixture."""
    temporary = path.with_name(f".{path.name}.new")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    _fsync(path.parent)


def fsync_tree(folder: Path, *, contents: bool = True) -> None:
    """Flush a folder, and with `contents` every file in it, so that they survive a power cut."""
    for path in folder.iterdir() if contents else ():
        _fsync(path)
    _fsync(folder)


def remove_durably(path: Path) -> None:
    """Delete `path`, if it is there, so that it does not come back after a power cut."""
    path.unlink(missing_ok=True)
    _fsync(path.parent)


class FolderSync:
    """Flushes what was added to folders that other code writes to: Lance itself never calls fsync.

    Lance's files are never changed once written, so only names that were not there before are flushed,
    and then the folders that hold them. A new file that is cut short is an error, see
    `docrag.store.versions`.
    """

    def __init__(self) -> None:
        self._known: dict[Path, set[str]] = {}

    def watch(self, folder: Path) -> None:
        """Take what is in `folder` now for durable."""
        self._known[folder] = set(_files(folder))

    def flush(self, folder: Path) -> None:
        """Make every file below `folder` durable that appeared since the last call.

        Raises OSError when one of them is not whole.
        """
        present = set(_files(folder))
        known = self._known.get(folder, set())
        known_folders = {os.path.dirname(path) for path in known}
        folders: set[str] = set()
        for path in present - known:
            with contextlib.suppress(FileNotFoundError):
                _fsync(path)
                _check_whole(path)
            parent = os.path.dirname(path)
            folders.add(parent)
            while parent not in known_folders and parent != str(folder):
                parent = os.path.dirname(parent)
                folders.add(parent)
        for path in folders:
            _fsync(path)
        self._known[folder] = present


def _files(folder: Path) -> Iterator[str]:
    """Files that a table is read from; Lance's records of transactions and its version hint are not."""
    for root, _, names in os.walk(folder):
        for name in names:
            if os.path.splitext(name)[1] in _TABLE_FILES:
                yield os.path.join(root, name)


def _check_whole(path: str) -> None:
    end = _LAST_BYTES.get(os.path.splitext(path)[1])
    if end is None:
        return
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(end)))
        if file.read() != end:
            raise OSError(errno.ENOSPC, f"No space left on device: only {size} bytes were written", path)


def _fsync(path: Path | str) -> None:
    if sys.platform == "win32" and os.path.isdir(path):
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
            f"index {index}: {step} failed: {first_line(error)}. "
            f"What was committed before is intact; {_next_step(str(error))}, then run the same command again"
        ) from error


def is_disk_full(message: str) -> bool:
    """Whether an error message of the system or of LanceDB says that there is no room left."""
    lowered = message.lower()
    return "no space left" in lowered or "quota" in lowered


def first_line(error: BaseException) -> str:
    """Return what an error says, without the rest of a stack or LanceDB's place in its source."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return _RUST_PLACE.sub("", line)[:400]


def _next_step(message: str) -> str:
    lowered = message.lower()
    if is_disk_full(message):
        return "free some disk space"
    if "permission denied" in lowered or "read-only" in lowered:
        return "make the folder writable"
    return "check the disk"
