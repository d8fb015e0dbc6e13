"""Read OpenAI's chat completions: server-sent events, their pieces, errors, and replies that come whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.messages.ai import UsageMetadata

from docrag.errors import ModelError
from docrag.models.faults import TransientFault

DONE = "[DONE]"


class EventLines:
    """Splits a stream of bytes into the data of server-sent events.

    Bytes that are no UTF-8 become U+FFFD, and `n_replaced` counts the lines where that happened.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0
        self.n_replaced = 0

    def feed(self, piece: bytes) -> Iterator[str]:
        """Yield the data of every line that `piece` completes."""
        self._rest += piece
        start = 0
        while (end := self._rest.find(b"\n", max(start, self._searched))) >= 0:
            yield from self._data(bytes(self._rest[start:end]))
            start = end + 1
        del self._rest[:start]
        self._searched = len(self._rest)  # so that a long line that comes in pieces is searched once

    def end(self) -> Iterator[str]:
        """Yield the data of a last line that has no line break."""
        yield from self._data(bytes(self._rest))
        self._rest.clear()

    def _data(self, line: bytes) -> Iterator[str]:
        if not line.startswith(b"data:"):
            return  # comments that keep a connection alive, names of events, blank lines
        try:
            text = line[5:].decode("utf-8")
        except UnicodeDecodeError:
            self.n_replaced += 1
            text = line[5:].decode("utf-8", "replace")
        if text := text.strip():
            yield text


@dataclass(slots=True)
class Completion:
    """A reply as far as it has come.

    `finish_reason` stays empty until the server gives one; `n_reasoning_chars` counts what a model thought
    aloud in a field of its own, which is no part of the reply.
    """

    n_choices: int = 0
    n_chars: int = 0
    n_reasoning_chars: int = 0
    finish_reason: str = ""
    refusal: str = ""
    model: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict[str, Any])
    first_logprobs: Mapping[str, Any] | None = None
    tools: list[str] = field(default_factory=list[str])

    def take(self, body: object) -> str:
        """Take in a chunk, or a whole reply, and return its text.

        Raises `docrag.errors.ModelError` when it is not of the form that the interface has.
        """
        fields = _mapping(body, "the reply")
        self.model = str(fields.get("model") or self.model)
        if isinstance(fields.get("usage"), Mapping):
            self.usage = cast(Mapping[str, Any], fields["usage"])
        text = ""
        for entry in _sequence(fields.get("choices"), "choices"):
            choice = _mapping(entry, "a choice")
            if choice.get("index") not in (None, 0):
                continue
            self.n_choices += 1
            text += self._take_choice(choice)
        self.n_chars += len(text)
        return text

    def _take_choice(self, choice: Mapping[str, Any]) -> str:
        said = _mapping(choice.get("delta") or choice.get("message") or {}, "delta")
        if isinstance(choice.get("finish_reason"), str):
            self.finish_reason = choice["finish_reason"]
        if isinstance(said.get("refusal"), str):
            self.refusal += said["refusal"]
        thought = said.get("reasoning_content") or said.get("reasoning")
        if isinstance(thought, str):
            self.n_reasoning_chars += len(thought)
        for entry in _sequence(said.get("tool_calls"), "tool_calls"):
            function = entry.get("function") if isinstance(entry, Mapping) else None
            name = function.get("name") if isinstance(function, Mapping) else None
            if name:
                self.tools.append(str(name))
        if self.first_logprobs is None:
            self.first_logprobs = _first_entry(choice.get("logprobs"))
        return _text(said.get("content"))


def _first_entry(logprobs: object) -> Mapping[str, Any] | None:
    """The entry of the first token; None while there is none."""
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    first = content[0] if isinstance(content, list) and content else None
    return cast(Mapping[str, Any], first) if isinstance(first, Mapping) else None


def _text(content: object) -> str:
    """Text of a ``content``: a string, or parts of type text, as some vendors send it."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "".join(part for part in parts if isinstance(part, str))
    raise ModelError(f"content is a {type(content).__name__}, expected text")


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ModelError(f"{name} is a {type(value).__name__}, expected an object")
    return cast(Mapping[str, Any], value)


def _sequence(value: object, name: str) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ModelError(f"{name} is a {type(value).__name__}, expected a list")
    return cast(Sequence[Any], value)


def usage_of(completion: Completion) -> UsageMetadata | None:
    """The counts of a reply; None where the server gives none that can be read."""

    def count(value: object) -> int:
        return value if isinstance(value, int) and value >= 0 else 0

    usage = completion.usage
    n_input, n_output = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    if not (n_input or n_output):
        return None
    details = usage.get("prompt_tokens_details")
    n_cached = count(details.get("cached_tokens")) if isinstance(details, Mapping) else 0
    return UsageMetadata(
        input_tokens=n_input,
        output_tokens=n_output,
        total_tokens=n_input + n_output,
        input_token_details={"cache_read": n_cached},
    )


def load_event(data: str) -> object:
    """Return the JSON of an event; raises `TransientFault` when it is cut or mangled."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise TransientFault(f"an event of the stream is no JSON: {data[:80]!r}") from error


def error_in(body: object) -> tuple[int, str] | None:
    """Status and message of an error that came with status 200, as some servers send it mid-stream."""
    fields = cast(Mapping[str, Any], body) if isinstance(body, Mapping) else {}
    error = fields.get("error")
    if not error:
        return None
    code = str(error.get("code")) if isinstance(error, Mapping) else ""
    status = int(code) if re.fullmatch(r"[45]\d\d", code, re.ASCII) else 500
    return status, error_message(json.dumps(body))


def error_message(text: str) -> str:
    """The human part of an error's body: its message, the title of a page, or the text itself."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.DOTALL | re.IGNORECASE)
        if title is not None or text.lstrip()[:1] == "<":
            return f"(an HTML page{': ' + title[1].strip() if title else ''})"
        return text
    for _ in range(3):  # {"error": {"message": …}}, {"message": …}, {"detail": …}, {"error": "…"}
        if not isinstance(body, Mapping):
            break
        fields = cast(Mapping[str, Any], body)
        found = next((fields[key] for key in ("error", "message", "detail", "msg") if fields.get(key)), None)
        if found is None:
            break
        kinds = [str(fields[key]) for key in ("code", "type") if isinstance(fields.get(key), str)]
        body = found if not isinstance(found, str) or not kinds else f"{found} ({', '.join(kinds)})"
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
