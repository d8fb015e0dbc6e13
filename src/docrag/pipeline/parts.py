"""The parts that read one index, loaded when first needed and shared by all threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from docrag.errors import ConfigError, IndexMissing
from docrag.pipeline import location
from docrag.pipeline.lazy_models import lazy_chats
from docrag.pipeline.settings import Settings
from docrag.retrieve.rerank.loaded import LoadedModels

if TYPE_CHECKING:
    from docrag.answer.search import Search
    from docrag.chat.model import Chats
    from docrag.chat.prompts import Prompts
    from docrag.pipeline.pictures import FilePictures
    from docrag.protocols import Answerer, PageEmbedder, TextEmbedder
    from docrag.results.files import PageFiles
    from docrag.retrieve.query.follow_up import FollowUpRewriter
    from docrag.retrieve.stage import RetrievalStage
    from docrag.retrieve.visual.retriever import VisualRetriever
    from docrag.store.reader import IndexReader

_NO_PAGE_ENCODER = "no page encoder is configured; set visual.encoder, or use a preset that does"


class Parts:
    """Reader, encoders, retrieval and answerer of the index in `index_dir`.

    `forget` lets go of what belongs to one state of the index; encoders, rerankers and chat models stay
    until `close`.
    """

    def __init__(self, index_dir: Path, settings: Settings) -> None:
        self.index_dir = index_dir
        self.settings = settings
        self._lock = threading.RLock()
        self._embedder: tuple[TextEmbedder | None] | None = None  # empty until it is loaded
        self._page_embedder: PageEmbedder | None = None
        self._reader: IndexReader | None = None
        self._files: PageFiles | None = None
        self._stage: RetrievalStage | None = None
        self._visual: VisualRetriever | None = None
        self._answerer: Answerer | None = None
        self._pictures: FilePictures | None = None
        self._password: str | None = None
        self._prompts: Prompts | None = None
        self._rerank_models = LoadedModels()
        self._chats = lazy_chats(settings.models)

    def forget(self) -> None:
        """Let go of the state of the index that was read; what runs on it still ends well."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
            if self._pictures is not None:
                self._pictures.close()
            self._reader = self._files = self._stage = self._answerer = self._visual = self._pictures = None

    def close(self) -> None:
        """Forget everything: encoders, rerankers and chat models included."""
        with self._lock:
            self.forget()
            encoders = (*(self._embedder or ()), self._page_embedder)
            self._embedder = self._page_embedder = None
            self._rerank_models.close()
            self._chats = lazy_chats(self.settings.models)
        for encoder in encoders:
            close: Callable[[], None] | None = getattr(encoder, "close", None)  # those with connections
            if close is not None:
                close()

    def use_password(self, password: str | None) -> None:
        """Open encrypted files with `password` for pictures of their pages, once the index is read anew."""
        with self._lock:
            self._password = password if password is not None else self._password

    @property
    def embedder(self) -> TextEmbedder | None:
        """The text encoder, None when none is configured."""
        from docrag.pipeline.assemble import build_encoder

        with self._lock:
            if self._embedder is None:
                self._embedder = (build_encoder(self.settings),)
            return self._embedder[0]

    @property
    def page_embedder(self) -> PageEmbedder:
        """The page encoder; raises `docrag.errors.ConfigError` when none is configured."""
        from docrag.embed.visual.build import build_page_embedder

        with self._lock:
            if self._page_embedder is None:
                if self.settings.visual is None:
                    raise ConfigError(_NO_PAGE_ENCODER)
                self._page_embedder = build_page_embedder(self.settings.visual.encoder)
            return self._page_embedder

    @property
    def corpus(self) -> IndexReader:
        """The committed state of the index; raises `docrag.errors.IndexMissing` when there is none."""
        from docrag.store import manifest
        from docrag.store.reader import IndexReader

        with self._lock:
            if self._reader is None:
                if not manifest.exists(self.index_dir):
                    raise IndexMissing(
                        f"{self.index_dir}: no index here; make one with: docrag index FOLDER"
                        " (or name an index with --index DIR)"
                    )
                self._reader = IndexReader(self.index_dir)
            return self._reader

    @property
    def files(self) -> PageFiles:
        """The files of the index's documents, for pictures of their pages."""
        from docrag.results.files import PageFiles

        with self._lock:
            if self._files is None:
                folder = location.folder_of(self.index_dir)
                self._files = PageFiles(self.corpus.documents(), folder, password=self._password)
            return self._files

    @property
    def pictures(self) -> FilePictures:
        """Pictures of pages for chat models, drawn from the documents' files."""
        from docrag.pipeline.pictures import FilePictures

        with self._lock:
            if self._pictures is None:
                folder = location.folder_of(self.index_dir)
                self._pictures = FilePictures(self.corpus.documents(), folder, password=self._password)
            return self._pictures

    def visual_retriever(self) -> VisualRetriever:
        """The retriever over visual vectors; raises `docrag.errors.ConfigError` without a page encoder."""
        from docrag.pipeline.visual import build_visual_retriever

        with self._lock:
            if self._visual is None:
                options = self.settings.visual
                if options is None:
                    raise ConfigError(_NO_PAGE_ENCODER)
                self._visual = build_visual_retriever(self.corpus, options, self.page_embedder)
            return self._visual

    @property
    def looks(self) -> bool:
        """Whether searches use what pages look like."""
        return self.settings.visual is not None and "visual" in self.settings.retrieval.retrievers

    @property
    def chats(self) -> Callable[[], Chats] | None:
        """Makes the chat models when first called; None where none is configured."""
        return self._chats if self.settings.models is not None else None

    @property
    def prompts(self) -> Prompts:
        """The prompts, packaged ones and those that the settings put in their place."""
        from docrag.chat.prompts import Prompts

        with self._lock:
            if self._prompts is None:
                self._prompts = Prompts(self.settings.prompts)
            return self._prompts

    def follow_ups(self) -> FollowUpRewriter:
        """What completes follow-up questions of a conversation."""
        from docrag.pipeline.follow_ups import build_rewriter

        return build_rewriter(self.settings.chat, chats=self.chats, prompts=self.prompts)

    def stage(self) -> RetrievalStage:
        """The retrieval stage as configured."""
        with self._lock:
            if self._stage is None:
                self._stage = self._build_stage(self.settings)
            return self._stage

    def _build_stage(self, settings: Settings) -> RetrievalStage:
        from docrag.pipeline.assemble import build_retrieval

        return build_retrieval(
            self.corpus,
            self.embedder,
            settings,
            visual=self.visual_retriever,
            chats=self.chats,
            prompts=self.prompts,
            pictures=self.pictures,
            loaded=self._rerank_models,
        )

    def answerer(self) -> Answerer:
        """The answerer as configured."""
        from docrag.pipeline.assemble import build_answerer

        with self._lock:
            answerer = self._answerer
            if answerer is None:
                answerer = self._answerer = build_answerer(
                    self.corpus,
                    self.stage(),
                    self.settings,
                    chats=self._chats,
                    prompts=self.prompts,
                    pictures=self.pictures,
                    branch_searches=self._branch_searches,
                    embedder=lambda: self.embedder,
                )
            return answerer

    def _branch_searches(self) -> dict[str, Search]:
        """Searches by words and by looks of their own, none where there is but one way to search."""
        from docrag.pipeline.assemble import by_words_and_by_looks

        split = by_words_and_by_looks(self.settings)
        return {name: self._build_stage(settings).search for name, settings in (split or {}).items()}
