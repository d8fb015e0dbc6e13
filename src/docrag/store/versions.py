"""Taking back a commit of a Lance table that did not reach the disk whole.

Lance 13 hands file writes to a background task and does not look at the result of the last one: on a full
disk it can commit a table version whose newest data file is cut short, and every later read then fails. So
the writer looks at each new file itself (`docrag.store.durable.FolderSync`) and removes the manifest of a
version that is not whole: the table is then at the version before.
"""

from __future__ import annotations

from pathlib import Path

from docrag.store.durable import remove_durably

_NEWEST_FIRST = 2**64 - 1  # manifests are named so that the newest comes first in a listing


def manifests(table_folder: Path) -> dict[int, Path]:
    """Manifest of every version of a table, newest first."""
    paths = sorted((table_folder / "_versions").glob("*.manifest"))
    return {_NEWEST_FIRST - int(path.stem): path for path in paths}


def roll_back(table_folder: Path, version: int) -> None:
    """Make `version` the newest version of a table again."""
    for later, path in manifests(table_folder).items():
        if later > version:
            remove_durably(path)
