"""Which answerer the options name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from docrag.agents.options import (
    AgentOptions,
    DecomposeDecideOptions,
    GatedOptions,
    PlannerOptions,
    SeekerInspectorOptions,
)
from docrag.answer.options import (
    DualBranchOptions,
    InterleavedOptions,
    ModelAnswerOptions,
    SinglePassOptions,
    SummariesOptions,
)
from docrag.protocols import Answerer, TextEmbedder

if TYPE_CHECKING:
    from docrag.answer.parts import AnswerParts
    from docrag.answer.search import Search


def build_model_answerer(
    options: ModelAnswerOptions | AgentOptions,
    parts: AnswerParts,
    *,
    branch_searches: Callable[[], dict[str, Search]],
    embedder: Callable[[], TextEmbedder | None],
) -> Answerer:
    """Return the answerer or agent, with what it needs of the following.

    `branch_searches` makes searches named "text" and "image", or none; `embedder` the text encoder.
    """
    # Imported when used: an index asked without a model needs none of them.
    match options:
        case SinglePassOptions():
            from docrag.answer.single_pass import SinglePassAnswerer

            return SinglePassAnswerer(parts, options)
        case DualBranchOptions():
            from docrag.answer.dual_branch import DualBranchAnswerer

            searches = branch_searches() if options.retrieval == "own" else {}
            return DualBranchAnswerer(
                parts, options, text_search=searches.get("text"), image_search=searches.get("image")
            )
        case InterleavedOptions():
            from docrag.answer.interleaved import InterleavedAnswerer

            return InterleavedAnswerer(parts, options)
        case SummariesOptions():
            from docrag.answer.summaries import SummariesAnswerer

            return SummariesAnswerer(parts, options)
        case SeekerInspectorOptions():
            from docrag.agents.seeker_inspector import SeekerInspectorAgent

            return SeekerInspectorAgent(parts, options)
        case PlannerOptions():
            from docrag.agents.planner import PlannerAgent

            return PlannerAgent(parts, options)
        case DecomposeDecideOptions():
            from docrag.agents.decompose_decide import DecomposeDecideAgent
            from docrag.pipeline.likeness import by_meaning

            semantic = by_meaning(embedder) if options.similarity == "meaning" else None
            return DecomposeDecideAgent(parts, options, semantic=semantic)
        case GatedOptions():
            from docrag.agents.gated import GatedAgent

            return GatedAgent(parts, options)
