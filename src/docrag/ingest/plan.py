"""What must change in an index so that it mirrors a folder: a comparison of two states, by content.

The state wanted is: for every content found, the names it has. The state there is: the committed documents.
Nothing else is remembered, so an interrupted run needs no repair: the next plan starts from what is true.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from docrag.ingest.folder import FoundFile, Scan
from docrag.ingest.names import ROOT, document_path
from docrag.types import Document, Reason

DOC_ID_DIGITS = 32
_READ_BYTES = 1 << 20


def content_id(path: Path) -> str:
    """`doc_id` of a file: the first 32 hexadecimal digits of the sha256 of its bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()[:DOC_ID_DIGITS]


@dataclass(frozen=True, slots=True)
class Addition:
    """A content to read. It is committed under the name of `file`; `duplicates` have the same bytes."""

    doc_id: str
    file: FoundFile
    duplicates: tuple[FoundFile, ...] = ()
    is_replacement: bool = False
    """Whether a document with other content has had the name so far."""


@dataclass(frozen=True, slots=True)
class Keep:
    """A document whose content is still there, under the name of `file`; `aliases` are its other names.

    `is_touched` says that its row must be written: a name, the size or the time differ.
    """

    document: Document
    file: FoundFile
    aliases: tuple[str, ...]
    is_touched: bool

    @property
    def name(self) -> str:
        """The name from now on."""
        return self.file.doc

    @property
    def updated(self) -> Document:
        """The document from now on."""
        return replace(
            self.document,
            doc=self.name,
            size_bytes=self.file.size_bytes,
            mtime_ns=self.file.mtime_ns,
            aliases=self.aliases,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order in which they must be taken: removals, then `kept`, then `additions`."""

    removals: tuple[Document, ...] = ()
    kept: tuple[Keep, ...] = ()
    additions: tuple[Addition, ...] = ()
    unreadable: Mapping[str, OSError] = field(default_factory=dict[str, OSError])
    """Files that could not be hashed, by name; a document of that name is left as it is."""


def make_plan(
    scan: Scan,
    documents: Iterable[Document],
    *,
    content_of: Callable[[Path], str] = content_id,
    force: bool = False,
) -> Plan:
    """Compare the files found with the committed documents.

    A file whose name, size and time are those of its document is not read. A document is removed only when
    its file would have been found: it lies below the paths asked for, in a folder that can be listed; or when
    it was taken by name, which no search of a folder finds, and is gone. With `force` every file found is
    read again.
    """
    known = sorted(documents, key=lambda document: document.doc)
    by_name = {document.doc: document for document in known}
    ids, unreadable = _content_ids(scan, by_name, content_of)
    blocked = frozenset(entry.doc for entry in scan.unusable if entry.reason == Reason.IO_ERROR)
    blocked = blocked.union(unreadable)
    wanted: dict[str, list[FoundFile]] = {}
    for file in scan.files:
        if file.doc in ids:
            wanted.setdefault(ids[file.doc], []).append(file)
    kept: dict[str, Keep] = {}
    to_read: dict[str, list[FoundFile]] = {}
    for document in known:
        names = _names(document, wanted.get(document.doc_id, []), scan, blocked)
        if not names or document.doc_id in kept:
            continue
        name = document.doc if document.doc in names else min(names)
        others = [names[other] for other in sorted(names) if other != name]
        if force and document.doc_id in wanted:
            to_read.setdefault(document.doc_id, [names[name], *others])
        else:
            kept[document.doc_id] = _keep(document, names[name], tuple(file.doc for file in others))
    for doc_id, files in wanted.items():
        if doc_id not in kept:
            to_read.setdefault(doc_id, files)
    kept_docs = {keep.document.doc for keep in kept.values()}
    taken = {keep.name for keep in kept.values()}
    additions = [
        Addition(
            doc_id, files[0], tuple(files[1:]), files[0].doc in by_name and files[0].doc not in kept_docs
        )
        for doc_id, files in to_read.items()
    ]
    # A document whose name gets a new content is replaced by that commit, in one step.
    replaced = {addition.file.doc for addition in additions} - taken
    removals = tuple(d for d in known if d.doc not in kept_docs and d.doc not in replaced)
    additions.sort(key=lambda addition: addition.file.doc)
    return Plan(removals, tuple(kept.values()), tuple(additions), unreadable)


def _content_ids(
    scan: Scan, by_name: Mapping[str, Document], content_of: Callable[[Path], str]
) -> tuple[dict[str, str], dict[str, OSError]]:
    ids: dict[str, str] = {}
    unreadable: dict[str, OSError] = {}
    for file in scan.files:
        known = by_name.get(file.doc)
        if known and (known.size_bytes, known.mtime_ns) == (file.size_bytes, file.mtime_ns):
            ids[file.doc] = known.doc_id
            continue
        try:
            ids[file.doc] = content_of(file.path)
        except OSError as error:
            unreadable[file.doc] = error
    return ids, unreadable


def _names(
    document: Document, files: Iterable[FoundFile], scan: Scan, blocked: Set[str]
) -> dict[str, FoundFile]:
    """The names that a document's content still has, with their files."""
    names = {file.doc: file for file in files}
    is_found = bool(names)
    for name in (document.doc, *document.aliases):
        path = document_path(name, scan.root)
        # What was not looked at is taken as it was, unless its content was found elsewhere and it is gone.
        is_outside = not scan.covers(path) and not (is_found and not os.path.exists(path))
        is_passed_over = scan.passes_over(path) and os.path.exists(path)
        if is_outside or is_passed_over or _is_below(name, blocked):
            names.setdefault(name, FoundFile(name, path, document.size_bytes, document.mtime_ns))
    return names


def _is_below(name: str, places: Set[str]) -> bool:
    """Whether a file, a folder above it, or the root is among `places`."""
    parts = name.split("/")
    return ROOT in places or any("/".join(parts[:n]) in places for n in range(1, len(parts) + 1))


def _keep(document: Document, file: FoundFile, aliases: tuple[str, ...]) -> Keep:
    keep = Keep(document, file, aliases, is_touched=False)
    return replace(keep, is_touched=keep.updated != document)
