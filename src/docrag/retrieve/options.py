"""What the configuration may say about retrieval."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from docrag.options import Options
from docrag.retrieve.cutoff.options import CutoffOptions
from docrag.retrieve.fusion.dempster_shafer import Absent, Prior, Scale
from docrag.retrieve.fusion.guided_query import Target
from docrag.retrieve.fusion.normalise import Statistics
from docrag.retrieve.query.options import QueryOptions
from docrag.retrieve.rerank.options import RerankOptions


class WeightedSumOptions(Options):
    """Weighted sum of normalised scores.

    The default stands on eval/retrieval_ablation.py, and on eval/fusion_ablation.py against other fusions.
    CMRAG's unified retrieval (UCMR) is z-scores with `statistics` "all" and weights β and 1 − β.
    """

    kind: Literal["weighted-sum"] = "weighted-sum"
    normalise: Literal["zscore", "min-max", "softmax", "rank", "sigmoid"] = Field(
        default="zscore", description="how scores of different retrievers are brought to one scale"
    )
    statistics: Statistics = Field(
        default="top-k",
        description="scores that fix the scale: the first top_k of a ranking, of any ranking (union), or all",
    )
    top_k: int = Field(default=50, ge=2, description="places that the statistics are taken from")
    weights: dict[str, float] = Field(
        default_factory=lambda: {"bm25": 0.8, "dense": 0.2},
        description="weight of every configured retriever, by its name",
    )


class ReciprocalRankOptions(Options):
    """Reciprocal rank fusion."""

    kind: Literal["reciprocal-rank"] = "reciprocal-rank"
    c: float = Field(
        default=60.0, gt=0, description="added to every rank: the larger, the less the first places count"
    )
    weights: dict[str, float] = Field(
        default_factory=lambda: {"bm25": 0.5, "dense": 0.5},
        description="weight of every configured retriever, by its name",
    )


class UnionOptions(Options):
    """ViDoRAG's union; use it with `retriever_cutoff`."""

    kind: Literal["union"] = "union"
    order: tuple[str, ...] = Field(
        default=(), description="retrievers whose units come first; empty is their configured order"
    )


class DempsterShaferOptions(Options):
    """BayesRAG's belief functions, with its numbers."""

    kind: Literal["dempster-shafer"] = "dempster-shafer"
    alpha: float = Field(default=0.7, gt=0, le=1, description="mass for relevance of a full score")
    beta: float = Field(default=0.6, gt=0, le=1, description="mass against relevance of a zero score")
    scale: Scale = Field(
        default="max",
        description="scores as shares of the best one, or of the span from the lowest to the best",
    )
    absent: Absent = Field(default="unknown", description="what a ranking says of units it does not hold")
    prior: Prior = Field(
        default="none", description="layout: believe less in pages that no other ranking has nearby"
    )


FusionOptions = Annotated[
    WeightedSumOptions | ReciprocalRankOptions | UnionOptions | DempsterShaferOptions,
    Field(discriminator="kind"),
]


class GuidedQueryOptions(Options):
    """Guided query refinement: the other retrievers guide the visual query."""

    n_pool: int = Field(default=10, ge=2, description="best units of every retriever that are pooled")
    n_steps: int = Field(default=25, ge=1, description="steps of optimisation at most")
    learning_rate: float = Field(default=1e-3, gt=0, description="published grid: 1e-5 to 5e-3")
    temperature: float = Field(
        default=1.0, gt=0, description="scores are divided by it before they become probabilities"
    )
    target: Target = Field(default="fixed", description="as released, or moving, as in the paper")


class RetrievalOptions(Options):
    """Which rankings are made, how they become one, and how much of it is kept.

    Cut-offs, cascade and neighbours are off by default: as eval/fusion_ablation.py measures them, none keeps
    97 % of Recall@10 with 60 % of the pages, and none finds more over a collection.
    """

    depth: int = Field(default=200, ge=1, description="units that every retriever returns")
    retrievers: tuple[Literal["bm25", "dense", "visual"], ...] = Field(
        default=("bm25", "dense"), min_length=1, description='"visual" needs visual.encoder'
    )
    query: QueryOptions = Field(
        default=QueryOptions(), description="what happens to a question before it is searched for"
    )
    fusion: FusionOptions = Field(default=WeightedSumOptions(), description="how the rankings become one")
    guided_query: GuidedQueryOptions | None = Field(
        default=None, description='reorders what fusion gives; needs "visual" and another retriever'
    )
    retriever_cutoff: CutoffOptions | None = Field(
        default=None, description="cuts every retriever's ranking before fusion; ViDoRAG: gaussian-mixture"
    )
    cutoff: CutoffOptions | None = Field(default=None, description="cuts the fused ranking")
    rerank: RerankOptions = Field(
        default=RerankOptions(), description="reorders or filters the best of what is left"
    )
    pad_to: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(),
        description="fill cut results up to the next of these numbers, never with what a filter took out;"
        " ViDoRAG: 1, 2, 4, 6, 9, 12, 16, 20",
    )
    max_per_document: int | None = Field(
        default=None, ge=1, description="most units of one document, in a search over several"
    )
    page_order: Literal["rank", "document"] = Field(
        default="rank", description='"document" shows the hits of a document together, in page order'
    )
    glossary: bool = Field(
        default=True, description="add line items of financial ratios to the words searched"
    )
    reference_weight: float = Field(
        default=4.0,
        ge=0,
        description="how far a named page rises, in deviations of the best scores; 0 is off",
    )
    references: Literal["boost", "filter"] = Field(
        default="boost", description='"filter" keeps nothing but the named pages, where there are such'
    )
    cascade_weight: float = Field(
        default=0.0,
        ge=0,
        description="how far the best region lifts its page, and a page its regions, in such deviations",
    )
    neighbour_weight: float = Field(
        default=0.0, ge=0, description="how far a page lifts those beside it, in such deviations"
    )
