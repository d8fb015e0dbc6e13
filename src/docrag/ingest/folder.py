"""Which files to index: PDFs below the paths asked for, named relative to the indexed folder."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from docrag.errors import UsageError
from docrag.ingest.names import document_name
from docrag.types import Reason

SUFFIX = ".pdf"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to index; size and time as they were when it was found."""

    doc: str
    path: Path
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Unusable:
    """Something that was asked for, or looks like a PDF, and cannot be indexed."""

    doc: str
    reason: Reason
    message: str


@dataclass(slots=True)
class Scan:
    """What lies below the paths asked for, sorted by name. `asked` are those paths, resolved."""

    root: Path
    asked: frozenset[Path]
    files: list[FoundFile] = field(default_factory=list[FoundFile])
    unusable: list[Unusable] = field(default_factory=list[Unusable])

    def covers(self, path: Path) -> bool:
        """Whether `path` is one of the paths asked for, or lies below one."""
        return path in self.asked or any(folder in self.asked for folder in path.parents)

    def passes_over(self, path: Path) -> bool:
        """Whether a file at `path` is not looked for below the paths asked for, but taken by name only."""
        if path in self.asked:
            return False
        inside = itertools.takewhile(lambda folder: folder not in self.asked, path.parents)
        return not is_pdf_name(path.name) or any(is_hidden(folder.name) for folder in inside)


def is_pdf_name(name: str) -> bool:
    """Whether a file is taken for a PDF by its name; "._a.pdf" is what macOS puts beside "a.pdf"."""
    return name.lower().endswith(SUFFIX) and not name.startswith("._")


def is_hidden(name: str) -> bool:
    """Whether a folder of this name is passed over."""
    return name.startswith(".")


def common_root(paths: Sequence[Path]) -> Path:
    """The folder that names are relative to: the folder asked for, or the one around everything asked for."""
    folders = [p if os.path.isdir(p) else p.parent for p in (Path(os.path.abspath(p)) for p in paths)]
    if not folders:
        raise UsageError("no path to index was given; expected a folder or PDF files")
    return Path(os.path.commonpath(folders))


def scan(paths: Sequence[Path], *, root: Path) -> Scan:
    """Find the PDFs below `paths`.

    Files named explicitly are taken whatever their name. Hidden folders are passed over. Links are
    followed inside `root` only, each folder once.

    Raises
    ------
    UsageError
        A path does not exist, or lies outside `root`.
    """
    root = _real(root)
    asked = tuple(_locate(path, root) for path in paths)
    found = Scan(root, frozenset(asked))
    walk = _Walk(found)
    for path in asked:
        if os.path.isdir(path):  # unlike Path.is_dir it takes what it may not look at
            walk.folder(path)
        else:
            walk.file(path)
    walk.linked_folders()
    found.files.sort(key=lambda file: file.doc)
    found.unusable.sort(key=lambda entry: entry.doc)
    return found


def _locate(path: Path, root: Path) -> Path:
    # The last part keeps its own name when it is a link, the folders above it are resolved like the root.
    absolute = Path(os.path.abspath(path))
    located = root if _real(absolute) == root else _real(absolute.parent) / absolute.name
    if not os.path.lexists(located):
        raise UsageError(f"{path} does not exist; expected a folder or a PDF file")
    if not located.is_relative_to(root):
        raise UsageError(
            f"{path} lies outside the indexed folder {root}; give it an index of its own (--index)"
        )
    return located


def _real(path: Path) -> Path:
    """`path` with every link followed; unlike `Path.resolve` it takes links that lead to one another."""
    return Path(os.path.realpath(path))


class _Walk:
    """One walk over all paths asked for: every file and folder is visited once."""

    def __init__(self, found: Scan) -> None:
        self._found = found
        self._visited: set[Path] = set()
        self._links: list[Path] = []

    def folder(self, folder: Path) -> None:
        real = _real(folder)
        if real in self._visited:
            return
        self._visited.add(real)
        for entry in self._entries(folder):
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                if not is_hidden(entry.name):
                    self.folder(path)
            elif entry.is_symlink() and os.path.isdir(path):
                if not is_hidden(entry.name):
                    # Later, so that files are named by the folder they are in, not by a link to it.
                    self._links.append(path)
            elif is_pdf_name(entry.name):
                self.file(path)

    def linked_folders(self) -> None:
        while self._links:
            link = self._links.pop(0)
            target = _real(link)
            if target.is_relative_to(self._found.root):
                self.folder(link)
            else:
                self._refuse(
                    link,
                    Reason.UNSAFE_NAME,
                    f"the link leads outside the indexed folder, to {target}",
                )

    def file(self, path: Path) -> None:
        if path in self._visited:
            return
        self._visited.add(path)
        try:
            if path.is_symlink() and not _real(path).is_relative_to(self._found.root):
                self._refuse(path, Reason.UNSAFE_NAME, "the link leads outside the indexed folder")
                return
            status = path.stat()
        except OSError as error:
            self._refuse(path, Reason.IO_ERROR, f"cannot be read ({error.strerror})")
            return
        if not stat.S_ISREG(status.st_mode):
            self._refuse(path, Reason.IO_ERROR, "not a regular file (a pipe, device or socket)")
            return
        self._found.files.append(
            FoundFile(document_name(path, self._found.root), path, status.st_size, status.st_mtime_ns)
        )

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._refuse(folder, Reason.IO_ERROR, f"the folder cannot be listed ({error.strerror})")
            return []

    def _refuse(self, path: Path, reason: Reason, message: str) -> None:
        self._found.unusable.append(Unusable(document_name(path, self._found.root), reason, message))
