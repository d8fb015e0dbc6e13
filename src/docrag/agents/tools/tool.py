"""What a tool of the planner is: a name, typed arguments, and one thing it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from docrag.answer.plain_output import plain_output
from docrag.chat.messages import Part


class ToolArguments(BaseModel):
    """Arguments of a tool; every one adds ``tool``, the name of the tool they are for."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Observation:
    """What a tool found: parts of a message, with everything from documents fenced.

    `summary` goes into the trace. `read` are the evidence ids of pages whose text or picture it shows.
    """

    parts: tuple[str | Part, ...]
    summary: str
    read: tuple[str, ...] = ()


class ToolRefused(Exception):
    """Arguments that fit their types and name nothing that is there; the message is for the model."""


_SAID_CHARS = 120


def said(text: str) -> str:
    """Return what a model wrote for people to see while it works: no markup, no addresses, one short line."""
    line = " ".join(plain_output(text).text.split())
    return line if len(line) <= _SAID_CHARS else line[: _SAID_CHARS - 1] + "…"


A = TypeVar("A", bound=ToolArguments, contravariant=True)


class Tool(Protocol[A]):
    """One thing the planner may do. `purpose` tells the model what for, in one line."""

    name: str
    purpose: str

    @property
    def arguments(self) -> type[Any]:
        """The model of its arguments."""
        ...

    def announce(self, arguments: A) -> str:
        """Say to a person what is about to be done, such as "searching: rain in May"."""
        ...

    def run(self, arguments: A) -> Observation:
        """Do it; raises `ToolRefused` when the arguments name nothing that is there."""
        ...
