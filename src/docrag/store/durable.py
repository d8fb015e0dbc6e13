"""Files that survive a power cut, and storage failures as one error."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Generator
from pathlib import Path

from docrag.errors import StorageError, StorageRefused

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
        self._known: dict[Path, _Tree] = {}

    def watch(self, folder: Path) -> None:
        """Take what is in `folder` now for durable."""
        self._known[folder] = _tree(folder, {})

    def flush(self, folder: Path) -> None:
        """Make every file below `folder` durable that appeared since the last call.

        Files that a table is read from, that is; Lance's records of transactions and its version hint are
        not. Raises OSError when one of them is not whole.
        """
        known = self._known.get(folder, {})
        present = _tree(folder, known)
        changed: set[str] = set()
        for parent, names in present.items():
            new = [n for n in names - known.get(parent, set()) if n.endswith(_TABLE_FILES)]
            for name in new:
                path = os.path.join(parent, name)
                with contextlib.suppress(FileNotFoundError):
                    _fsync(path)
                    _check_whole(path)
            if new or parent not in known:
                changed.add(parent)
            while parent not in known and parent != str(folder):
                parent = os.path.dirname(parent)
                changed.add(parent)
        for path in changed:
            _fsync(path)
        self._known[folder] = present


_Tree = dict[str, set[str]]
"""Names of the files and folders in every folder of a table."""


def _tree(folder: Path, known: _Tree) -> _Tree:
    """What is below `folder`; of names in `known` it is known already which are folders.

    It is made for every write, of ever more files, so nothing is asked about a file that is known.
    """
    tree: _Tree = {}
    waiting = [str(folder), *known]
    while waiting:
        parent = waiting.pop()
        if parent in tree:
            continue
        try:
            names = set(os.listdir(parent))
        except (FileNotFoundError, NotADirectoryError):
            continue
        tree[parent] = names
        for name in names - known.get(parent, set()):
            path = os.path.join(parent, name)
            if not name.endswith(_TABLE_FILES) and os.path.isdir(path):
                waiting.append(path)
    return tree


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
    """Turn what the file system or LanceDB raises during `step` into `StorageError` or `StorageRefused`.

    LanceDB reports I/O failures as OSError or RuntimeError with the cause in the text.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        kind = StorageRefused if _is_refused(str(error)) else StorageError
        raise kind(
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


def _is_refused(message: str) -> bool:
    lowered = message.lower()
    return "permission denied" in lowered or "read-only" in lowered


def _next_step(message: str) -> str:
    if is_disk_full(message):
        return "free some disk space"
    if _is_refused(message):
        return "make the folder writable"
    return "check the disk"
