"""UniversalRAG's router as a prompt: a chat model names the routes."""

from __future__ import annotations

from pydantic import BaseModel, Field

from docrag.chat.ask import as_messages, ask_for
from docrag.chat.events import SILENCE, Listener
from docrag.chat.model import Chat, Request
from docrag.chat.prompts import Prompt
from docrag.retrieve.query.route import Route, Routed

THRESHOLD = 0.5
"""Least confidence of a route; the published trained router uses 0.8 on sigmoid outputs, which a model's own
words are not."""


class RouteConfidence(BaseModel):
    """One route and how sure the model is of it."""

    route: Route
    confidence: float = Field(ge=0, le=1)


class Routes(BaseModel):
    """What the model is asked for."""

    routes: list[RouteConfidence]


class PromptedRouter:
    """Asks a chat model; routes below `threshold` do not count."""

    name = "prompted"

    def __init__(
        self, chat: Chat, prompt: Prompt, *, threshold: float = THRESHOLD, timeout_s: float = 30.0
    ) -> None:
        self._chat = chat
        self._prompt = prompt
        self._threshold = threshold
        self._timeout_s = timeout_s

    def route(self, question: str, *, listener: Listener = SILENCE) -> Routed:
        """Return the routes that the model is sure enough of; raises ModelError, Cancelled."""
        messages = as_messages(self._prompt.render(question=question))
        request = Request(timeout_s=self._timeout_s, cancelled=listener.cancelled)
        reply, usage = ask_for(self._chat, messages, Routes, request=request)
        sure = frozenset(r.route for r in reply.routes if r.confidence >= self._threshold)
        return Routed(sure, usage)
