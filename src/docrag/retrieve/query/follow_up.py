"""Follow-up questions of a conversation, made understandable by themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pydantic import BaseModel, Field

from docrag.chat.ask import as_messages, ask_for
from docrag.chat.events import SILENCE, Listener, StepEvent
from docrag.chat.model import CallUsage, Chat, Request
from docrag.chat.prompts import Prompt
from docrag.errors import ModelError

MAX_TURNS = 6
"""Turns of the conversation that the model is shown, the last ones."""

MAX_ANSWER_CHARS = 400
"""How much of an earlier answer is shown: its subject is wanted, not its detail."""


class Turn(NamedTuple):
    """An earlier question, as it was understood, and its answer."""

    question: str
    answer: str


class FollowUp(NamedTuple):
    """The question to search for, what went wrong on the way to it ("" when nothing did), and its cost."""

    question: str
    warning: str = ""
    usage: tuple[CallUsage, ...] = ()


class FollowUpRewriter(Protocol):
    """Makes a question understandable without the turns before it."""

    def rewrite(self, history: Sequence[Turn], question: str, *, listener: Listener = SILENCE) -> FollowUp:
        """Return the question as it is when it needs nothing from `history`.

        When the listener calls the run off, a model's request is dropped, and `docrag.errors.Cancelled` is
        raised.
        """
        ...


class RuleRewriter:
    """Rewrites by the form of the question, without a model.

    A question that only names another year, as in "And in 2022?", is the last one with its year replaced. One
    that begins with "and", "what about" or the like, or is short and points back by a pronoun, is searched
    for together with the last one. Any other stands by itself.
    """

    def rewrite(self, history: Sequence[Turn], question: str, *, listener: Listener = SILENCE) -> FollowUp:
        """Return the question, completed from the last one where it leans on it."""
        asked = " ".join(question.split())
        if not history or not asked:
            return FollowUp(question)
        last = history[-1].question
        opening = _OPENING.match(asked)
        rest = asked[opening.end() :] if opening else asked
        year = _ONLY_YEAR.fullmatch(rest)
        if year is not None and _YEAR.search(last):
            return FollowUp(_YEAR.sub(year["year"], last, count=1))
        points_back = len(asked.split()) <= _SHORT_WORDS and _PRONOUN.search(asked) is not None
        if opening is not None or points_back:
            return FollowUp(f"{last} {asked}")
        return FollowUp(question)


_OPENING = re.compile(
    r"(?:and|but|or|also|then|what about|how about|and what about|what of|same for)\b[\s,]*", re.IGNORECASE
)
_PRONOUN = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|she|his|her|this|that|these|those|there|one|ones|same"
    r"|former|latter|above|previous)\b",
    re.IGNORECASE,
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_ONLY_YEAR = re.compile(
    r"(?:in|for|of|during|the year)?\s*(?:the year\s+)?(?P<year>(?:19|20)\d\d)\s*\?*", re.I
)
_SHORT_WORDS = 12
"""A longer question names its subject, whatever pronouns it has."""


class Rewritten(BaseModel):
    """What the model is asked for."""

    question: str = Field(min_length=1)


class PromptedRewriter:
    """Asks a chat model; a failure falls back to the rules, with a warning."""

    def __init__(self, chat: Chat, prompt: Prompt, *, timeout_s: float = 30.0) -> None:
        self._chat = chat
        self._prompt = prompt
        self._timeout_s = timeout_s
        self._rules = RuleRewriter()

    def rewrite(self, history: Sequence[Turn], question: str, *, listener: Listener = SILENCE) -> FollowUp:
        """Return the question as the model completes it; without history no call is made."""
        if not history or not question.strip():
            return FollowUp(question)
        lines = [
            f"User: {turn.question}\nAssistant: {turn.answer[:MAX_ANSWER_CHARS]}"
            for turn in history[-MAX_TURNS:]
        ]
        messages = as_messages(self._prompt.render(history="\n".join(lines), question=question))
        listener.on_event(StepEvent("follow-up", "reading the conversation"))
        request = Request(timeout_s=self._timeout_s, cancelled=listener.cancelled)
        try:
            reply, usage = ask_for(self._chat, messages, Rewritten, request=request)
        except ModelError as error:
            by_rules = self._rules.rewrite(history, question)
            return FollowUp(by_rules.question, f"the follow-up was completed by rules: {error}")
        return FollowUp(" ".join(reply.question.split()), usage=usage)
