"""What a listener hears while a question is being answered, or searched for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from docrag.types import Answer


@dataclass(frozen=True, slots=True)
class StepEvent:
    """Something begins. `name` is the trace's name of the step, `message` says it to a person."""

    name: str
    message: str


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """The next piece of the answer's text, before its citations are verified."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerEvent:
    """The finished answer with verified citations; always the last event."""

    answer: Answer


Event = StepEvent | TokenEvent | AnswerEvent


class Listener(Protocol):
    """Hears events, and may call the run off."""

    def on_event(self, event: Event) -> None:
        """Hear an event; called from the thread that answers."""
        ...

    def cancelled(self) -> bool:
        """Whether the run should end; polled between steps and while models reply, from several threads."""
        ...


class Silence:
    """Hears nothing, cancels nothing."""

    def on_event(self, event: Event) -> None:
        """Ignore it."""

    def cancelled(self) -> bool:
        """Never."""
        return False


SILENCE = Silence()
