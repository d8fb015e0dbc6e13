"""From settings to the parts that read an index."""

from __future__ import annotations

from collections.abc import Callable, Collection

from docrag.answer.extractive.answerer import ExtractiveAnswerer
from docrag.answer.options import ExtractiveOptions
from docrag.answer.parts import AnswerParts
from docrag.answer.run import RunParts
from docrag.answer.search import Search
from docrag.chat.model import Chats
from docrag.chat.prompts import Prompts
from docrag.embed.build import build_text_embedder
from docrag.errors import ConfigError
from docrag.pipeline.answerers import build_model_answerer
from docrag.pipeline.custom import CustomOptions, CustomParts, make_custom
from docrag.pipeline.marker import marker_of
from docrag.pipeline.settings import Settings
from docrag.protocols import Answerer, PagePictures, TextEmbedder
from docrag.retrieve.build import build_retrieval_stage
from docrag.retrieve.guided_refiner import LateInteraction
from docrag.retrieve.options import ReciprocalRankOptions, UnionOptions, WeightedSumOptions
from docrag.retrieve.query.build import build_planners
from docrag.retrieve.query.options import QueryOptions
from docrag.retrieve.rerank.build import RerankParts, build_rerankers
from docrag.retrieve.rerank.loaded import LoadedModels
from docrag.retrieve.stage import RetrievalStage
from docrag.retrieve.visual.retriever import VisualRetriever
from docrag.store import drafts
from docrag.store.reader import IndexReader


def build_retrieval(
    corpus: IndexReader,
    embedder: TextEmbedder | None,
    settings: Settings,
    *,
    visual: Callable[[], VisualRetriever] | None = None,
    chats: Callable[[], Chats] | None = None,
    prompts: Prompts | None = None,
    pictures: PagePictures | None = None,
    loaded: LoadedModels | None = None,
) -> RetrievalStage:
    """Return the stage that `settings` describe; EncoderMismatch when its vectors are not the index's.

    `visual` makes the visual retriever, which is done only when "visual" is among the retrievers; `chats`
    makes the chat models, None where none is configured; `pictures` are what rerankers may look at,
    and models that they run in this process are looked for in `loaded` first.
    """
    if embedder is not None and "dense" in settings.retrieval.retrievers:
        corpus.check_encoder(embedder.identity)
    looks = settings.visual is not None and "visual" in settings.retrieval.retrievers
    seen = visual() if looks and visual is not None else None
    late_interaction: LateInteraction | None = None
    if seen is not None and settings.retrieval.guided_query is not None:
        from docrag.pipeline.visual import open_vectors

        late_interaction = LateInteraction(seen.encode, open_vectors(corpus))
    custom = settings.custom
    prompts = prompts if prompts is not None else Prompts()
    return build_retrieval_stage(
        corpus,
        embedder,
        settings.retrieval,
        visual=seen,
        late_interaction=late_interaction,
        planners=build_planners(settings.retrieval.query, chats=chats, prompts=prompts),
        rerank_steps=build_rerankers(
            settings.retrieval.rerank,
            RerankParts(
                corpus,
                chats,
                pictures,
                prompts,
                loaded if loaded is not None else LoadedModels(),
                marker_of(corpus),
            ),
        ),
        more_retrievers=[
            make_custom(options, corpus, setting=f"custom.retrievers[{i}]", method="retrieve")
            for i, options in enumerate(custom.retrievers)
        ],
        more_rerankers=[
            make_custom(options, corpus, setting=f"custom.rerankers[{i}]", method="rerank")
            for i, options in enumerate(custom.rerankers)
        ],
    )


def build_encoder(settings: Settings) -> TextEmbedder | None:
    """Return the text encoder that `settings` describe, None for none."""
    if isinstance(settings.embed, CustomOptions):
        return make_custom(settings.embed, setting="embed", method="embed_queries")
    return build_text_embedder(settings.embed)


def build_answerer(
    corpus: IndexReader,
    stage: RetrievalStage,
    settings: Settings,
    *,
    chats: Callable[[], Chats],
    prompts: Prompts | None = None,
    pictures: PagePictures | None = None,
    branch_searches: Callable[[], dict[str, Search]] = dict,
    embedder: Callable[[], TextEmbedder | None] = lambda: None,
) -> Answerer:
    """Return the answerer that `settings` describe; files whose indexing was interrupted count as unread.

    `chats` makes the models of those that need some, and raises `docrag.errors.ConfigError` where none is
    configured. `branch_searches` makes the searches of branches that have their own, "text" and "image";
    `embedder` gives the text encoder to those that compare answers by it.
    """
    if isinstance(settings.answer, CustomOptions):
        return make_custom(settings.answer, corpus, stage.search, setting="answer", method="answer")

    def unfinished() -> list[str]:
        return [f"the file with id {draft.doc_id[:12]}…" for draft in drafts.read_all(corpus.path)]

    if isinstance(settings.answer, ExtractiveOptions):
        return ExtractiveAnswerer(corpus, stage.search, settings.answer, unfinished=unfinished)
    try:
        models = chats()
    except ConfigError as error:
        raise ConfigError(f"answer.kind is {settings.answer.kind}, which needs a model: {error}") from error
    runs = RunParts(models, prompts if prompts is not None else Prompts(), settings.budget, marker_of(corpus))
    parts = AnswerParts(corpus, stage.search, runs, pictures, unfinished)
    return build_model_answerer(settings.answer, parts, branch_searches=branch_searches, embedder=embedder)


def _for_retrievers(options: QueryOptions, names: Collection[str]) -> QueryOptions:
    """Options of the query side without keywords for retrievers that are not among `names`."""
    ensemble = options.ensemble
    if ensemble is not None:
        served = tuple(name for name in ensemble.retrievers if name in names)
        ensemble = ensemble.model_copy(update={"retrievers": served}) if served else None
    return options.model_copy(update={"ensemble": ensemble})


def by_words_and_by_looks(settings: Settings) -> dict[str, Settings] | None:
    """Settings of a search by words, "text", and of one by looks, "image"; None where there is but one."""
    names = settings.retrieval.retrievers
    words = tuple(name for name in names if name != "visual")
    if settings.visual is None or "visual" not in names or not words:
        return None

    def with_only(kept: tuple[str, ...]) -> Settings:
        """The same with fewer retrievers, weighed in the old proportion, and nothing that needs both.

        Those that had no weight beside the others, or none because ranks count alike, weigh the same.
        """
        fusion = settings.retrieval.fusion
        changes: dict[str, object] = {}
        if isinstance(fusion, WeightedSumOptions | ReciprocalRankOptions):
            weights = {name: fusion.weights.get(name, 0.0) for name in kept}
            changes["weights"] = weights if any(weights.values()) else dict.fromkeys(kept, 1.0)
        elif isinstance(fusion, UnionOptions) and fusion.order:
            changes["order"] = tuple(name for name in fusion.order if name in kept)
        retrieval = settings.retrieval.model_copy(
            update={
                "retrievers": kept,
                "fusion": fusion.model_copy(update=changes),
                "guided_query": None,
                "query": _for_retrievers(settings.retrieval.query, kept),
            }
        )
        return settings.model_copy(update={"retrieval": retrieval, "custom": CustomParts()})

    return {"text": with_only(words), "image": with_only(("visual",))}
