"""Split a question with several parts into sub-questions whose rankings are merged (HM-RAG 2025, step 1)."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, Field

from docrag.chat.ask import as_messages, ask_for
from docrag.chat.events import SILENCE, Listener
from docrag.chat.model import Chat, Request
from docrag.chat.prompts import Prompt
from docrag.errors import ModelError
from docrag.retrieve.query.plan import Plan, SubQuery
from docrag.types import Query

MAX_QUESTION_CHARS = 500
"""Longer sub-questions are not searched for: they repeat the question or ramble."""


class Split(BaseModel):
    """What the model is asked for."""

    several: bool = Field(description="whether the question asks for several things")
    sub_questions: list[str] = Field(description="one question for each, understandable by itself")


class Decomposer:
    """Adds a sub-query for each part of a question that asks for several things.

    The question itself stays in the plan: a page that answers all of it should win. At most `max_parts` are
    taken. A failing model leaves the plan as it was, with a warning.
    """

    name = "decompose"

    def __init__(self, chat: Chat, prompt: Prompt, *, max_parts: int = 3, timeout_s: float = 30.0) -> None:
        self._chat = chat
        self._prompt = prompt
        self._max_parts = max_parts
        self._timeout_s = timeout_s

    def revise(self, query: Query, plan: Plan, *, listener: Listener = SILENCE) -> Plan:
        """Return the plan with sub-questions beside every sub-query."""
        if not query.text.strip():
            return plan
        messages = as_messages(self._prompt.render(question=query.text, n=str(self._max_parts)))
        request = Request(timeout_s=self._timeout_s, cancelled=listener.cancelled)
        try:
            split, usage = ask_for(self._chat, messages, Split, request=request)
        except ModelError as error:
            return plan.warned(f"decomposition: {error}")
        asked = query.text.strip().casefold()
        parts = dict.fromkeys(" ".join(part.split()) for part in split.sub_questions)
        kept = [p for p in parts if p and p.casefold() != asked and len(p) <= MAX_QUESTION_CHARS]
        kept = kept[: self._max_parts] if split.several else []
        plan = plan.noted(f"decomposition: {len(kept)} sub-questions", usage=usage)
        return replace(plan, queries=tuple(new for old in plan.queries for new in _with_parts(old, kept)))


def _with_parts(old: SubQuery, parts: list[str]) -> list[SubQuery]:
    return [
        old,
        *(replace(old, text=text, label=f"{old.label}, part {n}") for n, text in enumerate(parts, 1)),
    ]
