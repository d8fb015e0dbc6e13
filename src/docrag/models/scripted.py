"""A chat model that says what it was told to say, and remembers what it was asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from pydantic import Field, PrivateAttr

from docrag.errors import ModelError
from docrag.models.bounded import BoundedChatModel
from docrag.models.call import Call
from docrag.models.text_tokens import estimate_tokens


@dataclass(frozen=True, slots=True)
class ScriptedReply:
    """A reply with more than its text. `first_logprobs` maps tokens to natural log-probabilities."""

    text: str
    finish: str = "stop"
    first_logprobs: Mapping[str, float] | None = None
    n_cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """One call as the model saw it."""

    messages: tuple[BaseMessage, ...]
    call: Call

    @property
    def text(self) -> str:
        """The whole conversation: every message's text after its speaker, a blank line between two."""
        return "\n\n".join(f"{message.type}: {message.text}" for message in self.messages)

    @property
    def last(self) -> str:
        """Text of the last message."""
        return str(self.messages[-1].text)

    @property
    def image_urls(self) -> list[str]:
        """Data URLs of all pictures, in order."""
        blocks = [b for m in self.messages if isinstance(m.content, list) for b in m.content]
        return [
            str(block["image_url"]["url"])
            for block in blocks
            if isinstance(block, dict) and block.get("type") == "image_url"
        ]

    @property
    def n_images(self) -> int:
        """Number of pictures."""
        return len(self.image_urls)


Script = str | ScriptedReply | Exception | Callable[[Asked], "str | ScriptedReply"]
"""A reply, an error to raise, or a function that makes the reply."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`reply` to every conversation that the regular expression `when` is found in, line breaks included."""

    when: str
    reply: Script

    def matches(self, asked: Asked) -> bool:
        """Whether the rule applies."""
        return re.search(self.when, asked.text, re.DOTALL) is not None


class ScriptedChatModel(BoundedChatModel):
    """Replies by the first of `rules` that matches; where none does, by the next of `replies`.

    Safe to use from several threads. When `replies` are used up the next call raises
    `docrag.errors.ModelError`, or with `repeat_last` gets the last one again.

    Attributes
    ----------
    asked
        Every call, in order, failed ones included.
    chunk_chars
        Length of the pieces that a reply is streamed in; 0 streams it whole.
    count_tokens
        Tokens of a text; its count goes into the usage.

    Examples
    --------
    >>> model = ScriptedChatModel(replies=["Paris"])
    >>> str(model.invoke("The capital of France?").text)
    'Paris'
    >>> model.asked[0].last
    'The capital of France?'
    """

    replies: Sequence[Any] = ()
    rules: Sequence[Rule] = ()
    repeat_last: bool = False
    chunk_chars: int = 0
    count_tokens: Callable[[str], int] = Field(default=estimate_tokens, exclude=True)
    asked: list[Asked] = Field(default_factory=list[Asked], exclude=True)
    _n_used: int = PrivateAttr(default=0)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def _llm_type(self) -> str:
        return "docrag-scripted"

    def stream_call(
        self,
        messages: list[BaseMessage],
        call: Call,
        stop: list[str] | None,
    ) -> Iterator[AIMessageChunk]:
        """Yield the scripted reply in pieces."""
        call.check()
        asked = Asked(tuple(messages), call)
        script = self._next(asked)
        if isinstance(script, Exception):
            raise script
        said = script(asked) if callable(script) else script
        reply = said if isinstance(said, ScriptedReply) else ScriptedReply(said)
        size = self.chunk_chars or max(1, len(reply.text))
        for start in range(0, len(reply.text), size):
            call.check()
            yield AIMessageChunk(content=reply.text[start : start + size])
        yield self._last_chunk(asked, reply)

    def _next(self, asked: Asked) -> Script:
        with self._lock:
            self.asked.append(asked)
            for rule in self.rules:
                if rule.matches(asked):
                    return rule.reply
            if not self.replies or (self._n_used >= len(self.replies) and not self.repeat_last):
                raise ModelError(
                    f"the scripted model has no reply left for call {len(self.asked)}:"
                    f" {len(self.rules)} rules do not match and all {len(self.replies)} replies are used;"
                    f" the question was: {asked.last[:200]!r}"
                )
            position = min(self._n_used, len(self.replies) - 1)
            self._n_used += 1
            return cast(Script, self.replies[position])

    def _last_chunk(self, asked: Asked, reply: ScriptedReply) -> AIMessageChunk:
        metadata: dict[str, Any] = {"finish_reason": reply.finish, "model_name": "scripted"}
        if reply.first_logprobs is not None and asked.call.n_logprobs:
            likeliest = sorted(reply.first_logprobs.items(), key=lambda item: -item[1])
            top = [{"token": t, "logprob": p} for t, p in likeliest[: asked.call.n_logprobs]]
            metadata["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        n_input = sum(self.count_tokens(str(message.text)) for message in asked.messages)
        n_output = self.count_tokens(reply.text)
        usage = UsageMetadata(
            input_tokens=n_input,
            output_tokens=n_output,
            total_tokens=n_input + n_output,
            input_token_details={"cache_read": reply.n_cached_tokens},
        )
        return AIMessageChunk(
            content="", response_metadata=metadata, usage_metadata=usage, chunk_position="last"
        )
