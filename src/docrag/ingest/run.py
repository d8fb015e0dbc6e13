"""An `index` run: plan, read in worker processes, embed, store, commit; one result per file."""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import math
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from docrag.errors import DocragError, StorageError
from docrag.ingest.events import FileDone, FileStarted, OnEvent, PageFailed, PagesDone, PlanMade, ignore
from docrag.ingest.file_results import document_result, duplicate_result, kept_results, removed_results
from docrag.ingest.folder import FoundFile, Scan, common_root, scan
from docrag.ingest.options import IngestOptions
from docrag.ingest.plan import Addition, Plan, content_id, make_plan
from docrag.ingest.pool import WorkerPool
from docrag.ingest.reader import PdfReader
from docrag.ingest.report import FileResult, FileStatus, IndexReport
from docrag.ingest.sink import IndexSink, SinkT
from docrag.ingest.slot import Job, Result
from docrag.ingest.worker import Opened, ReaderFactory, Refused
from docrag.protocols import TextEmbedder
from docrag.types import Document, Page, PageFailure, Reason

JOB_PAGES = 16
"""Pages a worker takes at a time: a long file is spread over all workers."""
FLUSH_PAGES = 64
"""Pages embedded and stored together; an interrupted run loses at most these, for each file being read."""
FLUSH_S = 15.0
"""Pages are stored after this time, however few: OCR pages are expensive."""
BYTES_PER_WORKER = 1 << 18
"""A worker takes seconds to start: fewer are started for less than this much to read."""
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_TRANSIENT = frozenset({Reason.IO_ERROR, Reason.CHANGED_WHILE_READING})
"""Reasons that say nothing about the file's content: a document committed earlier stays."""


def index_paths(
    paths: Sequence[Path],
    *,
    writer: IndexSink[SinkT],
    root: Path | None = None,
    options: IngestOptions | None = None,
    embedder: TextEmbedder | None = None,
    password: str | None = None,
    force: bool = False,
    on_event: OnEvent = ignore,
    reader: ReaderFactory | None = None,
) -> IndexReport:
    """Bring an index up to date with files and folders.

    A file whose bytes are indexed already is not read again, whatever its name. Documents below `paths`
    whose files are gone are removed. An interrupted run is continued page by page.

    Parameters
    ----------
    paths
        PDF files and folders, which are searched recursively.
    writer
        The index, held for writing.
    root
        The folder that names are relative to; default: the folder around all `paths`.
    embedder
        Makes the chunk vectors; None for an index without vectors.
    password
        Opens encrypted files; it reaches the workers through their pipes and is stored nowhere.
    force
        Read every file again.
    on_event
        Called from this thread with every event.
    reader
        Builds what reads the files inside each worker; default: `PdfReader` with `options`.

    Raises
    ------
    UsageError
        A path does not exist or lies outside `root`.
    StorageError
        The index cannot be written; what was committed is intact, and the next run continues.
    KeyboardInterrupt
        Passed on after the workers were ended; the next run continues.
    """
    options = options or IngestOptions()
    found = scan(paths, root=root or common_root(paths))
    run = _Run(
        writer,
        found,
        options,
        embedder=embedder,
        password=password,
        on_event=on_event,
        reader=reader or functools.partial(PdfReader, options),
    )
    return run.execute(make_plan(found, writer.documents(), force=force))


@dataclass
class _OpenFile(Generic[SinkT]):
    """A file that is being read."""

    addition: Addition
    draft: SinkT
    is_retry: bool
    last_of_first_job: int
    info: Opened | None = None
    n_jobs: int = 1
    pages: list[Page] = field(default_factory=list[Page])
    failures: list[PageFailure] = field(default_factory=list[PageFailure])
    flushed_s: float = 0.0


