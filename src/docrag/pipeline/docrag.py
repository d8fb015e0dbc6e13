"""`DocRAG`: one index, brought up to date, searched and asked with one set of settings.

A long module of one class, which is what users call and read the help of: methods hand their work to the
modules beside this one, and most lines say what they take and give.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from docrag.chat.events import SILENCE, Event, Listener
from docrag.errors import Cancelled, ConfigError, DocragError
from docrag.http.calling_off import called_off_by
from docrag.pipeline import location
from docrag.pipeline.background import events_of, events_of_async, in_thread, result_of
from docrag.pipeline.conversation import Conversation, Rewrite, completed_by, completing
from docrag.pipeline.parts import Parts
from docrag.pipeline.settings import Settings, check_settings
from docrag.pipeline.wording import readable
from docrag.types import Answer, Document, Query, Scope, TraceStep, Unit

if TYPE_CHECKING:
    from docrag.geometry import Box
    from docrag.ingest.events import Event as IndexEvent
    from docrag.ingest.report import IndexReport
    from docrag.pipeline.visual_index import VisualProgress, VisualReport
    from docrag.results.files import PageFiles
    from docrag.results.shown import ShownAnswer, ShownSearch
    from docrag.retrieve.query.follow_up import FollowUpRewriter
    from docrag.retrieve.stage import SearchResult
    from docrag.store.reader import IndexReader

StrPath = str | os.PathLike[str]
EVERYTHING = Scope()


def _ignore(_told: object) -> None:
    """Tell nobody."""


class DocRAG:
    """Question answering over one index; `DocRAG.open` makes one.

    Parts are loaded when first needed: listing documents loads no encoder. Searching and asking may be done
    from several threads, also while one of them indexes: they see the state before, and from then on the new
    one. `stream` and `astream` give the events of an answer as they come. The methods that begin with "a" are
    for event loops; cancelling the task that awaits one calls off what it does.

    Examples
    --------
    >>> with DocRAG.open("reports") as rag:  # doctest: +SKIP
    ...     rag.index()
    ...     print(rag.ask("What was the revenue in 2023?"))
    """

    def __init__(self, index_dir: Path, paths: Sequence[Path] = (), settings: Settings | None = None) -> None:
        self.index_dir = index_dir
        self.settings = check_settings(settings) if settings is not None else Settings()
        self._paths = tuple(paths)
        self._writing = threading.Lock()
        self._parts = Parts(index_dir, self.settings)

    @classmethod
    def open(cls, *paths: StrPath, index: StrPath | None = None, settings: Settings | None = None) -> DocRAG:
        """Open the index of a folder or of some files, or the index folder itself.

        `index` names the index folder; its default is ``.docrag`` inside the folder (the current one when no
        path is given). `settings` come from `docrag.load_settings`. Nothing is read or made yet. Raises
        `docrag.errors.UsageError` for a missing path, and for settings that are something else.
        """
        asked = [Path(path) for path in paths]
        default = location.index_of(asked)
        if index is None and asked == [default]:
            return cls(default, (), settings)
        return cls(Path(index) if index is not None else default, asked, settings)

    def __enter__(self) -> DocRAG:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> DocRAG:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget what was loaded and close connections; the object opens again when it is used again."""
        self._parts.close()

    # ── indexing ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def folder(self) -> Path | None:
        """The folder that documents are named below; None for an index that has none yet."""
        return location.folder_of(self.index_dir)

    def index(
        self,
        paths: Sequence[StrPath] | None = None,
        *,
        password: str | None = None,
        force: bool = False,
        on_event: Callable[[IndexEvent], None] = _ignore,
    ) -> IndexReport:
        """Bring the index in line with `paths` (default: what was opened), reading only what changed.

        `password` opens encrypted files, also for the pictures of their pages that answers show to models.

        Raises
        ------
        UsageError
            A path is missing or lies outside the folder of the index.
        DocragError
            There is no PDF below the paths and no index yet.
        IndexLocked, EncoderMismatch, IndexFormatError, StorageError
            The index cannot be written; what is committed is intact.
        """
        from docrag.pipeline.indexing import read_into, what_to_read

        asked = [Path(path) for path in paths] if paths is not None else self._paths
        asked, folder = what_to_read(self.index_dir, asked, opened=self._paths)
        embedder = self._parts.embedder
        with self._writing:
            report = read_into(
                self.index_dir,
                asked,
                folder=folder,
                options=self.settings.ingest,
                embedder=embedder,
                password=password,
                force=force,
                on_event=on_event,
            )
            self._parts.use_password(password)
            self._parts.forget()
        return report

    def index_visual(
        self,
        *,
        password: str | None = None,
        retry_failed: bool = False,
        compact: bool = False,
        on_progress: Callable[[VisualProgress], None] = _ignore,
    ) -> VisualReport:
        """Give every page (and region, as configured) of the index the visual vectors it lacks.

        Safe to interrupt: what is encoded stays. With `retry_failed`, pages that could not be encoded are
        tried again; with `compact`, segments are merged afterwards.

        Raises
        ------
        ConfigError
            No page encoder is configured.
        EncoderMismatch, ModelError, MissingExtra, StorageError
            The encoder differs from the index's or cannot be used, or the index cannot be written.
        """
        from docrag.pipeline.visual import compact_vectors, index_visually

        options, folder = self.settings.visual, self.folder
        if options is None:
            raise ConfigError("no page encoder is configured; set visual.encoder, or use a preset that does")
        if folder is None:
            raise DocragError(f"{self.index_dir}: no folder is known for this index; run docrag index first")
        embedder = self._parts.page_embedder
        with self._writing:
            report = index_visually(
                self.corpus,
                options,
                embedder,
                folder=folder,
                ingest=self.settings.ingest,
                password=password,
                retry_failed=retry_failed,
                on_progress=on_progress,
            )
            if compact:
                compact_vectors(self.corpus, options, embedder)
            self._parts.forget()
        return report

    async def aindex(
        self,
        paths: Sequence[StrPath] | None = None,
        *,
        password: str | None = None,
        force: bool = False,
        on_event: Callable[[IndexEvent], None] = _ignore,
    ) -> IndexReport:
        """`index` for an event loop; `on_event` is called from another thread. What was committed stays."""

        def work(cancel: threading.Event) -> IndexReport:
            def hear(event: IndexEvent) -> None:
                if cancel.is_set():
                    raise Cancelled("indexing was called off; running it again continues")
                on_event(event)

            with called_off_by(cancel.is_set):
                return self.index(paths, password=password, force=force, on_event=hear)

        return await in_thread(work)

    def write_search_report(
        self, result: SearchResult, path: StrPath, *, password: str | None = None
    ) -> None:
        """Write one self-contained HTML file about a search: the pages found, and what on them matched."""
        from docrag.pipeline.search_report import write_search_report

        write_search_report(
            result,
            Path(path),
            corpus=self.corpus,
            folder=self.folder,
            visual=self._parts.visual_retriever() if self._parts.looks else None,
            notices=[*self.notices(), *result.warnings],
            password=password,
        )

    def notices(self) -> list[str]:
        """What is incomplete about the index as configured, in words: pages without visual vectors."""
        if self.settings.visual is None:
            return []
        from docrag.pipeline.visual import coverage_notice

        notice = coverage_notice(self.corpus)
        return [notice] if notice else []

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def corpus(self) -> IndexReader:
        """The committed state of the index; raises `docrag.errors.IndexMissing` when there is none."""
        return self._parts.corpus

    @property
    def page_files(self) -> PageFiles:
        """The documents' files, for pictures of their pages."""
        return self._parts.files

    def documents(self) -> Sequence[Document]:
        """All documents of the index, sorted by name."""
        return self.corpus.documents()

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        unit: Unit = "page",
        scope: Scope = EVERYTHING,
        listener: Listener = SILENCE,
    ) -> ShownSearch:
        """Return the best `k` pages or regions for a query, with every retriever's ranks and scores.

        `listener` hears what models are asked for; when it calls the search off, `docrag.errors.Cancelled` is
        raised and their requests are dropped. A query of nothing is a `docrag.errors.UsageError`.
        """
        from docrag.results.shown import ShownSearch

        asked = Query(readable(query, what="query"), unit, scope)
        corpus, files = self._parts.corpus, self._parts.files
        with called_off_by(listener.cancelled):  # encoders ask their servers when they are made, too
            result = self._parts.stage().search(asked, k=k, listener=listener)
        if unit == "region" and not result.hits and self._parts.looks:
            from docrag.pipeline.visual import no_regions_notice

            notices = [notice] if (notice := no_regions_notice(corpus)) else []
            result = replace(result, warnings=(*result.warnings, *notices))
        return ShownSearch.of(result, corpus, files)

    def explain_candidates(self, query: Query, *, k: int = 10) -> list[TraceStep]:
        """How visual retrieval chose what it scored exactly, and what that choice cost this query.

        One step whose detail names the candidate stage, how many units it looked at and how many it left to
        be scored exactly, and its recall of the exact best `k`, for which everything is scored once more.
        None without visual retrieval.
        """
        from docrag.pipeline.visual import candidates_step

        if not self._parts.looks:
            return []
        depth = self.settings.retrieval.depth
        return candidates_step(self._parts.visual_retriever(), query, k=k, depth=depth)

    async def asearch(
        self, query: str, *, k: int = 10, unit: Unit = "page", scope: Scope = EVERYTHING
    ) -> ShownSearch:
        """`search` for an event loop."""
        search = partial(self.search, query, k=k, unit=unit, scope=scope)
        return await result_of(lambda listener: search(listener=listener))

    def ask(
        self,
        question: str,
        *,
        scope: Scope = EVERYTHING,
        listener: Listener = SILENCE,
        keep_trace: bool = False,
    ) -> ShownAnswer:
        """Answer with verified citations, or abstain with a reason.

        `listener` hears steps and tokens, from this thread; when it calls the run off,
        `docrag.errors.Cancelled` is raised. With `keep_trace` the answer's trace stays in the index, where
        ``docrag replay`` finds it; that it could not be written is a warning of the answer. A question of
        nothing is a `docrag.errors.UsageError`.
        """
        from docrag.results.shown import ShownAnswer
        from docrag.runs.keep import with_trace_kept

        query = Query(readable(question), scope=scope)
        files = self._parts.files
        with called_off_by(listener.cancelled):
            answer = ShownAnswer.of(self._parts.answerer().answer(query, listener=listener), files)
        return with_trace_kept(self, answer, scope=scope) if keep_trace else answer

    def stream(
        self, question: str, *, scope: Scope = EVERYTHING, keep_trace: bool = False
    ) -> Generator[Event]:
        """Yield steps and pieces of the answer as they come, last the `AnswerEvent`; closing calls it off."""
        ask = partial(self.ask, question, scope=scope, keep_trace=keep_trace)
        return events_of(lambda listener: ask(listener=listener))

    def astream(
        self, question: str, *, scope: Scope = EVERYTHING, keep_trace: bool = False
    ) -> AsyncGenerator[Event]:
        """`stream` for an event loop."""
        ask = partial(self.ask, question, scope=scope, keep_trace=keep_trace)
        return events_of_async(lambda listener: ask(listener=listener))

    async def aask(
        self, question: str, *, scope: Scope = EVERYTHING, keep_trace: bool = False
    ) -> ShownAnswer:
        """`ask` for an event loop."""
        ask = partial(self.ask, question, scope=scope, keep_trace=keep_trace)
        return await result_of(lambda listener: ask(listener=listener))

    def chat(
        self, *, scope: Scope = EVERYTHING, rewrite: Rewrite | None = None, keep_trace: bool = False
    ) -> Conversation:
        """Begin a conversation.

        `rewrite` makes a follow-up question one that stands on its own, by default as ``chat.follow_up``
        says. `keep_trace` is that of `ask`, for every answer.
        """
        complete = completing(rewrite) if rewrite is not None else completed_by(self.follow_ups)
        return Conversation(partial(self.ask, keep_trace=keep_trace), scope=scope, complete=complete)

    def follow_ups(self) -> FollowUpRewriter:
        """What completes follow-up questions, as configured."""
        return self._parts.follow_ups()

    def within(self, paths: Sequence[StrPath], scope: Scope = EVERYTHING) -> Scope:
        """`scope`, restricted to the indexed documents below `paths` unless it names documents already."""
        from docrag.ingest.folder import scan

        folder = self.folder
        if scope.docs is not None or folder is None:
            return scope
        if any(Path(path).resolve() == folder.resolve() for path in paths):
            return scope
        known = {name for document in self.documents() for name in (document.doc, *document.aliases)}
        found = scan([Path(path) for path in paths], root=folder).files  # some of them may be unreadable
        return replace(scope, docs=tuple(file.doc for file in found if file.doc in known))

    def write_page(
        self,
        doc_id: str,
        page_no: int,
        path: StrPath,
        *,
        boxes: Sequence[Box] = (),
        password: str | None = None,
    ) -> None:
        """Write the picture of a page as a PNG, with `boxes` (in points) marked.

        Raises
        ------
        IngestError
            The document is not in the index, its file is gone or has changed, or the page cannot be drawn.
        StorageError
            The picture cannot be written.
        """
        from docrag.errors import IngestError
        from docrag.pipeline.page_picture import write_page_picture

        document = next((d for d in self.documents() if d.doc_id == doc_id), None)
        if document is None:
            raise IngestError("io_error", f"the document {doc_id} is not in the index any more")
        write_page_picture(document, page_no, Path(path), boxes=boxes, folder=self.folder, password=password)

    def write_report(self, answer: Answer, path: StrPath, *, password: str | None = None) -> None:
        """Write one self-contained HTML file about an answer, with pictures of the cited places."""
        from docrag.pipeline.reporting import write_report

        write_report(answer, Path(path), corpus=self.corpus, folder=self.folder, password=password)
