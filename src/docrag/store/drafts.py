"""The journal of documents that are being written: one small file per draft, there before its first row."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from docrag.store.durable import remove_durably, write_atomically

FOLDER = "drafts"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DraftRecord:
    """An unfinished ingest: of which bytes, and with which ingest settings."""

    ingest_id: str
    doc_id: str
    fingerprint: str


def read_all(index: Path) -> list[DraftRecord]:
    """Return every draft in the journal, sorted by ingest_id.

    A record that cannot be read is dropped: its pages will be read again.
    """
    records: list[DraftRecord] = []
    for path in sorted((index / FOLDER).glob("*.json")):
        try:
            body: Any = json.loads(path.read_bytes())
            records.append(DraftRecord(**body))
        except (ValueError, TypeError) as error:
            _log.warning("%s is no record of a draft (%s); dropping it", path, error)
            remove_durably(path)
    return records


def add(index: Path, record: DraftRecord) -> None:
    """Enter a draft durably."""
    write_atomically(index / FOLDER / f"{record.ingest_id}.json", json.dumps(asdict(record)).encode())


def remove(index: Path, ingest_id: str) -> None:
    """Strike a draft out durably."""
    remove_durably(index / FOLDER / f"{ingest_id}.json")
