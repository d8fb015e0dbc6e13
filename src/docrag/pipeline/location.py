"""Where the index of a folder is, and where the folder of an index is."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docrag.errors import IndexFormatError, UsageError
from docrag.store import manifest
from docrag.store.durable import storage_errors, write_atomically

DEFAULT_NAME = ".docrag"
"""Name of an index inside the folder that it is about; scans pass over hidden folders."""

FOLDER_FILE = "folder.json"
"""File in an index that names the folder of its documents, relative where one lies inside the other."""


def index_of(paths: Sequence[Path]) -> Path:
    """Default index: inside the folder, or the folder around all `paths`; an index itself is itself.

    No path stands for the current folder. Raises `UsageError` for a path that does not exist.
    """
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"{path} does not exist; expected a folder or a PDF file")
    if len(paths) == 1 and manifest.exists(paths[0]):
        return paths[0]
    return (around(paths) if paths else Path()) / DEFAULT_NAME


def around(paths: Sequence[Path]) -> Path:
    """The folder asked for, or the one around everything asked for."""
    folders = [path if path.is_dir() else path.parent for path in map(_absolute, paths)]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError as error:
        raise UsageError(f"no folder holds all of {', '.join(map(str, paths))}; index them apart") from error


def folder_of(index: Path) -> Path | None:
    """The folder that the documents of an index are named below; None when nobody said yet."""
    record = index / FOLDER_FILE
    try:
        body: Any = json.loads(record.read_text("utf-8"))
        folder = body["folder"]
    except FileNotFoundError:
        return _absolute(index).parent if index.name == DEFAULT_NAME else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexFormatError(f"{record}: cannot be read ({error}); remove it and index again") from error
    return Path(os.path.normpath(_absolute(index) / folder))


def record_folder(index: Path, folder: Path) -> None:
    """Remember the folder of an index; an index inside its folder can be moved along with it."""
    inside = _absolute(index).is_relative_to(_absolute(folder))
    value = os.path.relpath(_absolute(folder), _absolute(index)) if inside else str(_absolute(folder))
    text = json.dumps({"folder": value}, indent=1) + "\n"
    path = index / FOLDER_FILE
    if not path.is_file() or path.read_text("utf-8") != text:
        with storage_errors(index, "recording the folder of the index"):
            write_atomically(path, text.encode())


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))
