"""What came of every file of an `index` run, in the shape that ``docrag index --json`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from docrag.types import PageFailure, Reason

FileStatus = Literal["indexed", "partial", "refused", "unchanged", "removed", "renamed"]


DAMAGED = "damaged"
"""The note of a file whose parts the parser had to look for: cut short, or without a valid table of them."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """The end of one file. ``pages_indexed + len(pages_failed) == pages_declared``.

    `message` is the reason in words, for people; `doc_id` is empty when the file could not be read.
    `duplicate_of` names the document with the same bytes whose copy the file is, or was when it is removed.
    `notes` names what was noticed about a file that was read, such as "damaged".
    """

    doc: str
    doc_id: str
    status: FileStatus
    reason: Reason | None = None
    message: str = ""
    pages_declared: int = 0
    pages_indexed: int = 0
    pages_failed: tuple[PageFailure, ...] = ()
    duplicate_of: str | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """One entry of ``files``."""
        return {
            "doc": self.doc,
            "doc_id": self.doc_id,
            "status": self.status,
            "reason": None if self.reason is None else str(self.reason),
            "pages_declared": self.pages_declared,
            "pages_indexed": self.pages_indexed,
            "pages_failed": [{"page": f.page_no, "reason": str(f.reason)} for f in self.pages_failed],
            "duplicate_of": self.duplicate_of,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class IndexReport:
    """Every file of a run, sorted by name. Pages of a duplicate are counted once, with its original.

    `n_read_otherwise` counts unchanged files that other ingest settings had read; `force` reads them again.
    """

    files: Sequence[FileResult]
    elapsed_s: float
    n_pages_read: int
    n_read_otherwise: int = 0

    @property
    def n_failed_files(self) -> int:
        """Files that were refused or read in part: the reason for exit code 2."""
        return sum(file.status in ("refused", "partial") for file in self.files)

    def totals(self) -> dict[str, Any]:
        """Files by status, and pages over all files."""
        by_status = Counter(file.status for file in self.files)
        counted = [file for file in self.files if file.reason != Reason.DUPLICATE_OF]
        return {
            "files": len(self.files),
            **{
                status: by_status[status]
                for status in ("indexed", "partial", "refused", "unchanged", "removed", "renamed")
            },
            "pages_declared": sum(file.pages_declared for file in counted),
            "pages_indexed": sum(file.pages_indexed for file in counted),
            "pages_failed": sum(len(file.pages_failed) for file in counted),
            "pages_read": self.n_pages_read,
            "elapsed_s": round(self.elapsed_s, 3),
        }

    def to_json(self) -> dict[str, Any]:
        """The document that ``docrag index --json`` prints."""
        return {"files": [file.to_json() for file in self.files], "totals": self.totals()}
