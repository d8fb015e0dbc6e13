"""A chat model behind an OpenAI-compatible ``/chat/completions`` endpoint: vLLM, llama.cpp, any vendor."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from langchain_core.messages import AIMessageChunk, BaseMessage
from pydantic import Field, PrivateAttr

from docrag.errors import ModelError
from docrag.http.faults import redirect_of, retry_after_s
from docrag.http.secrets import headers_of, mask_of
from docrag.models.bounded import BoundedChatModel
from docrag.models.call import Call, DeadlinePassed
from docrag.models.completions import (
    DONE,
    Completion,
    EventLines,
    error_in,
    error_message,
    load_event,
    usage_of,
)
from docrag.models.faults import FeatureRefused, TransientFault, http_fault
from docrag.models.options import OpenAiCompatibleOptions
from docrag.models.transport import Endpoint, Head

_ERROR_BYTES = 64 * 1024
"""How much of an error's body is read."""

_FEATURES: Mapping[str, re.Pattern[str]] = {
    "response_format": re.compile(r"response_format|json_schema|guided|structured.output|grammar", re.I),
    "stream_options": re.compile(r"stream_options|include_usage", re.I),
    "logprobs": re.compile(r"logprobs", re.I),
    "max_tokens": re.compile(r"max_completion_tokens", re.I),
    "temperature": re.compile(r"temperature", re.I),
    "seed": re.compile(r"\bseed\b", re.I),
}
"""Parts of a request that a server may not know, and how its refusal speaks of them."""

_UNNAMED = frozenset({"response_format", "stream_options", "logprobs"})
"""What is left out together when a server refuses a request and does not say why."""

_NOTES: Mapping[str, str] = {
    "response_format": "does not take JSON schemas: the format was asked for in words only",
    "logprobs": "does not give log-probabilities",
    "temperature": "does not take a temperature: answers may differ from run to run",
    "seed": "does not take a seed: answers may differ from run to run",
}


