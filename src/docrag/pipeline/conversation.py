"""A conversation over an index: its turns, what it may see, and follow-up questions made to stand alone."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from docrag.chat.events import SILENCE, Event, Listener
from docrag.chat.model import total_usage
from docrag.pipeline.background import events_of
from docrag.pipeline.wording import readable
from docrag.retrieve.query import follow_up
from docrag.retrieve.query.follow_up import FollowUp
from docrag.types import Scope

if TYPE_CHECKING:
    from docrag.results.shown import ShownAnswer
    from docrag.retrieve.query.follow_up import FollowUpRewriter


@dataclass(frozen=True, slots=True)
class Turn:
    """A question as it was put, as it was asked of the documents, where, and its answer."""

    question: str
    asked: str
    scope: Scope
    answer: ShownAnswer


Rewrite = Callable[[Sequence[Turn], str], str]
"""From the turns so far and a follow-up ("and in 2023?") to a question that stands on its own."""


class Complete(Protocol):
    """What a conversation does with a follow-up question: a `Rewrite` that a listener may call off."""

    def __call__(self, turns: Sequence[Turn], question: str, *, listener: Listener) -> FollowUp:
        """Return a question that stands on its own, and what went wrong and was paid on the way to it."""
        ...


def completing(rewrite: Rewrite) -> Complete:
    """Make what a conversation calls of a function that knows no listener, and is waited for."""

    def complete(turns: Sequence[Turn], question: str, *, listener: Listener) -> FollowUp:
        return FollowUp(rewrite(turns, question))

    return complete


def completed_by(rewriter: Callable[[], FollowUpRewriter]) -> Complete:
    """Make what a conversation calls of a rewriter of the retrieval stage, which is made when needed."""

    def complete(turns: Sequence[Turn], question: str, *, listener: Listener) -> FollowUp:
        history = [follow_up.Turn(turn.asked, turn.answer.text) for turn in turns]
        return rewriter().rewrite(history, question, listener=listener)

    return complete


def with_follow_up(answer: ShownAnswer, completed: FollowUp) -> ShownAnswer:
    """`answer` with what went wrong and was paid on the way to its question."""
    return answer.with_more(
        warnings=(completed.warning,) if completed.warning else (),
        usage=total_usage(completed.usage) if completed.usage else None,
    )


class Ask(Protocol):
    """Answers one question; `docrag.DocRAG.ask`."""

    def __call__(self, question: str, *, scope: Scope, listener: Listener) -> ShownAnswer:
        """Answer with verified citations, or abstain with a reason."""
        ...


class Conversation:
    """Questions that may refer to the ones before; used from one thread at a time.

    `scope` holds for every question until it is changed. A turn is added when its answer is complete: one
    that failed or was called off leaves the conversation as it was. The first question is never rewritten.
    What completing a question cost, and that a model failed at it, stands in the answer.
    """

    def __init__(self, ask: Ask, *, scope: Scope, complete: Complete) -> None:
        self.scope = scope
        self._ask = ask
        self._complete = complete
        self._turns: list[Turn] = []

    @property
    def history(self) -> tuple[Turn, ...]:
        """The turns so far, oldest first."""
        return tuple(self._turns)

    def ask(self, question: str, *, listener: Listener = SILENCE) -> ShownAnswer:
        """Answer the next question; raises `docrag.errors.UsageError` for one of nothing."""
        question = readable(question)
        completed, scope = FollowUp(question), self.scope
        if self._turns:
            completed = self._complete(self.history, question, listener=listener)
        asked = completed.question.strip() or question
        answer = with_follow_up(self._ask(asked, scope=scope, listener=listener), completed)
        self._turns.append(Turn(question, asked, scope, answer))
        return answer

    def stream(self, question: str) -> Generator[Event]:
        """Yield the events of the next answer; closing the generator calls it off."""
        return events_of(lambda listener: self.ask(question, listener=listener))

    def forget(self, n_turns: int | None = None) -> None:
        """Take back the last `n_turns`, or all of them."""
        del self._turns[max(0, len(self._turns) - n_turns) if n_turns is not None else 0 :]
