"""From options to a retrieval stage."""

from __future__ import annotations

import logging

from docrag.errors import ConfigError
from docrag.protocols import Corpus, Fusion, Retriever, TextEmbedder
from docrag.retrieve.bm25 import Bm25Retriever
from docrag.retrieve.dense import DenseRetriever
from docrag.retrieve.fusion.normalise import min_max, zscore
from docrag.retrieve.fusion.reciprocal_rank import ReciprocalRank
from docrag.retrieve.fusion.weighted_sum import WeightedSum
from docrag.retrieve.options import FusionOptions, RetrievalOptions, WeightedSumOptions
from docrag.retrieve.reference_boost import ReferenceBoost
from docrag.retrieve.stage import RetrievalStage

_log = logging.getLogger(__name__)


def build_retrieval_stage(
    corpus: Corpus,
    embedder: TextEmbedder | None,
    options: RetrievalOptions,
    *,
    visual: Retriever | None = None,
) -> RetrievalStage:
    """Assemble the stage that `options` describe; without an encoder, the stage without "dense".

    `visual` is what the name "visual" stands for.

    Raises
    ------
    ConfigError
        Weights are given for retrievers that are not configured, or are missing, negative or all zero;
        or "visual" is named and there is no page encoder.
    """
    retrievers: list[Retriever] = []
    for name in dict.fromkeys(options.retrievers):
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
    if not retrievers:
        raise ConfigError(
            f"retrieval.retrievers is {list(options.retrievers)}, but no text encoder is configured; "
            f"set embed.kind, or add bm25"
        )
    boosts = [(ReferenceBoost(corpus), options.reference_weight)] if options.reference_weight > 0 else []
    return RetrievalStage(
        corpus,
        retrievers,
        build_fusion(options.fusion, configured=options.retrievers),
        boosts=boosts,
        retriever_cutoff=options.retriever_cutoff.build() if options.retriever_cutoff else None,
        cutoff=options.cutoff.build() if options.cutoff else None,
        depth=options.depth,
    )


def build_fusion(options: FusionOptions, *, configured: tuple[str, ...]) -> Fusion:
    """Make the fusion that `options` describe, for the retrievers that are configured."""
    if unknown := sorted(options.weights.keys() - set(configured)):
        raise ConfigError(
            f"retrieval.fusion.weights names {', '.join(unknown)}; "
            f"the configured retrievers are: {', '.join(configured)}"
        )
    if missing := sorted(set(configured) - options.weights.keys()):
        raise ConfigError(f"retrieval.fusion.weights has no weight for {', '.join(missing)}")
    if isinstance(options, WeightedSumOptions):
        return WeightedSum(
            options.weights,
            normalise=zscore if options.normalise == "zscore" else min_max,
            statistics=options.statistics,
            top_k=options.top_k,
        )
    return ReciprocalRank(options.weights, c=options.c)
