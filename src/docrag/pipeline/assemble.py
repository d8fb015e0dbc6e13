"""From settings to the parts that read an index."""

from __future__ import annotations

from collections.abc import Callable

from docrag.answer.extractive import ExtractiveAnswerer
from docrag.pipeline.settings import Settings
from docrag.protocols import Answerer, PageEmbedder, Retriever, TextEmbedder
from docrag.retrieve.build import build_retrieval_stage
from docrag.retrieve.stage import RetrievalStage
from docrag.store import drafts
from docrag.store.reader import IndexReader


def build_retrieval(
    corpus: IndexReader,
    embedder: TextEmbedder | None,
    settings: Settings,
    *,
    page_embedder: Callable[[], PageEmbedder] | None = None,
) -> RetrievalStage:
    """Return the stage that `settings` describe; EncoderMismatch when its vectors are not the index's.

    `page_embedder` loads the page encoder, which is done only when "visual" is among the retrievers.
    """
    if embedder is not None and "dense" in settings.retrieval.retrievers:
        corpus.check_encoder(embedder.identity)
    visual: Retriever | None = None
    if (
        settings.visual is not None
        and page_embedder is not None
        and "visual" in settings.retrieval.retrievers
    ):
        from docrag.pipeline.visual import build_visual_retriever

        visual = build_visual_retriever(corpus, settings.visual, page_embedder())
    return build_retrieval_stage(corpus, embedder, settings.retrieval, visual=visual)


def build_answerer(corpus: IndexReader, stage: RetrievalStage, settings: Settings) -> Answerer:
    """Return the answerer that `settings` describe; files whose indexing was interrupted count as unread."""

    def unfinished() -> list[str]:
        return [f"the file with id {draft.doc_id[:12]}…" for draft in drafts.read_all(corpus.path)]

    return ExtractiveAnswerer(corpus, stage.search, settings.answer, unfinished=unfinished)
