"""Retrieve or not (MMKB-RAG, Ling et al. 2025): whether a question needs documents at all."""

from __future__ import annotations

from dataclasses import replace

from docrag.chat.ask import as_messages
from docrag.chat.events import SILENCE, Listener
from docrag.chat.model import Chat, Request
from docrag.chat.prompts import Prompt
from docrag.chat.yes_no import ask_yes_no
from docrag.errors import ModelError
from docrag.retrieve.query.plan import Plan
from docrag.types import Query

GAMMA = 0.5
"""Published threshold on P(retrieve)."""


class RetrievalGate:
    """Ends the plan when P(the question needs documents) is not above `gamma`; a failure retrieves.

    The text of the paper is followed; its Algorithm 1 prints the two outcomes the other way round.
    """

    name = "gate"

    def __init__(self, chat: Chat, prompt: Prompt, *, gamma: float = GAMMA, timeout_s: float = 30.0) -> None:
        self._chat = chat
        self._prompt = prompt
        self._gamma = gamma
        self._timeout_s = timeout_s

    def revise(self, query: Query, plan: Plan, *, listener: Listener = SILENCE) -> Plan:
        """Return the plan, or one that retrieves nothing."""
        if not query.text.strip():
            return plan
        messages = as_messages(self._prompt.render(question=query.text))
        request = Request(timeout_s=self._timeout_s, cancelled=listener.cancelled)
        try:
            verdict = ask_yes_no(self._chat, messages, request=request)
        except ModelError as error:
            return plan.warned(f"retrieval gate: {error}; searched all the same")
        note = f"retrieval gate: P(retrieve) = {verdict.probability:.3f}, threshold {self._gamma}"
        plan = plan.noted(note, usage=verdict.usage)
        return plan if verdict.probability > self._gamma else replace(plan, retrieve=False)
