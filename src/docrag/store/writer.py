"""The one writer of an index: drafts, the commit of a document, removal, and tidying up.

No transaction spans LanceDB's tables, so the row in ``documents`` is the commit. All rows of a document are
written first, under a fresh `ingest_id`; then one commit of ``documents`` adds its row and drops the row of
what it replaces. Readers ignore rows whose `ingest_id` has no row in ``documents``; `finish` deletes them.
"""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from docrag.errors import IndexFormatError, UsageError
from docrag.protocols import EncoderIdentity
from docrag.store import drafts, fulltext, manifest, schema, tables
from docrag.store.draft import Draft
from docrag.store.durable import storage_errors
from docrag.store.lock import WriterLock
from docrag.store.schema import DOCUMENTS, SEARCHED, TABLES
from docrag.store.storage import Storage
from docrag.store.tidy import RETENTION_S, drop_leftovers, is_tidy, merge_if_many, tidy
from docrag.types import Document


@dataclass(frozen=True, slots=True)
class _Committed:
    """A row of ``documents``."""

    document: Document
    ingest_id: str
    fingerprint: str

    def to_arrow(self) -> pa.Table:
        return schema.document_row(self.document, ingest_id=self.ingest_id, fingerprint=self.fingerprint)


def _ignore(step: str) -> None:
    """Do nothing about a step."""


