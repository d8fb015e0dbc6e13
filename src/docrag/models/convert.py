"""Messages to langchain-core's, and its chunks to a reply; equal messages give equal bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage

from docrag.chat.messages import ImagePart, Message, TextPart
from docrag.chat.model import Finish
from docrag.models.thoughts import ThoughtFilter, without_thoughts

_FINISH: Mapping[str, Finish] = {
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "refusal",
    "refusal": "refusal",
    "safety": "refusal",
    "prohibited_content": "refusal",
}
"""What vendors call the end of a reply; everything else is "stop"."""


def to_langchain(messages: Sequence[Message]) -> list[BaseMessage]:
    """Return the conversation as langchain-core messages.

    A message without pictures has a plain string, which text-only servers take, too. Pictures are
    ``image_url`` blocks with data URLs, the one form that every LangChain chat model reads.
    """
    return [_to_langchain(message) for message in messages]


def _to_langchain(message: Message) -> BaseMessage:
    match message.speaker:
        case "system":
            return SystemMessage(_content(message))
        case "assistant":
            return AIMessage(_content(message))
        case "user":
            return HumanMessage(_content(message))


def _content(message: Message) -> Any:  # noqa: ANN401 (a string or blocks, as langchain-core declares it)
    if not message.images:
        return message.text
    blocks: list[dict[str, Any]] = []
    for part in message.parts:
        match part:
            case TextPart(text):
                blocks.append({"type": "text", "text": text})
            case ImagePart():
                blocks.append({"type": "image_url", "image_url": {"url": part.data_url}})
    return blocks


def without_images(messages: Sequence[Message]) -> list[Message]:
    """Return the conversation with a line in the place of every picture."""
    return [
        Message(
            message.speaker,
            tuple(
                TextPart(f"[picture {part.label} left out]".replace("  ", " "))
                if isinstance(part, ImagePart)
                else part
                for part in message.parts
            ),
        )
        for message in messages
    ]


@dataclass(slots=True)
class Received:
    """What has come of a reply so far."""

    pieces: list[str] = field(default_factory=list[str])
    finish: Finish = "stop"
    model: str = ""
    n_input_tokens: int = 0
    n_output_tokens: int = 0
    n_cached_tokens: int = 0
    first_logprobs: Mapping[str, float] | None = None
    notes: list[str] = field(default_factory=list[str])
    _thoughts: ThoughtFilter = field(default_factory=ThoughtFilter)

    @property
    def text(self) -> str:
        """The whole text, without what the model thought aloud before it."""
        return without_thoughts("".join(self.pieces))

    def add(self, chunk: AIMessageChunk | AIMessage) -> str:
        """Take in the next chunk and return what of the text can be shown now."""
        piece = str(chunk.text)
        refusal = chunk.additional_kwargs.get("refusal")
        if isinstance(refusal, str) and refusal:
            self.finish = "refusal"
            piece += refusal
        if piece:
            self.pieces.append(piece)
        usage = chunk.usage_metadata
        if usage is not None:
            # Some vendors send running totals with every chunk, some one count at the end.
            self.n_input_tokens = max(self.n_input_tokens, usage["input_tokens"])
            self.n_output_tokens = max(self.n_output_tokens, usage["output_tokens"])
            details = cast(Mapping[str, Any], usage.get("input_token_details") or {})
            self.n_cached_tokens = max(self.n_cached_tokens, int(details.get("cache_read") or 0))
        self._read_metadata(chunk.response_metadata)
        shown = self._thoughts.feed(piece) if piece else ""
        return shown + self._thoughts.end() if getattr(chunk, "chunk_position", "last") == "last" else shown

    def _read_metadata(self, metadata: Mapping[str, Any]) -> None:
        reason = metadata.get("finish_reason") or metadata.get("stop_reason") or metadata.get("done_reason")
        if isinstance(reason, str) and self.finish == "stop":
            self.finish = _FINISH.get(reason.lower(), "stop")
        model = metadata.get("model_name") or metadata.get("model")
        if isinstance(model, str):
            self.model = model
        if self.first_logprobs is None:
            self.first_logprobs = _first_logprobs(metadata.get("logprobs"))
        for note in metadata.get("notes") or ():
            self.notes.append(str(note))


def _first_logprobs(logprobs: object) -> Mapping[str, float] | None:
    """The likeliest first tokens of OpenAI's ``logprobs``; None when it is not of that form."""
    try:
        first: Any = cast(Any, logprobs)["content"][0]
        listed: list[Any] = first.get("top_logprobs") or [first]
        found: dict[str, float] = {}
        for entry in listed:  # tokens that are no whole characters may look alike: the likeliest counts
            token, logprob = str(entry["token"]), float(entry["logprob"])
            found[token] = max(logprob, found.get(token, logprob))
        return found
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None
