"""A conversation over an index: its turns, what it may see, and follow-up questions made to stand alone."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from docrag.chat.events import SILENCE, Event, Listener
from docrag.pipeline.background import events_of
from docrag.types import Scope

if TYPE_CHECKING:
    from docrag.results.shown import ShownAnswer


@dataclass(frozen=True, slots=True)
class Turn:
    """A question as it was put, as it was asked of the documents, where, and its answer."""

    question: str
    asked: str
    scope: Scope
    answer: ShownAnswer


Rewrite = Callable[[Sequence[Turn], str], str]
"""From the turns so far and a follow-up ("and in 2023?") to a question that stands on its own."""


class Ask(Protocol):
    """Answers one question; `docrag.DocRAG.ask`."""

    def __call__(self, question: str, *, scope: Scope, listener: Listener) -> ShownAnswer:
        """Answer with verified citations, or abstain with a reason."""
        ...


class Conversation:
    """Questions that may refer to the ones before; used from one thread at a time.

    `scope` holds for every question until it is changed. A turn is added when its answer is complete: one
    that failed or was called off leaves the conversation as it was. The first question is never rewritten.
    """

    def __init__(self, ask: Ask, *, scope: Scope, rewrite: Rewrite | None = None) -> None:
        self.scope = scope
        self._ask = ask
        self._rewrite = rewrite
        self._turns: list[Turn] = []

    @property
    def history(self) -> tuple[Turn, ...]:
        """The turns so far, oldest first."""
        return tuple(self._turns)

    def ask(self, question: str, *, listener: Listener = SILENCE) -> ShownAnswer:
        """Answer the next question."""
        asked, scope = question, self.scope
        if self._rewrite is not None and self._turns:
            asked = self._rewrite(self.history, question).strip() or question
        answer = self._ask(asked, scope=scope, listener=listener)
        self._turns.append(Turn(question, asked, scope, answer))
        return answer

    def stream(self, question: str) -> Generator[Event]:
        """Yield the events of the next answer; closing the generator calls it off."""
        return events_of(lambda listener: self.ask(question, listener=listener))

    def forget(self, n_turns: int | None = None) -> None:
        """Take back the last `n_turns`, or all of them."""
        del self._turns[max(0, len(self._turns) - n_turns) if n_turns is not None else 0 :]