class IndexWriter:
    """Holds the single-writer lock of the index in `path` from construction to `close`.

    Parameters
    ----------
    path
        The index folder; created when there is none.
    owner
        What is running, for people whom the lock keeps waiting: the command line.
    text_encoder
        The encoder of the chunk vectors, None for an index without vectors. An existing index must agree.
    on_write
        Called with "before STEP" and "after STEP" around every durable change.

    Raises
    ------
    IndexLocked
        Another process writes to this index.
    IndexFormatError, EncoderMismatch
        The index is newer than this docrag, damaged, or holds vectors of another encoder.
    StorageError
        The folder cannot be written.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        owner: str,
        text_encoder: EncoderIdentity | None,
        on_write: Callable[[str], None] = _ignore,
    ) -> None:
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path}: is a file, and an index is a folder; give another --index")
        if manifest.exists(self.path):  # refused before anything is touched
            manifest.check_encoder(self.path, manifest.read(self.path), text_encoder)
        self._dim = text_encoder.dim if text_encoder is not None else None
        with storage_errors(self.path, "opening the index for writing"):
            (self.path / drafts.FOLDER).mkdir(parents=True, exist_ok=True)
            self._lock = WriterLock(self.path, command=owner)
            self._lock.acquire()
        try:
            self._storage = Storage(self.path, on_write)
            if not manifest.exists(self.path):
                self._create(text_encoder)
            self._manifest = manifest.read(self.path)
            manifest.check_encoder(self.path, self._manifest, text_encoder)
            for name in TABLES:
                self._storage.recover(name, known_good=self._manifest.tidy_at.get(name, 1))
            self._committed = self._read_committed()
        except BaseException:
            self._lock.release()
            raise
        self._opened_drafts: set[str] = set()

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back. What was committed stays; drafts stay for the next run to resume."""
        self._lock.release()

    # ── what is there ────────────────────────────────────────────────────────────────────────────────

    def documents(self) -> list[Document]:
        """Return all committed documents, sorted by name."""
        return [self._committed[doc].document for doc in sorted(self._committed)]

    def fingerprint(self, doc: str) -> str:
        """Return the fingerprint of the ingest settings that a committed document was read with."""
        return self._row(doc).fingerprint

    # ── writing documents ────────────────────────────────────────────────────────────────────────────

    def draft(self, doc_id: str, *, fingerprint: str) -> Draft:
        """Return the interrupted draft of the same bytes and settings, or a new one."""
        visible = {row.ingest_id for row in self._committed.values()}
        resumed: drafts.DraftRecord | None = None
        for record in drafts.read_all(self.path):
            if record.doc_id != doc_id:
                continue
            if resumed is None and record.fingerprint == fingerprint and record.ingest_id not in visible:
                resumed = record
            else:
                self._strike_out(record.ingest_id)
        record = resumed or drafts.DraftRecord(uuid.uuid4().hex, doc_id, fingerprint)
        self._opened_drafts.add(record.ingest_id)
        if resumed is not None:
            with storage_errors(self.path, "reading a draft"):
                return Draft.resume(self._storage, record, dim=self._dim)
        self._storage.write("draft", lambda: drafts.add(self.path, record))
        return Draft(self._storage, record, dim=self._dim)

    def discard(self, draft: Draft) -> None:
        """Give a draft up: its pages will not be resumed."""
        self._strike_out(draft.ingest_id)

    def commit(self, draft: Draft, document: Document) -> None:
        """Make a complete draft visible, in one step with hiding what had its name or its bytes before.

        Raises ValueError when the draft's pages and failures are not those that `document` declares.
        """
        draft.check_complete(document)
        committed = _Committed(document, draft.ingest_id, draft.fingerprint)
        row = committed.to_arrow()
        merge_if_many(self._storage, DOCUMENTS)
        had_its_bytes = f"doc_id = {tables.quoted(document.doc_id)}"
        self._storage.write_table(
            DOCUMENTS,
            "commit",
            lambda: (
                self._storage.table(DOCUMENTS)
                .merge_insert("doc")
                .when_matched_update_all()
                .when_not_matched_insert_all()
                .when_not_matched_by_source_delete(had_its_bytes)
                .execute(row)
            ),
        )
        # Known without reading the table again, which would take ever longer as a folder's files come in.
        others = {d: c for d, c in self._committed.items() if c.document.doc_id != document.doc_id}
        self._committed = {**others, document.doc: committed}
        self._strike_out(draft.ingest_id)

    def remove(self, doc: str) -> None:
        """Hide a document at once; `finish` deletes its rows."""
        self.remove_all([doc])

    def remove_all(self, docs: Collection[str]) -> None:
        """Hide documents, all in one step."""
        ingest_ids = [self._row(doc).ingest_id for doc in docs]
        if ingest_ids:
            self._storage.delete(DOCUMENTS, tables.is_in("ingest_id", ingest_ids))
            self._committed = self._read_committed()

    def rename(self, old: str, new: str) -> None:
        """Change the name of a document; nothing is read again."""
        self.rename_all({old: new})

    def rename_all(self, names: Mapping[str, str]) -> None:
        """Change names, from old to new, all in one step, so that two files may swap theirs."""
        rows = [(self._row(old), new) for old, new in names.items()]
        counts = Counter(names.get(doc, doc) for doc in self._committed)
        taken = sorted(doc for doc, count in counts.items() if count > 1)
        if taken:
            raise UsageError(
                f"{self.path}: two documents would be named {', '.join(taken)}; remove one first"
            )
        self._replace(
            [
                dataclasses.replace(row, document=dataclasses.replace(row.document, doc=new))
                for row, new in rows
            ]
        )

    def update_files(self, documents: Sequence[Document]) -> None:
        """Note size, time and aliases of the files of documents whose bytes stayed the same, in one step."""
        rows = [(self._row(document.doc), document) for document in documents]
        changed = [
            dataclasses.replace(
                row,
                document=dataclasses.replace(
                    row.document, size_bytes=new.size_bytes, mtime_ns=new.mtime_ns, aliases=new.aliases
                ),
            )
            for row, new in rows
        ]
        self._replace([new for new, (row, _) in zip(changed, rows, strict=True) if new != row])

    def finish(self, *, keep_drafts: Collection[str] | None = ()) -> None:
        """Delete rows of nothing, complete the full-text indices and merge small files.

        Rankings are afterwards those of an index that was built at once from the same documents. Readers that
        opened or refreshed within `docrag.store.tidy.RETENTION_S` are not disturbed. When nothing changed,
        nothing is written.

        Parameters
        ----------
        keep_drafts
            doc_ids whose interrupted drafts stay. Those opened by this writer always stay; any other draft is
            of bytes or settings that nobody asked for any more, and goes. None keeps all: only a part of the
            folder was looked at.
        """
        with storage_errors(self.path, "finishing the index"):
            self._finish(keep_drafts)

    def _finish(self, keep_drafts: Collection[str] | None) -> None:
        visible = {row.ingest_id for row in self._committed.values()}
        drafted: set[str] = set()
        for record in drafts.read_all(self.path):
            is_kept = keep_drafts is None or record.doc_id in keep_drafts
            is_wanted = is_kept or record.ingest_id in self._opened_drafts
            if record.ingest_id in visible or not is_wanted:
                self._strike_out(record.ingest_id)
            else:
                drafted.add(record.ingest_id)
        settings = dict(fulltext.SETTINGS)
        held = self._manifest
        kept_drafts = tuple(sorted(drafted))
        is_same = dict(held.fulltext) == settings and held.kept_drafts == kept_drafts
        if not is_same or not is_tidy(self._storage, held.tidy_at):
            known = held.tidy_at if dict(held.fulltext) == settings else {}
            tidy_at = tidy(self._storage, visible | drafted, tidy_at=known)
            self._write_manifest(
                dataclasses.replace(
                    held,
                    fulltext=settings,
                    tidy_at=tidy_at,
                    kept_drafts=kept_drafts,
                    leftovers_since_s=time.time(),
                )
            )
        elif held.leftovers_since_s is not None and time.time() - held.leftovers_since_s > RETENTION_S:
            drop_leftovers(self._storage)
            self._write_manifest(dataclasses.replace(held, leftovers_since_s=None))

    # ── rows of ``documents`` ────────────────────────────────────────────────────────────────────────

    def _row(self, doc: str) -> _Committed:
        try:
            return self._committed[doc]
        except KeyError:
            raise UsageError(f"{self.path}: there is no document named {doc} in this index") from None

    def _read_committed(self) -> dict[str, _Committed]:
        with storage_errors(self.path, "reading the documents"):
            rows = tables.scan(self._storage.table(DOCUMENTS), schema.DOCUMENTS_SCHEMA.names).to_pylist()
        return {
            row["doc"]: _Committed(schema.document_of(row), row["ingest_id"], row["fingerprint"])
            for row in rows
        }

    def _replace(self, rows: Sequence[_Committed]) -> None:
        if not rows:
            return
        table = pa.concat_tables([row.to_arrow() for row in rows])
        self._storage.write_table(
            DOCUMENTS,
            "update",
            lambda: (
                self._storage.table(DOCUMENTS)
                .merge_insert("ingest_id")
                .when_matched_update_all()
                .execute(table)
            ),
        )
        self._committed = self._read_committed()

    def _strike_out(self, ingest_id: str) -> None:
        self._opened_drafts.discard(ingest_id)
        self._storage.write("draft end", lambda: drafts.remove(self.path, ingest_id))

    # ── creation ─────────────────────────────────────────────────────────────────────────────────────

    def _create(self, text_encoder: EncoderIdentity | None) -> None:
        """Create the tables, then the manifest: without it there is no index, so a crash leaves none."""
        if self._storage.has_documents():
            raise IndexFormatError(
                f"{self.path}: there are documents but no {manifest.FILE_NAME}; restore it from a backup, or "
                "remove the folder and index again"
            )
        self._storage.create_tables(self._dim)
        for name, column in SEARCHED.items():
            # Built over no rows, it makes LanceDB cut new, not yet indexed rows by the same rules.
            self._storage.write_table(
                name, "full-text index", lambda n=name, c=column: fulltext.build(self._storage.table(n), c)
            )
        self._write_manifest(manifest.Manifest.new(text_encoder, fulltext.SETTINGS))

    def _write_manifest(self, new: manifest.Manifest) -> None:
        self._storage.write("manifest", lambda: manifest.write(self.path, new))
        self._manifest = new
