"""Taking back a commit of a Lance table that did not reach the disk whole.

Lance 13 hands file writes to a background task and does not look at the result of the last one: on a full
disk it can commit a table version whose newest data file is cut short, and every later read then fails. So
the writer looks at each new file itself (`docrag.store.durable.FolderSync`) and removes the manifest of a
version that is not whole: the table is then at the version before.
"""

from __future__ import annotations

import os
from pathlib import Path

from docrag.store.durable import remove_durably

_SUFFIX = ".manifest"
_NEWEST_FIRST = 2**64 - 1  # manifests are named so that the newest comes first in a listing


def newest(table_folder: Path) -> int:
    """Newest version of a table, 0 when there is none."""
    return max(_versions(table_folder), default=0)


def roll_back(table_folder: Path, version: int) -> None:
    """Make `version` the newest version of a table again."""
    for later in _versions(table_folder):
        if later > version:
            remove_durably(table_folder / "_versions" / f"{_NEWEST_FIRST - later}{_SUFFIX}")


def _versions(table_folder: Path) -> list[int]:
    folder = table_folder / "_versions"
    names = os.listdir(folder) if folder.is_dir() else []
    return [_NEWEST_FIRST - int(name.removesuffix(_SUFFIX)) for name in names if name.endswith(_SUFFIX)]
