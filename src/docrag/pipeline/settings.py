"""The settings tree: the options of every part, each defined beside the class that it configures."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from docrag.answer.options import ExtractiveOptions
from docrag.embed.options import MiniLmOptions, TextEncoderOptions
from docrag.ingest.options import IngestOptions
from docrag.models.options import RoleOptions
from docrag.pipeline.visual_options import VisualOptions
from docrag.retrieve.options import RetrievalOptions


class Settings(BaseModel):
    """Everything that can be configured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ingest: IngestOptions = IngestOptions()
    embed: TextEncoderOptions = MiniLmOptions()
    visual: VisualOptions | None = None
    models: RoleOptions | None = None
    retrieval: RetrievalOptions = RetrievalOptions()
    answer: ExtractiveOptions = ExtractiveOptions()
