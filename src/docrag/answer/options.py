"""Options of the answerers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from docrag.answer.plain_output import LinkPolicy
from docrag.options import Options

Modality = Literal["text", "image", "both"]
"""What a model is shown of a page: UniDoc-Bench's paradigms. Which pages, is for retrieval to say."""
Order = Literal["rank", "document"]
Packing = Literal["separate", "collage"]


class ExtractiveOptions(Options):
    """How answers are picked from the pages, without a model.

    `n_pages` is how many retrieved pages are read. `threshold` is the least calibrated confidence at which an
    answer is given; None takes the one that was fitted together with the calibration.
    """

    kind: Literal["extractive"] = "extractive"
    n_pages: int = Field(default=5, ge=1, le=50, description="retrieved pages that are read")
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="least calibrated confidence at which an answer is given; null: the fitted one",
    )


class ContextOptions(Options):
    """What a model is shown of the pages that were found."""

    modality: Modality = Field(
        default="both", description="what is shown of a page: its text, its picture, or both"
    )
    order: Order = Field(
        default="rank", description="document: page by page within a document, the best document first"
    )
    packing: Packing = Field(
        default="separate", description="collage: all pages in one picture, if their text stays legible"
    )
    dpi: float = Field(default=144.0, ge=36, le=600, description="of whole pages")
    min_dpi: float = Field(default=72.0, ge=36, le=600, description="as far as dpi is lowered to fit")
    crops: bool = Field(
        default=True,
        description="show retrieved regions as crops at reading resolution, too, not as text only",
    )
    max_text_chars: int = Field(default=12_000, ge=200, description="of one page")
    collage_px: int = Field(default=3_000, ge=500, le=10_000, description="longest side of a collage")
    min_line_px: float = Field(
        default=9.0, gt=0, description="height of the small lines on a collage below which it is not used"
    )
    reply_tokens: int = Field(default=1_500, ge=64, description="kept free in the model's context")

    @model_validator(mode="after")
    def _dpi_in_order(self) -> ContextOptions:
        if self.min_dpi > self.dpi:
            raise ValueError(f"min_dpi is {self.min_dpi:g}, expected at most dpi, {self.dpi:g}")
        return self


class CitingOptions(Options):
    """What becomes of sentences and addresses that a model writes."""

    unsupported: Literal["mark", "drop"] = Field(
        default="mark",
        description="sentences without a citation that could be verified: kept with a warning, or left out",
    )
    links: LinkPolicy = Field(
        default="remove", description="web addresses in answers; text: kept without their scheme"
    )


class AnswerPromptOptions(Options):
    """What a model is asked for."""

    style: Literal["full", "short"] = Field(
        default="full", description="sentences, or the bare answer, which data sets are scored by"
    )
    sufficiency: Literal["inline", "call", "off"] = Field(
        default="inline",
        description="whether the evidence suffices: judged first in the answer's own call, by a call of its"
        " own (role judge), or not at all; not every model can judge, see sufficiency_threshold",
    )
    sufficiency_threshold: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="least P(yes) of the call at which an answer is written; which one is right depends on"
        " the model, and eval/sufficiency.py measures it on questions of yours. One half is a convention,"
        " not a finding",
    )
    check_support: bool = Field(
        default=False, description="a second call (role judge) checks every sentence against the cited pages"
    )


class _ModelOptions(Options):
    n_pages: int = Field(default=5, ge=1, le=50, description="retrieved pages that are shown")
    context: ContextOptions = Field(
        default=ContextOptions(), description="what the model is shown of the pages"
    )
    citing: CitingOptions = Field(
        default=CitingOptions(), description="what becomes of sentences and addresses that the model writes"
    )
    prompt: AnswerPromptOptions = Field(
        default=AnswerPromptOptions(), description="what the model is asked for"
    )


class SinglePassOptions(_ModelOptions):
    """Pages are retrieved and one call answers (M3DocRAG); needs `models.default`.

    ``context.modality`` text, image and both are UniDoc-Bench's paradigms; its joint and fused retrieval is
    set in ``retrieval``.
    """

    kind: Literal["single-pass"] = "single-pass"


class DualBranchOptions(_ModelOptions):
    """Text and pictures answer separately, then their answers are reconciled (VisDoMRAG): 2 or 3 calls.

    ``context.modality`` and ``prompt.sufficiency`` have no say here: each branch has its own modality, and
    judges sufficiency after it has gathered its evidence.
    """

    kind: Literal["dual-branch"] = "dual-branch"
    prior: Literal["visual", "text", "none"] = Field(
        default="visual", description="who is trusted when both are sound; visual: as published"
    )
    skip_if_agree: bool = Field(default=True, description="no third call when both say the same")
    retrieval: Literal["own", "shared"] = Field(
        default="own",
        description="own: the picture branch searches by looks and the text branch by words, where"
        " retrieval.retrievers has both; shared: both read what the one search gives",
    )


class InterleavedOptions(_ModelOptions):
    """A single pass whose answer shows figures after its sentences (MRAMG)."""

    kind: Literal["interleaved"] = "interleaved"
    interleave: Literal["llm", "rule", "off"] = Field(
        default="llm",
        description="who places the figures: the model that writes, or the words that a sentence shares with"
        " a figure's caption",
    )
    max_figures: int = Field(default=4, ge=1, le=20, description="figures in an answer")
    max_offered: int = Field(default=8, ge=1, le=40, description="figures that the model chooses among")
    min_overlap: float = Field(
        default=0.3, ge=0, le=1, description="rule: least share of a caption's words that the sentence has"
    )


class SummariesOptions(_ModelOptions):
    """Pages are summarised for the question, and the best are answered from in the original (Beyond Text)."""

    kind: Literal["summaries"] = "summaries"
    n_candidates: int = Field(default=12, ge=1, le=100, description="retrieved pages that are summarised")
    pages_per_call: int = Field(default=4, ge=1, le=20, description="pages that are summarised in one call")
    n_parallel: int = Field(
        default=4,
        ge=1,
        le=64,
        description="such calls at a time; fewer where the budget is short, one by a model in this process",
    )
    min_relevance: float = Field(default=3.0, ge=0, le=10, description="below it a page is not read")


ModelAnswerOptions = SinglePassOptions | DualBranchOptions | InterleavedOptions | SummariesOptions
"""Answerers of this package that call a model, told apart by `kind`."""
