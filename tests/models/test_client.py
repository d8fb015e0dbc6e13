"""The client over chat models of other packages: any langchain-core model, whatever it raises."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

from docrag.chat.messages import ImagePart, Message, assistant, system, user
from docrag.chat.model import Limits, Request
from docrag.errors import Cancelled, ContextOverflow, DocragError, ModelError, ModelUnavailable
from docrag.http.faults import without_keys
from docrag.models.client import ModelChat, cost_usd
from docrag.models.faults import ImagesRefused, fault_of, http_fault
from docrag.models.options import PriceOptions
from docrag.models.scripted import ScriptedChatModel

PICTURE = ImagePart(b"x", "image/png", 56, 56, label="E3")


class Foreign(BaseChatModel):
    """A model of another package: it knows nothing of deadlines, and cannot be interrupted."""

    chunks: list[Any] = Field(default_factory=list)
    error: Any = None
    pause_s: float = 0.0
    max_tokens: int | None = None
    seen: list[Any] = Field(default_factory=list)
    ended: Any = Field(default_factory=threading.Event)

    @property
    def _llm_type(self) -> str:
        return "foreign"

    def _generate(self, messages: list[Any], stop: Any = None, run_manager: Any = None, **more: Any) -> Any:
        raise NotImplementedError

    def _stream(
        self, messages: list[Any], stop: Any = None, run_manager: Any = None, **more: Any
    ) -> Iterator[ChatGenerationChunk]:
        self.seen.append((messages, more))
        try:
            for chunk in self.chunks:
                time.sleep(self.pause_s)
                message = chunk if isinstance(chunk, AIMessageChunk) else AIMessageChunk(content=chunk)
                yield ChatGenerationChunk(message=message)
            if self.error is not None:
                raise self.error
        finally:
            self.ended.set()


class Whole(BaseChatModel):
    """A model that cannot stream."""

    @property
    def _llm_type(self) -> str:
        return "whole"

    def _generate(self, messages: list[Any], stop: Any = None, run_manager: Any = None, **more: Any) -> Any:
        message = AIMessage("all at once", response_metadata={"stop_reason": "end_turn"})
        return ChatResult(generations=[ChatGeneration(message=message)])


def complete(model: BaseChatModel, *messages: Message, request: Request | None = None, **more: Any) -> Any:
    chat = ModelChat(model, name="foreign", pause=lambda _call, _seconds: None, **more)
    return chat.complete(messages or [user("?")], request or Request())


def test_a_model_of_another_package_streams():
    heard: list[str] = []
    reply = complete(Foreign(chunks=["a", "", "bc"]), request=Request(on_token=heard.append))
    assert (reply.text, reply.finish, reply.model) == ("abc", "stop", "foreign")
    assert heard == ["a", "bc"]


def test_a_model_that_cannot_stream_replies_whole():
    assert complete(Whole()).text == "all at once"


def test_messages_arrive_as_langchain_has_them():
    model = Foreign(chunks=["x"])
    complete(model, system("s"), user("a", PICTURE, "b"), assistant("c"), user("d", "e"))
    ((messages, _),) = model.seen
    assert [message.type for message in messages] == ["system", "human", "ai", "human"]
    assert messages[1].content == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}},
        {"type": "text", "text": "b"},
    ]
    assert [messages[i].content for i in (0, 2, 3)] == ["s", "c", "d\ne"]


def test_the_length_of_a_reply_is_asked_for_unless_the_model_has_its_own():
    free, own = Foreign(chunks=["x"]), Foreign(chunks=["x"], max_tokens=7)
    for model in (free, own):
        complete(model, request=Request(max_output_tokens=99))
    assert free.seen[0][1] == {"max_tokens": 99}
    assert own.seen[0][1] == {}


@pytest.mark.parametrize(
    ("metadata", "finish"),
    [
        ({"finish_reason": "length"}, "length"),
        ({"finish_reason": "MAX_TOKENS"}, "length"),
        ({"stop_reason": "max_tokens"}, "length"),
        ({"stop_reason": "end_turn"}, "stop"),
        ({"done_reason": "stop"}, "stop"),
        ({"finish_reason": "content_filter"}, "refusal"),
        ({"finish_reason": "SAFETY"}, "refusal"),
        ({"stop_reason": "refusal"}, "refusal"),
        ({}, "stop"),
    ],
)
def test_the_end_of_a_reply_is_told_in_three_words(metadata: dict[str, str], finish: str):
    last = AIMessageChunk(content="", response_metadata=metadata)
    assert complete(Foreign(chunks=["x", last])).finish == finish


def test_a_refusal_in_a_field_of_its_own_is_the_reply():
    last = AIMessageChunk(content="", additional_kwargs={"refusal": "I will not."})
    reply = complete(Foreign(chunks=[last]))
    assert (reply.text, reply.finish) == ("I will not.", "refusal")


def test_usage_is_taken_once_and_priced():
    usage = {"input_tokens": 1000, "output_tokens": 50, "total_tokens": 1050}
    cached = usage | {"input_token_details": {"cache_read": 400}}
    chunks = [
        AIMessageChunk(content="a", usage_metadata=usage | {"output_tokens": 1}),
        AIMessageChunk(content="b", usage_metadata=cached),
    ]
    price = PriceOptions(input_usd=2.0, output_usd=8.0, cached_input_usd=0.5)
    spent = complete(Foreign(chunks=chunks), price=price).usage
    assert (spent.n_input_tokens, spent.n_cached_tokens, spent.n_output_tokens) == (1000, 400, 50)
    assert spent.cost_usd == pytest.approx((600 * 2 + 400 * 0.5 + 50 * 8) / 1e6)
    assert complete(Foreign(chunks=chunks)).usage.cost_usd is None


def test_cached_tokens_cost_as_much_as_others_unless_a_price_is_given():
    price = PriceOptions(input_usd=3, output_usd=9)
    assert cost_usd(price, n_input=10, n_cached=4, n_output=2) == pytest.approx((30 + 18) / 1e6)


def test_a_model_that_hangs_is_left_at_the_deadline():
    model = Foreign(chunks=["a", "b", "c"], pause_s=0.5)
    start_s = time.monotonic()
    with pytest.raises(ModelUnavailable, match=r"foreign: no complete reply within 0\.2 s, 1 try"):
        complete(model, request=Request(timeout_s=0.2))
    assert time.monotonic() - start_s < 0.45
    assert model.ended.wait(5)  # it notices at its next piece


def test_the_timeout_of_the_configuration_holds_without_one_in_the_request():
    with pytest.raises(ModelUnavailable, match=r"within 0\.1 s"):
        complete(Foreign(chunks=["a"], pause_s=0.5), timeout_s=0.1)
    with pytest.raises(ModelUnavailable, match=r"within 0\.1 s"):
        complete(Foreign(chunks=["a"], pause_s=0.5), timeout_s=60, request=Request(timeout_s=0.1))


def test_cancelling_ends_the_wait():
    heard = threading.Event()
    model = Foreign(chunks=["a"] * 1000, pause_s=0.01)
    with pytest.raises(Cancelled):
        complete(model, request=Request(cancelled=heard.is_set, on_token=lambda _: heard.set()))
    assert model.ended.wait(5)


def test_a_call_that_is_cancelled_before_it_begins_asks_nobody():
    model = ScriptedChatModel(replies=["x"])
    with pytest.raises(Cancelled):
        complete(model, request=Request(cancelled=lambda: True))
    assert model.asked == []


class ApiStatusError(Exception):
    """As the packages of OpenAI and Anthropic raise it."""

    def __init__(self, message: str, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


class ApiTimeoutError(Exception):
    pass


class ApiConnectionError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "kind", "n_tries"),
    [
        (ApiStatusError("rate limited", 429), ModelUnavailable, 3),
        (ApiStatusError("overloaded", 529), ModelUnavailable, 3),
        (ApiStatusError("bad key", 401), ModelError, 1),
        (ApiStatusError("maximum context length is 8192", 400), ContextOverflow, 1),
        (ApiTimeoutError("slow"), ModelUnavailable, 3),
        (ApiConnectionError("refused"), ModelUnavailable, 3),
        (ConnectionResetError("reset"), ModelUnavailable, 3),
        (TimeoutError(), ModelUnavailable, 3),
        (ValueError("prompt is too long: 9000 tokens"), ContextOverflow, 1),
        (KeyError("choices"), ModelError, 1),
        (RuntimeError("CUDA"), ModelError, 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_whatever_a_model_raises_becomes_an_error_of_docrag(
    error: Exception, kind: type[DocragError], n_tries: int
):
    model = Foreign(chunks=["a"], error=error)
    with pytest.raises(kind) as caught:
        complete(model)
    assert isinstance(caught.value, ModelUnavailable) == (kind is ModelUnavailable)
    assert caught.value.__cause__ is not None
    assert "foreign" in str(caught.value)
    assert len(model.seen) == n_tries


def test_the_number_of_tries_is_configured():
    model = Foreign(error=TimeoutError())
    with pytest.raises(ModelUnavailable, match="gave up after 1 try"):
        complete(model, max_tries=1)
    assert len(model.seen) == 1
    for wrong in (0, 4):
        with pytest.raises(ValueError, match="max_tries"):
            ModelChat(model, max_tries=wrong)


def test_an_error_of_a_cause_counts():
    error = RuntimeError("request failed")
    error.__cause__ = ApiStatusError("busy", 503)
    assert isinstance(fault_of(error, where="m"), ModelUnavailable)


def test_pictures_refused_by_another_package_are_left_out():
    class TextOnly(Foreign):
        def _stream(self, messages: list[Any], *args: Any, **more: Any) -> Iterator[ChatGenerationChunk]:
            if isinstance(messages[0].content, list):
                raise ApiStatusError("image_url is only supported by certain models", 400)
            yield from super()._stream(messages, *args, **more)

    reply = complete(TextOnly(chunks=["from text"]), user("page", PICTURE), max_tries=1)
    assert reply.text == "from text"
    assert reply.notes == ("foreign takes no pictures: 1 left out, only their text was sent",)


@pytest.mark.parametrize(
    ("status", "message", "is_refusal"),
    [
        (400, "tiny is not a multimodal model", True),
        (400, "At most 0 image(s) may be provided in one prompt.", True),
        (400, "Invalid content type. image_url is only supported by certain models.", True),
        (500, "image input is not supported - hint: you may need to provide the mmproj", True),
        (422, "messages[0]: unknown variant `image_url`, expected `text`", True),
        (400, "'messages.0' : content must be a string", True),
        (422, "[{'loc': ['body', 'messages', 0, 'content'], 'msg': 'Input should be a valid string'}]", True),
        (404, "No endpoints found that support image input", True),
        (400, "Image input modality is not enabled for models/small", True),
        (400, "This model does not support image inputs.", True),
        (400, "The model doesn't support vision", True),
        (400, "cannot identify image file", False),
        (400, "Unsupported image format: image/webp", False),
        (400, "image format is not supported", False),
        (400, "the image is too large: 20000 x 20000 pixels", False),
        (500, "worker died while preprocessing an image", False),
        (404, "The model `vision-large` does not exist", False),
        (401, "this key does not support image models", False),
        (503, "image workers are not allowed to start yet", False),
    ],
)
def test_a_refusal_of_pictures_is_told_from_a_picture_that_is_broken(
    status: int, message: str, is_refusal: bool
):
    fault = http_fault(status, message, where="m", n_images=1)
    assert isinstance(fault, ImagesRefused) == is_refusal
    assert not isinstance(http_fault(status, message, where="m"), ImagesRefused)


def test_a_model_without_pictures_refuses_once_and_not_for_ever():
    refused = ImagesRefused("no")
    model = ScriptedChatModel(replies=[refused, refused, refused])
    with pytest.raises(ImagesRefused):
        complete(model, user("x", PICTURE))
    assert [asked.n_images for asked in model.asked] == [1, 0]


def test_a_text_only_model_that_is_configured_so_gets_no_pictures():
    model = ScriptedChatModel(replies=["x"])
    reply = complete(model, user("a", PICTURE), limits=Limits(max_images=0))
    assert model.asked[0].n_images == 0
    assert "1 left out" in reply.notes[0]
    assert reply.usage.n_images == 0


def test_keys_in_messages_of_other_packages_are_masked():
    text = without_keys("Incorrect API key provided: sk-proj-abcdef123456. See Bearer abcdefgh1234")
    assert "abcdef" not in text
    assert without_keys("the task-list of key results") == "the task-list of key results"


def test_calls_of_several_threads_do_not_mix():
    chat = ModelChat(ScriptedChatModel(replies=[lambda asked: asked.last] * 40, chunk_chars=1), name="echo")
    found: dict[int, str] = {}

    def ask(i: int) -> None:
        found[i] = chat.complete([user(f"number {i}")], Request()).text

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: f"number {i}" for i in range(40)}
