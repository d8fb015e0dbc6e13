"""The settings tree: the options of every part, each defined beside the class that it configures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from docrag.agents.options import AgentOptions
from docrag.answer.options import ExtractiveOptions, ModelAnswerOptions
from docrag.chat.budget import BudgetOptions
from docrag.embed.options import MiniLmOptions, TextEncoderOptions
from docrag.errors import UsageError
from docrag.ingest.options import IngestOptions
from docrag.models.options import RoleOptions
from docrag.options import Options
from docrag.pipeline.chat_options import ChatOptions
from docrag.pipeline.custom import CustomOptions, CustomParts
from docrag.pipeline.visual_options import VisualOptions
from docrag.retrieve.options import RetrievalOptions


class Settings(Options):
    """Everything that can be configured.

    A `CustomOptions` names code of your own: for ``embed`` a function that returns a
    `docrag.protocols.TextEmbedder`; for ``answer`` one that is called with the index
    (`docrag.protocols.Corpus`) and the search (a query and ``k=`` to a result with hits; with ``listener=``
    it can be called off), and returns a `docrag.protocols.Answerer`.
    """

    ingest: IngestOptions = Field(default=IngestOptions(), description="how files are read")
    embed: Annotated[TextEncoderOptions | CustomOptions, Field(discriminator="kind")] = Field(
        default=MiniLmOptions(), description="the text encoder, which dense retrieval needs"
    )
    visual: VisualOptions | None = Field(
        default=None,
        description="the encoder of page pictures, and the search by it; null: pages are found by text alone",
    )
    models: RoleOptions | None = Field(
        default=None,
        description="chat models; null has none, which extractive answers and searches do without",
    )
    retrieval: RetrievalOptions = Field(default=RetrievalOptions(), description="how pages are found")
    answer: Annotated[
        ExtractiveOptions | ModelAnswerOptions | AgentOptions | CustomOptions, Field(discriminator="kind")
    ] = Field(
        default=ExtractiveOptions(),
        description="who answers: extractive without a model, or one of those that call models",
    )
    budget: BudgetOptions = Field(
        default=BudgetOptions(), description="what one question may cost where models are called"
    )
    prompts: dict[str, Path] = Field(
        default_factory=dict[str, Path], description="files in place of packaged prompts, by their names"
    )
    chat: ChatOptions = Field(default=ChatOptions(), description="how a conversation is held")
    custom: CustomParts = Field(default=CustomParts(), description="retrievers and rerankers of your own")


def check_settings(settings: object) -> Settings:
    """Return what is given; raise `docrag.errors.UsageError` when it is something else, such as a name."""
    if isinstance(settings, Settings):
        return settings
    is_name = isinstance(settings, str | os.PathLike)
    raise UsageError(
        f"settings: expected docrag.Settings, got {repr(settings) if is_name else type(settings).__name__}; "
        f"docrag.load_settings({repr(settings) if is_name else 'NAME'}) reads those of a preset or YAML file"
    )
