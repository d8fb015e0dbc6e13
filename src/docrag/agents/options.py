"""Options of the agents."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from docrag.answer.options import AnswerPromptOptions, CitingOptions, ContextOptions
from docrag.options import Options

ToolName = Literal["search", "read_page", "zoom", "read_table", "calculate"]


class _AgentOptions(Options):
    context: ContextOptions = Field(
        default=ContextOptions(), description="what the model is shown of the pages"
    )
    citing: CitingOptions = Field(
        default=CitingOptions(), description="what becomes of sentences and addresses that the model writes"
    )


class SeekerInspectorOptions(_AgentOptions):
    """ViDoRAG's loop: a seeker chooses pages, an inspector reads them and answers or says what is missing.

    How many rounds it may take is ``budget.max_rounds``.
    """

    kind: Literal["seeker-inspector"] = "seeker-inspector"
    n_pages: int = Field(default=10, ge=1, le=50, description="candidates in the seeker's buffer")
    max_inspected: int = Field(
        default=8, ge=1, le=50, description="pages the inspector is shown at once, those kept included"
    )


class PlannerOptions(_AgentOptions):
    """A planner that asks sub-questions, acts, reads and plans again.

    How many turns it may take is ``budget.max_rounds``; one call is kept for the answer.
    """

    kind: Literal["planner"] = "planner"
    tools: tuple[ToolName, ...] = Field(
        default=("search", "read_page", "zoom", "read_table", "calculate"),
        min_length=1,
        description="what the planner may do, besides answering",
    )
    n_pages: int = Field(default=5, ge=1, le=20, description="pages that one search lists")
    max_invalid: int = Field(
        default=3, ge=1, description="actions that are not there or not possible before the loop ends"
    )


class DecomposeDecideOptions(_AgentOptions):
    """HM-RAG: split the question, answer it from every source, decide by consistency.

    Every part of a question is a round of ``budget.max_rounds``.
    """

    kind: Literal["decompose-decide"] = "decompose-decide"
    decompose: Literal["auto", "never"] = Field(
        default="auto", description="auto asks the plan model whether a question asks for several things"
    )
    max_parts: int = Field(default=3, ge=2, le=6, description="sub-questions at most")
    sources: Literal["retrievers", "modalities"] = Field(
        default="retrievers",
        description="every retriever's own ranking, or the text and the pictures of the same pages",
    )
    n_pages: int = Field(default=4, ge=1, le=20, description="pages of every source")
    agreement: float = Field(
        default=0.6, gt=0, le=1, description="from which on two answers agree; a number that differs is 0"
    )
    similarity: Literal["words", "meaning"] = Field(
        default="words",
        description="what agrees where numbers do not decide: equal words, or words alike in meaning, too, by"
        " the text encoder",
    )
    decide: Literal["judge", "vote"] = Field(
        default="judge",
        description="judge asks an expert unless all agree, vote only where there is no majority",
    )
    refine: bool = Field(default=True, description="make one answer of those that agree, by one more call")


class GatedOptions(_AgentOptions):
    """MMKB-RAG's gates: retrieve or not, relevance of every page, coherence of those that stay.

    ``ungrounded`` says what happens to a question that is judged to need no documents. "retrieve", the
    default, searches all the same, and so does not even ask: docrag's answers stand in documents. "abstain"
    withholds an answer; "answer" gives one without citations, which says in its warnings that it is not from
    the documents.
    """

    kind: Literal["gated"] = "gated"
    ungrounded: Literal["retrieve", "abstain", "answer"] = Field(
        default="retrieve",
        description="a question judged to need no documents: search all the same, abstain, or answer without"
        " citations",
    )
    gamma: float = Field(
        default=0.5, ge=0, le=1, description="P(the question needs documents) above which they are searched"
    )
    n_pages: int = Field(default=8, ge=1, le=50, description="retrieved pages that are judged, a call each")
    relevance: float = Field(default=0.5, ge=0, le=1, description="P(relevant) above which a page stays")
    max_relevant: int = Field(default=5, ge=1, le=50, description="the most relevant pages that stay")
    n_parallel: int = Field(
        default=4,
        ge=1,
        le=64,
        description="pages that are judged at a time; fewer where the budget is short, one by a model in this"
        " process",
    )
    consistency: bool = Field(default=True, description="choose a coherent subset of them, by one more call")
    prompt: AnswerPromptOptions = Field(
        default=AnswerPromptOptions(), description="what the model is asked for"
    )


AgentOptions = SeekerInspectorOptions | PlannerOptions | DecomposeDecideOptions | GatedOptions
"""Agents, told apart by `kind`."""
