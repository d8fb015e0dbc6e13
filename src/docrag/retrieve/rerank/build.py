"""From options to rerankers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from docrag.chat.fence import MakeMarker, random_marker
from docrag.chat.model import Chat, Chats
from docrag.chat.prompts import Prompts
from docrag.checkpoints import Weights
from docrag.errors import ConfigError
from docrag.protocols import Corpus, PagePictures
from docrag.retrieve.rerank.cache import Cache, FileCache, MemoryCache
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.consistency_filter import ConsistencyFilter
from docrag.retrieve.rerank.judging import Judge, MakeCalls
from docrag.retrieve.rerank.listwise import ListwiseReranker
from docrag.retrieve.rerank.loaded import LoadedModels
from docrag.retrieve.rerank.options import (
    ConsistencyOptions,
    CrossEncoderOptions,
    JudgeOptions,
    ListwiseOptions,
    PointwiseOptions,
    RelevanceFilterOptions,
    RerankOptions,
    StepOptions,
    VllmScoreOptions,
    YesNoModelOptions,
)
from docrag.retrieve.rerank.pointwise import PointwiseScorer
from docrag.retrieve.rerank.relevance import RelevanceScorer
from docrag.retrieve.rerank.relevance_filter import RelevanceFilter
from docrag.retrieve.rerank.relevance_reranker import RelevanceReranker
from docrag.retrieve.rerank.reranked import RerankStep
from docrag.retrieve.rerank.shown import Views


@dataclass(frozen=True, slots=True)
class RerankParts:
    """What rerankers are made from.

    `chats` makes the chat models and is called only when a step needs one. Without it none asks a model;
    without `pictures` none looks. Models in `loaded` are not loaded again. `make_marker` makes what fences
    document text in prompts.
    """

    corpus: Corpus
    chats: Callable[[], Chats] | None = None
    pictures: PagePictures | None = None
    prompts: Prompts = field(default_factory=Prompts)
    loaded: LoadedModels = field(default_factory=LoadedModels)
    make_marker: MakeMarker = random_marker


def build_rerankers(options: RerankOptions, parts: RerankParts) -> list[RerankStep]:
    """Make the rerankers that `options` describe, in their order, with one cache.

    Raises
    ------
    ConfigError
        A step needs a chat model or pictures, and there are none; or the model takes fewer pictures.
    MissingExtra, ModelError, StorageError
        A checkpoint, a server or the cache's file cannot be used.
    """
    if not options.steps:
        return []
    memory = MemoryCache(options.cache_entries)
    cache: Cache = memory if options.cache_file is None else FileCache(options.cache_file, memory=memory)
    return [_step(step, parts, cache) for step in options.steps]


def _step(step: StepOptions, parts: RerankParts, cache: Cache) -> RerankStep:
    match step:
        case ListwiseOptions():
            chat = _chat(step, parts, n_pictures=step.window)
            return ListwiseReranker(
                chat,
                parts.prompts.get("rerank_listwise"),
                _views(step, parts),
                cache=cache,
                make_calls=_make_calls(step),
                n_head=step.n_head,
                window=step.window,
                stride=step.stride,
                n_permutations=step.n_permutations,
                seed=step.seed,
                n_parallel=step.n_parallel,
                timeout_s=step.timeout_s,
                make_marker=parts.make_marker,
            )
        case ConsistencyOptions():
            chat = _chat(step, parts, n_pictures=step.n_head)
            return ConsistencyFilter(
                chat,
                parts.prompts.get("rerank_consistency"),
                _views(step, parts),
                cache=cache,
                make_calls=_make_calls(step),
                n_head=step.n_head,
                timeout_s=step.timeout_s,
                make_marker=parts.make_marker,
            )
        case RelevanceFilterOptions():
            judge = _judge(step.judge, parts, cache)
            return RelevanceFilter(judge, step.keep.build(), n_head=step.judge.n_head)
        case PointwiseOptions() | YesNoModelOptions() | CrossEncoderOptions() | VllmScoreOptions():
            return RelevanceReranker(_judge(step, parts, cache), n_head=step.n_head)


def _judge(options: JudgeOptions, parts: RerankParts, cache: Cache) -> Judge:
    scorer: RelevanceScorer
    match options:
        case PointwiseOptions():
            chat = _chat(options, parts, n_pictures=1)
            scorer = PointwiseScorer(
                chat,
                parts.prompts,
                n_parallel=options.n_parallel,
                timeout_s=options.timeout_s,
                make_marker=parts.make_marker,
            )
        case YesNoModelOptions():
            scorer = _yes_no_model(options, parts.loaded)
        case CrossEncoderOptions():
            scorer = parts.loaded.scorer(options, lambda: _cross_encoder(options))
        case VllmScoreOptions():
            from docrag.retrieve.rerank.vllm_score import VllmScorer

            scorer = parts.loaded.scorer(options, lambda: VllmScorer(options))
    return Judge(scorer, _views(options, parts), cache, _make_calls(options))


def _yes_no_model(options: YesNoModelOptions, loaded: LoadedModels) -> RelevanceScorer:
    from docrag.retrieve.rerank.yes_no_model import YesNoModelScorer

    def load() -> YesNoModelScorer:
        return YesNoModelScorer(
            _folder(options),
            instruction=options.instruction,
            batch_size=options.batch_size,
            device=options.device,
            dtype=options.dtype,
        )

    scorer = loaded.scorer(options, load)
    if options.show != "text" and not scorer.sees_pictures:
        raise ConfigError(
            f"reranker {options.model} reads text only, but show is {options.show!r}; set show: text"
        )
    return scorer


def _folder(options: YesNoModelOptions | CrossEncoderOptions, *, weights: Weights = "safetensors") -> Path:
    from docrag.retrieve.rerank.checkpoint import find_checkpoint

    return find_checkpoint(
        options.model, revision=options.revision, download=options.download, weights=weights
    )


def _cross_encoder(options: CrossEncoderOptions) -> RelevanceScorer:
    if options.runtime == "onnx":
        from docrag.retrieve.rerank.cross_encoder_onnx import OnnxCrossEncoderScorer

        return OnnxCrossEncoderScorer(
            _folder(options, weights="onnx"),
            batch_size=options.batch_size,
            max_tokens=options.max_tokens,
            passage_words=options.passage_words,
        )
    from docrag.retrieve.rerank.cross_encoder import CrossEncoderScorer

    return CrossEncoderScorer(
        _folder(options),
        batch_size=options.batch_size,
        max_tokens=options.max_tokens,
        passage_words=options.passage_words,
        device=options.device,
        dtype=options.dtype,
    )


def _views(options: JudgeOptions | ListwiseOptions | ConsistencyOptions, parts: RerankParts) -> Views:
    if isinstance(options, CrossEncoderOptions):
        return Views(parts.corpus, max_chars=options.max_chars)
    if options.show != "text" and parts.pictures is None:
        raise ConfigError(
            f"retrieval.rerank: {options.kind} is to show pages as {options.show!r}, but their files are not "
            "known; set show: text"
        )
    return Views(
        parts.corpus, parts.pictures, show=options.show, max_chars=options.max_chars, dpi=options.dpi
    )


def _chat(
    options: PointwiseOptions | ListwiseOptions | ConsistencyOptions, parts: RerankParts, *, n_pictures: int
) -> Chat:
    if parts.chats is None:
        raise ConfigError(f"retrieval.rerank: {options.kind} needs a chat model; set models.default")
    chat = parts.chats().of("rerank")
    if options.show != "text" and chat.limits.max_images < n_pictures:
        raise ConfigError(
            f"retrieval.rerank: {options.kind} shows {n_pictures} pictures in a call, but {chat.name} takes "
            f"{chat.limits.max_images}; set show: text, or fewer results in a call"
        )
    return chat


def _make_calls(options: JudgeOptions | ListwiseOptions | ConsistencyOptions) -> MakeCalls:
    return lambda cancelled: Calls(cancelled, max_calls=options.max_calls, max_seconds=options.max_seconds)
