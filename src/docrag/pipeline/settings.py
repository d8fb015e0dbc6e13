"""The settings tree: the options of every part, each defined beside the class that it configures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from docrag.agents.options import AgentOptions
from docrag.answer.options import ExtractiveOptions, ModelAnswerOptions
from docrag.chat.budget import BudgetOptions
from docrag.embed.options import MiniLmOptions, TextEncoderOptions
from docrag.ingest.options import IngestOptions
from docrag.models.options import RoleOptions
from docrag.pipeline.chat_options import ChatOptions
from docrag.pipeline.custom import CustomOptions, CustomParts
from docrag.pipeline.visual_options import VisualOptions
from docrag.retrieve.options import RetrievalOptions


class Settings(BaseModel):
    """Everything that can be configured.

    A `CustomOptions` names code of your own: for ``embed`` a function that returns a
    `docrag.protocols.TextEmbedder`; for ``answer`` one that is called with the index
    (`docrag.protocols.Corpus`) and the search (a query and ``k=`` to a result with hits), and returns a
    `docrag.protocols.Answerer`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ingest: IngestOptions = IngestOptions()
    embed: Annotated[TextEncoderOptions | CustomOptions, Field(discriminator="kind")] = MiniLmOptions()
    visual: VisualOptions | None = None
    models: RoleOptions | None = None
    retrieval: RetrievalOptions = RetrievalOptions()
    answer: Annotated[
        ExtractiveOptions | ModelAnswerOptions | AgentOptions | CustomOptions, Field(discriminator="kind")
    ] = ExtractiveOptions()
    budget: BudgetOptions = Field(
        default=BudgetOptions(), description="what one question may cost where models are called"
    )
    prompts: dict[str, Path] = Field(
        default_factory=dict[str, Path], description="files in place of packaged prompts, by their names"
    )
    chat: ChatOptions = ChatOptions()
    custom: CustomParts = CustomParts()
