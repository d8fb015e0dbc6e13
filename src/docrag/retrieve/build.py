"""From options to a retrieval stage."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from docrag.errors import ConfigError
from docrag.protocols import Corpus, Fusion, Reranker, Retriever, TextEmbedder
from docrag.retrieve.bm25 import Bm25Retriever
from docrag.retrieve.boost import Boost
from docrag.retrieve.cascade_boost import CascadeBoost
from docrag.retrieve.dense import DenseRetriever
from docrag.retrieve.fusion.dempster_shafer import DempsterShafer
from docrag.retrieve.fusion.normalise import Normaliser, min_max, rank, sigmoid, softmax, zscore
from docrag.retrieve.fusion.reciprocal_rank import ReciprocalRank
from docrag.retrieve.fusion.union import Union
from docrag.retrieve.fusion.weighted_sum import WeightedSum
from docrag.retrieve.guided_refiner import GuidedRefiner, LateInteraction
from docrag.retrieve.neighbour_boost import NeighbourBoost
from docrag.retrieve.options import (
    DempsterShaferOptions,
    FusionOptions,
    ReciprocalRankOptions,
    RetrievalOptions,
    UnionOptions,
    WeightedSumOptions,
)
from docrag.retrieve.query.plan import Planner
from docrag.retrieve.reference_boost import ReferenceBoost
from docrag.retrieve.rerank.reranked import RerankStep
from docrag.retrieve.stage import Refiner, RetrievalStage

_log = logging.getLogger(__name__)


def build_retrieval_stage(
    corpus: Corpus,
    embedder: TextEmbedder | None,
    options: RetrievalOptions,
    *,
    visual: Retriever | None = None,
    late_interaction: LateInteraction | None = None,
    planners: Sequence[Planner] = (),
    rerank_steps: Sequence[RerankStep] = (),
    more_retrievers: Sequence[Retriever] = (),
    more_rerankers: Sequence[Reranker] = (),
) -> RetrievalStage:
    """Assemble the stage that `options` describe; without an encoder, the stage without "dense".

    `visual` is what the name "visual" stands for, `late_interaction` what it compares. `planners` decide what
    is searched for, `rerank_steps` look at the best of what is found. `more_retrievers` and `more_rerankers`
    come after those that `options` name.

    Raises
    ------
    ConfigError
        Two retrievers have one name; weights are given for retrievers that are not configured, or are
        missing, negative or all zero; "visual" is named and there is no page encoder; or a guided query has
        no guide.
    """
    configured = (*options.retrievers, *(retriever.name for retriever in more_retrievers))
    if twice := [name for name, n in Counter(configured).items() if n > 1]:
        raise ConfigError(
            f"{', '.join(twice)} stands twice among the retrievers, which are told apart by their names: "
            f"{', '.join(configured)}; name each once, and those of custom.retrievers otherwise"
        )
    if options.query.ensemble is not None:
        _check_known("query.ensemble.retrievers", options.query.ensemble.retrievers, configured)
    retrievers: list[Retriever] = []
    for name in options.retrievers:
        if name == "bm25":
            retrievers.append(Bm25Retriever(corpus, with_glossary=options.glossary))
        elif name == "visual":
            if visual is None:
                raise ConfigError('retrieval.retrievers names "visual"; set visual.encoder too')
            retrievers.append(visual)
        elif embedder is not None:
            retrievers.append(DenseRetriever(corpus, embedder))
        else:
            _log.info("no text encoder is configured: retrieval by words alone")
    retrievers += more_retrievers
    if not retrievers:
        raise ConfigError(
            f"retrieval.retrievers is {list(options.retrievers)}, but no text encoder is configured; "
            f"set embed.kind, or add bm25"
        )
    if options.references == "filter" and options.reference_weight == 0:
        raise ConfigError(
            "retrieval.references=filter keeps what references lift, and retrieval.reference_weight is 0; "
            "set a weight above 0"
        )
    fusion = build_fusion(options.fusion, configured=configured)
    boosts: list[tuple[Boost, float]] = [
        (CascadeBoost(retrievers, fusion, depth=options.depth), options.cascade_weight),
        (NeighbourBoost(corpus), options.neighbour_weight),
        (ReferenceBoost(corpus), options.reference_weight),
    ]
    return RetrievalStage(
        corpus,
        retrievers,
        fusion,
        planners=planners,
        refiners=_refiners(options, retrievers, late_interaction),
        boosts=[(boost, weight) for boost, weight in boosts if weight > 0],
        only_named=options.references == "filter",
        retriever_cutoff=options.retriever_cutoff.build() if options.retriever_cutoff else None,
        cutoff=options.cutoff.build() if options.cutoff else None,
        pad_to=options.pad_to,
        max_per_document=options.max_per_document,
        page_order=options.page_order,
        depth=options.depth,
        rerank_steps=rerank_steps,
        rerankers=more_rerankers,
    )


def build_fusion(options: FusionOptions, *, configured: tuple[str, ...]) -> Fusion:
    """Make the fusion that `options` describe, for the retrievers that are configured."""
    match options:
        case WeightedSumOptions():
            return WeightedSum(
                weights_of(options, configured),
                normalise=_NORMALISERS[options.normalise],
                statistics=options.statistics,
                top_k=options.top_k,
            )
        case ReciprocalRankOptions():
            return ReciprocalRank(weights_of(options, configured), c=options.c)
        case UnionOptions():
            order = options.order or configured
            _check_names("order", order, configured)
            return Union(order)
        case DempsterShaferOptions():
            return DempsterShafer(
                alpha=options.alpha,
                beta=options.beta,
                scale=options.scale,
                absent=options.absent,
                prior=options.prior,
            )


def weights_of(
    options: WeightedSumOptions | ReciprocalRankOptions, configured: tuple[str, ...]
) -> Mapping[str, float]:
    """The weights that are set; a retriever that stands alone needs none, and ranks count alike without.

    Raises `docrag.errors.ConfigError` when they are not those of the configured retrievers.
    """
    is_default = options.weights == type(options)().weights and set(options.weights) != set(configured)
    if is_default and (len(configured) == 1 or isinstance(options, ReciprocalRankOptions)):
        return dict.fromkeys(configured, 1.0)
    _check_names("weights", options.weights, configured)
    return options.weights


def _refiners(
    options: RetrievalOptions, retrievers: Sequence[Retriever], late_interaction: LateInteraction | None
) -> list[Refiner]:
    guided = options.guided_query
    if guided is None:
        return []
    names = [retriever.name for retriever in retrievers]
    if "visual" not in names or len(names) < 2 or late_interaction is None:
        raise ConfigError(
            'retrieval.guided_query needs "visual" and a retriever that guides it; '
            f"the configured retrievers are: {', '.join(names)}"
        )
    return [
        GuidedRefiner(
            late_interaction,
            n_pool=guided.n_pool,
            n_steps=guided.n_steps,
            learning_rate=guided.learning_rate,
            temperature=guided.temperature,
            target=guided.target,
        )
    ]


_NORMALISERS: dict[str, Normaliser] = {
    "zscore": zscore,
    "min-max": min_max,
    "softmax": softmax,
    "rank": rank,
    "sigmoid": sigmoid,
}


def _check_known(option: str, names: Collection[str], configured: tuple[str, ...]) -> None:
    """ConfigError unless `names` are among the configured retrievers."""
    if unknown := sorted(set(names) - set(configured)):
        raise ConfigError(
            f"retrieval.{option} names {', '.join(unknown)}; "
            f"the configured retrievers are: {', '.join(configured)}"
        )


def _check_names(option: str, names: Collection[str], configured: tuple[str, ...]) -> None:
    """ConfigError unless `names` are the configured retrievers."""
    _check_known(f"fusion.{option}", names, configured)
    if missing := sorted(set(configured) - set(names)):
        what = "has no weight for" if option == "weights" else "leaves out"
        raise ConfigError(f"retrieval.fusion.{option} {what} {', '.join(missing)}")