class _Run(Generic[SinkT]):
    def __init__(
        self,
        writer: IndexSink[SinkT],
        found: Scan,
        options: IngestOptions,
        *,
        embedder: TextEmbedder | None,
        password: str | None,
        on_event: OnEvent,
        reader: ReaderFactory,
    ) -> None:
        self._writer = writer
        self._scan = found
        self._options = options
        self._fingerprint = options.fingerprint()
        self._embedder = embedder
        self._password = password
        self._tell = on_event
        self._reader = reader
        self._results: list[FileResult] = []
        self._open: dict[int, _OpenFile[SinkT]] = {}
        self._n_keys = 0
        self._n_pages_read = 0

    def execute(self, plan: Plan) -> IndexReport:
        started_s = time.monotonic()
        n_bytes = sum(addition.file.size_bytes for addition in plan.additions)
        self._tell(PlanMade(len(self._scan.files), len(plan.additions), n_bytes))
        with _storage_errors():
            self._settle(plan)
            if plan.additions:
                self._read_all(plan.additions, n_bytes)
            covers_all = self._scan.covers(self._scan.root)
            self._writer.finish(keep_drafts=() if covers_all else None)
        self._results.sort(key=lambda result: (result.doc, result.status))
        return IndexReport(tuple(self._results), time.monotonic() - started_s, self._n_pages_read)

    # ── files that need not be read ──────────────────────────────────────────────────────────────────

    def _settle(self, plan: Plan) -> None:
        for entry in self._scan.unusable:
            self._done(FileResult(entry.doc, "", "refused", entry.reason, entry.message))
        for doc, error in plan.unreadable.items():
            message = f"cannot be read ({error.strerror or error})"
            self._done(FileResult(doc, "", "refused", Reason.IO_ERROR, message))
        refused = {result.doc for result in self._results}
        before = self._writer.documents()
        self._writer.remove_all([document.doc for document in plan.removals])
        renames = {keep.document.doc: keep.name for keep in plan.kept if keep.name != keep.document.doc}
        asked = {file.doc for file in self._scan.files}
        read_again = {file.doc for a in plan.additions for file in (a.file, *a.duplicates)}
        for result in removed_results(plan, before):
            if result.doc not in refused | asked | read_again | renames.keys():
                self._done(result)
        if renames:
            self._writer.rename_all(renames)
        self._writer.update_files([keep.updated for keep in plan.kept if keep.is_touched])
        for keep in plan.kept:
            for result in kept_results(keep):
                if result.doc in asked and result.doc not in refused:
                    self._done(result)

    # ── files that must be read ──────────────────────────────────────────────────────────────────────

    def _read_all(self, additions: Sequence[Addition], n_bytes: int) -> None:
        waiting = deque(additions)
        useful = max(len(additions), math.ceil(n_bytes / BYTES_PER_WORKER))
        pool = WorkerPool(
            self._reader,
            n_workers=min(self._options.worker_count(), useful),
            limits=self._options.limits,
            recycle_after_pages=self._options.recycle_after_pages,
        )
        with pool:
            while waiting or self._open:
                # Enough files that no worker waits, few enough that their unstored pages fit into memory.
                while waiting and pool.n_waiting < pool.n_workers and len(self._open) < 4 * pool.n_workers:
                    self._begin(pool, waiting.popleft())
                if self._open:
                    self._take(pool, pool.next())

    def _begin(self, pool: WorkerPool, addition: Addition, *, is_retry: bool = False) -> None:
        draft = self._writer.draft(addition.doc_id, fingerprint=self._fingerprint)
        missing = (n for n in itertools.count(1) if n not in draft.pages_done)
        pages = tuple(itertools.islice(missing, JOB_PAGES))
        file = _OpenFile(addition, draft, is_retry, last_of_first_job=pages[-1], flushed_s=time.monotonic())
        self._n_keys += 1
        self._open[self._n_keys] = file
        pool.submit(Job(self._n_keys, addition.file.path, self._options.parser, pages, True, self._password))

    def _take(self, pool: WorkerPool, result: Result) -> None:
        file, message = self._open[result.key], result.message
        if isinstance(message, Page | PageFailure):
            self._take_page(file, message)
        elif isinstance(message, Opened):
            self._opened(pool, result.key, file, message)
        elif isinstance(message, Refused):
            del self._open[result.key]
            self._refuse(file, message.reason, message.message)
        else:
            file.n_jobs -= 1
            if not file.n_jobs:
                del self._open[result.key]
                self._complete(pool, file)

    def _take_page(self, file: _OpenFile[SinkT], page: Page | PageFailure) -> None:
        doc = file.addition.file.doc
        if isinstance(page, PageFailure):
            file.failures.append(page)
            self._tell(PageFailed(doc, page))
        else:
            file.pages.append(page)
            self._n_pages_read += 1
        self._tell(PagesDone(doc, 1))
        n_kept = len(file.pages) + len(file.failures)
        if n_kept >= FLUSH_PAGES or time.monotonic() - file.flushed_s > FLUSH_S:
            self._flush(file)

    def _opened(self, pool: WorkerPool, key: int, file: _OpenFile[SinkT], info: Opened) -> None:
        file.info = info
        done = file.draft.pages_done
        self._tell(
            FileStarted(file.addition.file.doc, info.n_pages, len(done), file.addition.file.size_bytes)
        )
        remaining = [n for n in range(file.last_of_first_job + 1, info.n_pages + 1) if n not in done]
        for start in range(0, len(remaining), JOB_PAGES):
            pages = tuple(remaining[start : start + JOB_PAGES])
            pool.submit(Job(key, file.addition.file.path, info.parser, pages, False, self._password))
            file.n_jobs += 1

    def _flush(self, file: _OpenFile[SinkT]) -> None:
        if file.pages or file.failures:
            vectors = None if self._embedder is None else _vectors(self._embedder, file.pages)
            file.draft.add(file.pages, vectors, file.failures)
        file.pages, file.failures, file.flushed_s = [], [], time.monotonic()

    def _complete(self, pool: WorkerPool, file: _OpenFile[SinkT]) -> None:
        self._flush(file)
        addition, info = file.addition, file.info
        if info is None or file.draft.pages_done != set(range(1, info.n_pages + 1)):
            n_pages = 0 if info is None else info.n_pages
            raise DocragError(
                f"{addition.file.doc}: {len(file.draft.pages_done)} pages are accounted for, {n_pages} are "
                "declared; the file was not committed. Run `docrag index` again, and report this as a fault."
            )
        try:
            now = content_id(addition.file.path)
        except OSError as error:
            self._refuse(file, Reason.IO_ERROR, f"gone while it was read ({error.strerror or error})")
            return
        if now != addition.doc_id:
            self._changed(pool, file, now)
            return
        failures = tuple(sorted(file.draft.failures))
        if len(failures) == info.n_pages:
            message = f"no page could be read; page {failures[0].page_no}: {failures[0].message}"
            self._refuse(file, failures[0].reason, message, failures)
            return
        document = Document(
            doc=addition.file.doc,
            doc_id=addition.doc_id,
            n_pages=info.n_pages,
            n_pages_indexed=info.n_pages - len(failures),
            failures=failures,
            size_bytes=addition.file.size_bytes,
            mtime_ns=addition.file.mtime_ns,
            parser=info.parser,
            title=info.title,
            outline=tuple(info.outline),
            metadata=info.metadata,
            aliases=tuple(duplicate.doc for duplicate in addition.duplicates),
            notes=tuple(info.notes),
        )
        self._writer.commit(file.draft, document)
        status: FileStatus = "partial" if failures else "indexed"
        reason = failures[0].reason if failures else None
        message = f"{len(failures)} of {info.n_pages} pages could not be read" if failures else ""
        self._done(document_result(document, document.doc, status, reason, message))
        for alias in document.aliases:
            self._done(duplicate_result(document, alias, "indexed"))

    def _changed(self, pool: WorkerPool, file: _OpenFile[SinkT], doc_id: str) -> None:
        """The bytes read are of more than one version: read the file once more, then refuse it."""
        if file.is_retry:
            self._refuse(
                file, Reason.CHANGED_WHILE_READING, "changed twice while it was read; index it again"
            )
            return
        addition = file.addition
        try:
            status = addition.file.path.stat()
        except OSError as error:
            self._refuse(file, Reason.IO_ERROR, f"gone while it was read ({error.strerror or error})")
            return
        self._writer.discard(file.draft)
        changed = FoundFile(addition.file.doc, addition.file.path, status.st_size, status.st_mtime_ns)
        self._begin(pool, Addition(doc_id, changed, (), addition.is_replacement), is_retry=True)
        # The duplicates still have the old bytes; the next run reads them.
        for duplicate in addition.duplicates:
            message = f"{addition.file.doc}, which had the same bytes, changed while it was read; index again"
            self._done(FileResult(duplicate.doc, "", "refused", Reason.CHANGED_WHILE_READING, message))

    def _refuse(
        self,
        file: _OpenFile[SinkT],
        reason: Reason,
        message: str,
        failures: tuple[PageFailure, ...] = (),
    ) -> None:
        self._writer.discard(file.draft)
        addition = file.addition
        # Its file has no such content any more; unless the content, committed under another name in this run,
        # took the row along.
        if addition.is_replacement and reason not in _TRANSIENT and self._is_committed(addition.file.doc):
            self._writer.remove_all([addition.file.doc])
        n_bytes_unopened = addition.file.size_bytes if file.info is None and not file.is_retry else 0
        for name in (addition.file.doc, *(duplicate.doc for duplicate in addition.duplicates)):
            self._done(
                FileResult(name, addition.doc_id, "refused", reason, message, len(failures), 0, failures),
                n_bytes_unopened=n_bytes_unopened if name == addition.file.doc else 0,
            )

    def _is_committed(self, name: str) -> bool:
        return any(document.doc == name for document in self._writer.documents())

    def _done(self, result: FileResult, *, n_bytes_unopened: int = 0) -> None:
        self._results.append(result)
        self._tell(FileDone(result, n_bytes_unopened))


def _vectors(embedder: TextEmbedder, pages: Sequence[Page]) -> NDArray[np.float32]:
    """A row for every chunk, in order; zeros for one without text, which has nothing to be embedded."""
    texts = [chunk.text for page in pages for chunk in page.chunks]
    with_text = [i for i, text in enumerate(texts) if text]
    vectors = np.zeros((len(texts), embedder.identity.dim), np.float32)
    if with_text:
        vectors[with_text] = embedder.embed_passages([texts[i] for i in with_text])
    return vectors


@contextlib.contextmanager
def _storage_errors() -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise StorageError(
            f"the disk is full ({error.strerror}); every document committed so far is intact. "
            "Free some space and run the same command again: it continues where it stopped."
        ) from error
