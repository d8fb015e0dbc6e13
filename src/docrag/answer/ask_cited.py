"""One call for a cited reply: streamed, read whatever its form, asked for again when it is empty."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from pydantic import BaseModel

from docrag.answer.plain_output import LinkPolicy
from docrag.answer.reply import CUT_OFF, CitedReply, read_cited
from docrag.answer.run import Run
from docrag.answer.sentence_stream import SentenceStream
from docrag.chat.ask import reading_again, repair
from docrag.chat.messages import Message
from docrag.chat.model import Request, Role
from docrag.chat.prompts import Prompt
from docrag.errors import ModelError, ModelFormatError


class Asked(NamedTuple):
    """A reply as it could be read, its raw text, whether it came to its end, and what was streamed of it."""

    reply: CitedReply
    text: str
    is_complete: bool
    stream: SentenceStream


def ask_cited(
    run: Run,
    messages: Sequence[Message],
    *,
    prompt: Prompt,
    role: Role = "answer",
    schema: type[BaseModel] = CitedReply,
    links: LinkPolicy = "remove",
    is_streamed: bool = True,
) -> Asked:
    """Ask for a reply that follows `schema`, which has at least the fields of `CitedReply`.

    Raises
    ------
    ModelFormatError
        Two replies had nothing in them.
    ModelError
        The model refused; or as `docrag.chat.model.Chat.complete`.
    BudgetExceeded, Cancelled
        As `Run.ask`.
    """
    stream = SentenceStream(run.say, links=links, marker=run.marker)
    request = Request(schema=_enforced(schema), schema_name=schema.__name__)
    streamed = Request(schema=request.schema, schema_name=request.schema_name, on_token=stream.feed)
    reply = run.ask(role, messages, prompt=prompt, request=streamed if is_streamed else request)
    if reply.finish == "refusal":
        raise ModelError(f"{reply.model or 'the model'} refused to answer: {reply.text[:200]!r}")
    try:
        read = read_cited(reply.text)
    except ModelFormatError as error:
        reply = run.ask(role, repair(messages, reply.text, error), prompt=prompt, request=request)
        with reading_again(run.chats.of(role).name):
            read = read_cited(reply.text)
    for note in read.notes:
        run.warn(note)
    is_complete = reply.finish != "length" and CUT_OFF not in read.notes
    if not is_complete:
        run.warn(CUT_OFF)
    return Asked(read.reply, reply.text, is_complete, stream)


@cache
def _enforced(schema: type[BaseModel]) -> dict[str, Any]:
    """JSON schema as written: every field is required, so that a server that enforces it leaves none out."""
    return schema.model_json_schema(mode="serialization")
