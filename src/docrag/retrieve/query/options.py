"""What the configuration may say about the query side."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from docrag.options import Options
from docrag.retrieve.query.ensemble import INSTRUCTIONS, Mode


class GateOptions(Options):
    """MMKB-RAG's gate: a chat model judges whether documents are needed; needs a model for `plan`."""

    gamma: float = Field(default=0.5, ge=0, le=1, description="retrieve above this probability")


class RouteOptions(Options):
    """UniversalRAG's routing over paragraphs, tables, figures, pages and documents."""

    router: Literal["rules", "prompted"] = Field(
        default="rules", description='"rules" needs no model, "prompted" one for `plan`'
    )
    threshold: float = Field(default=0.5, ge=0, le=1, description="least confidence of a prompted route")
    keep_page: bool = Field(default=True, description="search whole pages beside the routes")
    may_skip: bool = Field(default=False, description='let the route "none" end retrieval')


class DecomposeOptions(Options):
    """Sub-questions whose rankings are merged; needs a model for `plan`."""

    max_parts: int = Field(default=3, ge=1, le=10, description="sub-questions at most")


class EnsembleOptions(Options):
    """GenQREnsemble: keywords from several instructions; needs a model for `plan`."""

    mode: Mode = Field(default="concatenate", description='"fuse" merges one ranking per list of keywords')
    n_instructions: int = Field(
        default=5,
        ge=1,
        le=len(INSTRUCTIONS),
        description="instructions that keywords are asked by, one call each",
    )
    retrievers: tuple[str, ...] = Field(
        default=("bm25",), min_length=1, description="long queries blur dense and visual retrieval"
    )
    n_parallel: int = Field(default=4, ge=1, description="calls at a time")


class QueryOptions(Options):
    """What happens to a question before it is searched for, in this order; nothing by default."""

    gate: GateOptions | None = Field(
        default=None, description="whether the question needs documents at all; null does not ask"
    )
    route: RouteOptions | None = Field(
        default=None,
        description="where an answer probably stands: text, tables, figures; null searches everything",
    )
    decompose: DecomposeOptions | None = Field(
        default=None, description="questions that ask for several things are split; null keeps them whole"
    )
    ensemble: EnsembleOptions | None = Field(
        default=None, description="keywords from a model are added; null adds none"
    )
    timeout_s: float = Field(default=30.0, gt=0, description="for each call of a model")