class OpenAiCompatibleChatModel(BoundedChatModel):
    """One request per call, streamed; `docrag.models.client.ModelChat` repeats it where that helps.

    A part of the request that the server refuses (the JSON schema, log-probabilities, usage in streams, …)
    raises `FeatureRefused` once and is left out from then on. Pictures are sent as data URLs only. The key
    stands in no message, representation or log.
    """

    options: OpenAiCompatibleOptions = Field(exclude=True)
    _endpoint: Endpoint = PrivateAttr()
    _mask: Callable[[str], str] = PrivateAttr()
    _refused: frozenset[str] = PrivateAttr(default=frozenset())
    _suspected: frozenset[str] = PrivateAttr(default=frozenset())
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 (pydantic's signature)
        """Read the key and prepare the connection; nothing is sent yet."""
        super().model_post_init(context)
        options = self.options
        headers = headers_of(options)
        self._mask = mask_of(options, headers)
        self._endpoint = Endpoint(
            options,
            "/chat/completions",
            headers={"content-type": "application/json", **headers},
            where=self._where,
        )

    @property
    def _llm_type(self) -> str:
        return "docrag-openai-compatible"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.options.model, "base_url": self.options.base_url}

    @property
    def _where(self) -> str:
        return f"model {self.options.model} at {self.options.base_url}"

    def close(self) -> None:
        """Close the connections and end what runs on them."""
        self._endpoint.close()

    def stream_call(
        self, messages: list[BaseMessage], call: Call, stop: list[str] | None
    ) -> Iterator[AIMessageChunk]:
        """Make one request and yield its reply; see `ModelChat.complete` for the errors."""
        if call.deadline is None:
            timeout_s = self.options.timeout_s
            call = replace(call, deadline=time.monotonic() + timeout_s, timeout_s=timeout_s)
        request = self._request(messages, call, stop)
        body = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        completion, lines = Completion(), EventLines()
        with self._named(), closing(self._endpoint.post(body, call)) as parts:
            head = cast(Head, next(parts))
            pieces = cast(Generator[bytes], parts)
            if head.status != 200:
                raise self._refusal(head, pieces, request)
            try:
                for text in self._texts(head, pieces, lines, completion):
                    if text:
                        yield AIMessageChunk(content=text)
            except TransientFault as fault:
                raise TransientFault(f"{self._where}: {self._mask(str(fault))}") from fault
        self._confirm()
        if completion.refusal:
            yield AIMessageChunk(content=completion.refusal)
        yield self._last_chunk(completion, lines, request, call)

    @contextmanager
    def _named(self) -> Generator[None]:
        """Name the server in what is said at the deadline."""
        try:
            yield
        except DeadlinePassed as error:
            raise DeadlinePassed(f"{self.options.base_url}: {error}") from error

    # ── the request ──────────────────────────────────────────────────────────────────────────────────

    def _request(self, messages: list[BaseMessage], call: Call, stop: list[str] | None) -> dict[str, Any]:
        """The body: what stays the same in a loop comes first, and equal messages give equal bytes."""
        options, left_out = self.options, self._refused | self._suspected
        body: dict[str, Any] = {
            "model": options.model,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if options.temperature is not None:
            body["temperature"] = options.temperature
        if options.seed is not None:
            body["seed"] = options.seed
        if call.max_output_tokens is not None:
            name = "max_completion_tokens" if "max_tokens" in left_out else "max_tokens"
            body[name] = call.max_output_tokens
        if stop:
            body["stop"] = stop
        if call.n_logprobs:
            body |= {"logprobs": True, "top_logprobs": call.n_logprobs}
        if call.schema is not None and options.structured:
            name = re.sub(r"[^\w-]", "_", call.schema_name, flags=re.ASCII)[:64] or "reply"
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": name, "schema": call.schema},
            }
        for name in left_out:
            body.pop(name, None)
        if "logprobs" in left_out:
            body.pop("top_logprobs", None)
        return body | dict(options.extra_body) | {"messages": [_message(message) for message in messages]}

    # ── the reply ────────────────────────────────────────────────────────────────────────────────────

    def _texts(
        self, head: Head, pieces: Iterator[bytes], lines: EventLines, completion: Completion
    ) -> Iterator[str]:
        """Yield the texts of the reply; raises when it is none, or has no end."""
        content_type = head.headers.get("content-type", "").lower()
        if "html" in content_type:
            page = error_message(_read(pieces, _ERROR_BYTES))
            raise ModelError(f"{self._where}: answered with {page}, no reply; check base_url")
        if "json" in content_type:  # a server that does not stream
            yield self._take(completion, load_event(_read(pieces, None)))
            is_done = True
        else:
            is_done = False
            for data in _events(pieces, lines):
                if data == DONE:
                    is_done = True
                    break
                yield self._take(completion, load_event(data))
        if not completion.n_choices:
            raise TransientFault("the reply has no choices")
        if not (is_done or completion.finish_reason):
            raise TransientFault(f"the reply broke off after {completion.n_chars} characters")

    def _take(self, completion: Completion, body: object) -> str:
        error = error_in(body)
        if error is not None:
            raise http_fault(error[0], self._mask(error[1]), where=self._where)
        try:
            return completion.take(body)
        except ModelError as wrong:
            raise ModelError(f"{self._where}: not a reply of this interface: {wrong}") from wrong

    def _last_chunk(
        self, completion: Completion, lines: EventLines, request: Mapping[str, Any], call: Call
    ) -> AIMessageChunk:
        options = self.options
        asked = {
            "response_format": call.schema is not None and options.structured,
            "logprobs": call.n_logprobs > 0,
            "temperature": options.temperature is not None,
            "seed": options.seed is not None,
        }
        notes = [
            f"{options.model} {_NOTES[name]}"
            for name, is_asked in asked.items()
            if is_asked and name not in request
        ]
        if completion.tools:
            notes.append(
                f"{self.options.model} called the tool {completion.tools[0]}, which it was not offered"
            )
        if lines.n_replaced:
            notes.append(f"the reply of {self.options.model} held bytes that are no UTF-8")
        if completion.n_reasoning_chars and not completion.n_chars:
            notes.append(f"{self.options.model} only thought and said nothing; raise max_output_tokens")
        metadata: dict[str, Any] = {
            "finish_reason": "refusal" if completion.refusal else completion.finish_reason or "stop",
            "model_name": completion.model or self.options.model,
        }
        if notes:
            metadata["notes"] = notes
        if completion.first_logprobs is not None:
            metadata["logprobs"] = {"content": [completion.first_logprobs]}
        return AIMessageChunk(
            content="",
            response_metadata=metadata,
            usage_metadata=usage_of(completion),
            chunk_position="last",
        )

    # ── refusals ─────────────────────────────────────────────────────────────────────────────────────

    def _refusal(self, head: Head, pieces: Iterator[bytes], request: Mapping[str, Any]) -> ModelError:
        said = error_message(_read(pieces, _ERROR_BYTES))
        if 300 <= head.status < 400:
            said = redirect_of(head.headers)
        detail = self._mask(said)[:2000]
        n_images = json.dumps(request["messages"]).count('{"type": "image_url"')
        fault = http_fault(
            head.status,
            detail,
            where=self._where,
            n_images=n_images,
            retry_after_s=retry_after_s(head.headers, now=datetime.now(UTC)),
        )
        if head.status in (400, 422, 500, 501) and type(fault) in (ModelError, TransientFault):
            features = self._refused_features(head.status, detail, request)
            if features:
                return FeatureRefused(f"{fault}; it may take it without {', '.join(sorted(features))}")
        return fault

    def _refused_features(self, status: int, detail: str, request: Mapping[str, Any]) -> frozenset[str]:
        """Note which parts of the request to leave out next time, and return them."""
        sent = _FEATURES.keys() & request.keys()
        named = frozenset(name for name in sent if _FEATURES[name].search(detail))
        with self._lock:
            if named:
                self._refused |= named
                return named
            if self._suspected or status >= 500:
                self._suspected = frozenset()  # it was something else
                return frozenset()
            self._suspected = frozenset(sent & _UNNAMED)
            return self._suspected

    def _confirm(self) -> None:
        """A reply came: what was left out on suspicion stays left out."""
        with self._lock:
            self._refused |= self._suspected
            self._suspected = frozenset()


