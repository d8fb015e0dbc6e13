"""One question to a model outside an answerer's run: structured reply, one repair, and what it cost."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel

from docrag.chat.json_reply import parse_reply
from docrag.chat.messages import Message, assistant, system, user
from docrag.chat.model import CallUsage, Chat, Request
from docrag.chat.prompts import Rendered
from docrag.errors import ModelFormatError

T = TypeVar("T", bound=BaseModel)

KEPT_OF_BAD_REPLY = 4_000
"""Characters of a faulty reply that are shown to the model again."""


def as_messages(prompt: Rendered) -> list[Message]:
    """Return a rendered prompt as the opening of a conversation."""
    opening = [system(prompt.system)] if prompt.system else []
    return [*opening, user(prompt.user)]


def repair(messages: Sequence[Message], reply: str, error: ModelFormatError) -> list[Message]:
    """Return the conversation that asks once more for a reply in the right format."""
    return [
        *messages,
        assistant(reply[:KEPT_OF_BAD_REPLY]),
        user(f"That reply cannot be used: {error}. Reply again with one JSON object, nothing else."),
    ]


@contextmanager
def reading_again(model: str) -> Generator[None]:
    """Read the second reply of `model`; that it cannot be used either is an error that says whose it is."""
    try:
        yield
    except ModelFormatError as error:
        raise ModelFormatError(f"{model}: neither of two replies can be used; the last: {error}") from error


def ask_for(
    chat: Chat, messages: Sequence[Message], schema: type[T], *, request: Request | None = None
) -> tuple[T, tuple[CallUsage, ...]]:
    """Return a reply that follows `schema`, and the cost of the one or two calls it took.

    Raises
    ------
    ModelFormatError
        The second reply does not follow the schema either.
    ModelError, Cancelled
        As `docrag.chat.model.Chat.complete`.
    """
    asked = replace(
        request if request is not None else Request(),
        schema=schema.model_json_schema(),
        schema_name=schema.__name__,
    )
    reply = chat.complete(messages, asked)
    try:
        return parse_reply(reply.text, schema), (reply.usage,)
    except ModelFormatError as error:
        again = chat.complete(repair(messages, reply.text, error), asked)
    with reading_again(chat.name):
        return parse_reply(again.text, schema), (reply.usage, again.usage)
