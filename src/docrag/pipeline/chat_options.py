"""What the configuration may say about conversations."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from docrag.options import Options


class ChatOptions(Options):
    """How a conversation is held."""

    follow_up: Literal["auto", "rules", "prompted"] = Field(
        default="auto",
        description='who completes "and in 2024?"; "auto": a chat model where one is configured, else rules',
    )
    timeout_s: float = Field(default=30.0, gt=0, description="for the model's rewriting of one question")