def _message(message: BaseMessage) -> dict[str, Any]:
    """A langchain-core message as the interface has it; raises ModelError for what it has no form for."""
    role = {"system": "system", "human": "user", "ai": "assistant"}.get(message.type)
    if role is None:
        raise ModelError(f"a message of type {message.type} cannot be sent; expected system, human or ai")
    content: Any = message.content
    if isinstance(content, list):
        content = [_block(block) for block in cast(list[Any], content)]
    return {"role": role, "content": content}


def _block(block: Any) -> dict[str, Any]:  # noqa: ANN401 (whatever a message holds)
    if isinstance(block, str):
        return {"type": "text", "text": block}
    match block:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "image", "base64": str(data), "mime_type": str(media_type)}:
            return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}
        case {"type": "image_url", "image_url": {"url": str(url)}} if url.startswith("data:image/"):
            return {"type": "image_url", "image_url": {"url": url}}
        case _:
            raise ModelError(
                "a message holds something else than text and pictures as data URLs; links are never sent"
            )


def _events(pieces: Iterator[bytes], lines: EventLines) -> Iterator[str]:
    for piece in pieces:
        yield from lines.feed(piece)
    yield from lines.end()


def _read(pieces: Iterator[bytes], n_bytes: int | None) -> str:
    """Return the body, or as much of it as is wanted."""
    found = bytearray()
    for piece in pieces:
        found += piece
        if n_bytes is not None and len(found) >= n_bytes:
            break
    return found.decode("utf-8", "replace")
