"""What the configuration may say about conversations."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ChatOptions(BaseModel):
    """How a conversation is held."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    follow_up: Literal["auto", "rules", "prompted"] = Field(
        default="auto",
        description='who completes "and in 2024?"; "auto": a chat model where one is configured, else rules',
    )
    timeout_s: float = Field(default=30.0, gt=0, description="for the model's rewriting of one question")
