"""The endpoint's client against a server on this machine."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from tests.models.fault_server import Exchange, FaultServer, chunk, say, whole

from docrag.chat.messages import ImagePart, assistant, system, user
from docrag.chat.model import Request
from docrag.errors import Cancelled, ContextOverflow, ModelError, ModelUnavailable
from docrag.http.faults import retry_after_s
from docrag.models.build import build_chat
from docrag.models.options import OpenAiCompatibleOptions

pytestmark = pytest.mark.loopback

KEY = "canary-key-7431"
PICTURE = ImagePart(b"\x89PNG", "image/png", 40, 30, label="E1")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
Make = Callable[..., Any]


def refuse(status: int, message: str) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.send(status, {"error": {"message": message}})


def test_a_conversation_is_sent_as_the_interface_has_it(make_chat: Make, server: FaultServer):
    reply = make_chat().complete(
        [system("be brief"), user("look", PICTURE), assistant("hm"), user("a", "b")],
        Request(max_output_tokens=50),
    )
    assert (reply.text, reply.finish, reply.model, reply.notes) == ("fine", "stop", "served", ())
    assert (reply.usage.n_input_tokens, reply.usage.n_output_tokens, reply.usage.n_images) == (11, 3, 1)
    assert server.requests == [
        {
            "model": "tiny",
            "messages": [
                {"role": "system", "content": "be brief"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "look"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
                    ],
                },
                {"role": "assistant", "content": "hm"},
                {"role": "user", "content": "a\nb"},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.0,
            "max_tokens": 50,
        }
    ]
    assert "authorization" not in server.headers[0]


def test_options_reach_the_request(make_chat: Make, server: FaultServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_KEY", KEY)
    chat = make_chat(
        api_key_env="MY_KEY", headers={"x-team": "papers"}, temperature=None, seed=3,
        extra_body={"chat_template_kwargs": {"enable_thinking": False}},
    )  # fmt: skip
    chat.complete([user("?")], Request())
    (body,) = server.requests
    assert "temperature" not in body
    assert body["seed"] == 3
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert server.headers[0]["x-team"] == "papers"


def test_tokens_are_heard_as_they_come(make_chat: Make, server: FaultServer):
    text = "Grüße aus 東京 🗼."
    server.reset(lambda exchange: exchange.stream(text, n_chars=2))
    heard: list[str] = []
    reply = make_chat().complete([user("?")], Request(on_token=heard.append))
    assert reply.text == text
    assert heard == [text[i : i + 2] for i in range(0, len(text), 2)]


def test_characters_and_events_may_be_cut_anywhere(make_chat: Make, server: FaultServer):
    def byte_by_byte(exchange: Exchange) -> None:
        exchange.open_stream()
        events = b": ping\r\n\r\nevent: x\r\n"
        for piece in ("é", "€", "🗼"):
            events += (
                b"data:" + json.dumps(chunk({"content": piece}), ensure_ascii=False).encode() + b"\r\n\r\n"
            )
        events += b"data: [DONE]"  # no line break at the end
        for i in range(len(events)):
            exchange.raw(events[i : i + 1])

    server.reset(byte_by_byte)
    assert make_chat().complete([user("?")], Request()).text == "é€🗼"


def test_a_schema_is_sent_and_its_name_made_fit(make_chat: Make, server: FaultServer):
    make_chat().complete([user("?")], Request(schema=SCHEMA, schema_name="Next step!"))
    assert server.requests[0]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "Next_step_", "schema": SCHEMA},
    }
    server.reset(say("fine"))
    assert make_chat(structured=False).complete([user("?")], Request(schema=SCHEMA)).notes == ()
    assert "response_format" not in server.requests[0]


@pytest.mark.parametrize(
    ("message", "left_out"),
    [
        ("response_format of type json_schema is not supported", {"response_format"}),
        ("Unknown field: stream_options", {"stream_options"}),
        ("logprobs are not available", {"logprobs", "top_logprobs"}),
        ("bad request", {"response_format", "stream_options", "logprobs", "top_logprobs"}),
        ("Unsupported value: 'temperature' must be 1", {"temperature"}),
    ],
)
def test_a_refused_part_is_left_out_once_and_for_all(
    make_chat: Make, server: FaultServer, message: str, left_out: set[str]
):
    def picky(exchange: Exchange) -> None:
        if left_out & exchange.body.keys():
            exchange.send(400, {"error": {"message": message}})
        else:
            exchange.stream("fine")

    server.reset(picky)
    chat = make_chat()
    request = Request(schema=SCHEMA, n_logprobs=2)
    first, second = (chat.complete([user("?")], request) for _ in range(2))
    assert (first.usage.n_tries, second.usage.n_tries) == (2, 1)
    assert left_out <= server.requests[0].keys()
    assert server.requests[0].keys() - server.requests[1].keys() == left_out
    assert first.notes == second.notes
    assert any("JSON schemas" in note for note in first.notes) == ("response_format" in left_out)


def test_a_server_that_wants_the_newer_name_of_the_limit_gets_it(make_chat: Make, server: FaultServer):
    def newer(exchange: Exchange) -> None:
        if "max_tokens" in exchange.body:
            exchange.send(400, {"error": {"message": "Use 'max_completion_tokens' instead of 'max_tokens'."}})
        else:
            exchange.stream("fine")

    server.reset(newer)
    assert make_chat().complete([user("?")], Request(max_output_tokens=9)).text == "fine"
    assert server.requests[1]["max_completion_tokens"] == 9


def test_a_refusal_for_another_reason_blames_no_part(make_chat: Make, server: FaultServer):
    chat = make_chat()
    server.reset(refuse(400, "no"), refuse(400, "no"), say("fine"))
    with pytest.raises(ModelError, match="refuses the request"):
        chat.complete([user("?")], Request(schema=SCHEMA))
    assert chat.complete([user("?")], Request(schema=SCHEMA)).notes == ()
    assert "response_format" in server.requests[-1]


def test_log_probabilities_of_the_first_token(make_chat: Make, server: FaultServer):
    def likely(exchange: Exchange) -> None:
        assert (exchange.body["logprobs"], exchange.body["top_logprobs"]) == (True, 2)
        entry = {"token": "Yes", "logprob": -0.1, "top_logprobs": [
            {"token": "Yes", "logprob": -0.1}, {"token": "No", "logprob": -2.5}]}  # fmt: skip
        exchange.open_stream()
        exchange.event(chunk({"content": "Yes"}, logprobs={"content": [entry]}))
        exchange.event(chunk({"content": "."}, logprobs={"content": [{"token": ".", "logprob": -1.0}]}))
        exchange.event(chunk({}, finish_reason="stop"))

    server.reset(likely)
    assert make_chat().complete([user("?")], Request(n_logprobs=2)).first_logprobs == {
        "Yes": -0.1,
        "No": -2.5,
    }
    server.reset(say("Yes"))
    assert make_chat().complete([user("?")], Request(n_logprobs=2)).first_logprobs is None


def test_cached_tokens_are_counted_and_priced_apart(make_chat: Make, server: FaultServer):
    def cached(exchange: Exchange) -> None:
        usage = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}}
        exchange.send(200, {**whole("fine"), "usage": usage})

    server.reset(cached)
    usage = make_chat().complete([user("?")], Request()).usage
    assert (usage.n_input_tokens, usage.n_cached_tokens, usage.n_output_tokens) == (100, 60, 7)


def test_a_server_that_does_not_stream_is_understood(make_chat: Make, server: FaultServer):
    server.reset(lambda exchange: exchange.send(200, whole("all at once")))
    reply = make_chat().complete([user("?")], Request())
    assert (reply.text, reply.usage.n_input_tokens) == ("all at once", 11)


def test_text_in_parts_is_joined_and_thoughts_are_no_reply(make_chat: Make, server: FaultServer):
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    server.reset(lambda exchange: exchange.send(200, whole(None, content=parts, reasoning_content="hm")))
    assert make_chat().complete([user("?")], Request()).text == "ab"
    server.reset(lambda exchange: exchange.send(200, whole(None, reasoning_content="hm")))
    reply = make_chat().complete([user("?")], Request())
    assert (reply.text, reply.notes) == ("", ("tiny only thought and said nothing; raise max_output_tokens",))


def test_usage_is_estimated_where_the_server_gives_none(make_chat: Make, server: FaultServer):
    def silent(exchange: Exchange) -> None:
        exchange.open_stream()
        exchange.event(chunk({"content": "x" * 30}, finish_reason="length"))

    server.reset(silent)
    chat = make_chat()
    reply = chat.complete([user("y" * 60, PICTURE)], Request())
    assert reply.finish == "length"
    assert reply.usage.n_input_tokens == 20 + chat.count_image(40, 30)
    assert reply.usage.n_output_tokens == 10


# ── deadline and cancellation ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("phase", ["before the header", "in the header", "in the body"])
def test_the_deadline_holds_in_every_phase(make_chat: Make, server: FaultServer, phase: str):
    def slow(exchange: Exchange) -> None:
        if phase == "before the header":
            exchange.hang()
        elif phase == "in the header":
            exchange.drip(b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 1000)
        else:
            exchange.open_stream()
            exchange.drip(b": still here\n\n")

    server.reset(slow)
    start_s = time.monotonic()
    with pytest.raises(
        ModelUnavailable, match=r"http://127\S+: no complete reply within 0\.3 s, 1 try.*timeout_s"
    ):
        make_chat().complete([user("?")], Request(timeout_s=0.3))
    assert time.monotonic() - start_s < 3
    assert len(server.bodies) == 1


def test_cancelling_ends_the_request_at_the_server(make_chat: Make, server: FaultServer):
    heard = threading.Event()

    def endless(exchange: Exchange) -> None:
        exchange.open_stream()
        while True:
            exchange.event(chunk({"content": "and "}))
            time.sleep(0.01)

    server.reset(endless)
    request = Request(cancelled=heard.is_set, on_token=lambda _: heard.set())
    with pytest.raises(Cancelled):
        make_chat().complete([user("?")], request)
    assert server.wait_until_gone(1)


def test_a_reply_without_end_is_given_up(make_chat: Make, server: FaultServer):
    def flood(exchange: Exchange) -> None:
        exchange.open_stream()
        while True:
            exchange.event(chunk({"content": "x" * 500_000}))

    server.reset(flood)
    with pytest.raises(ModelError, match="longer than"):
        make_chat(timeout_s=30).complete([user("?")], Request())


def test_a_listener_that_fails_is_no_fault_of_the_model(make_chat: Make, server: FaultServer):
    def broken(_: str) -> None:
        raise BrokenPipeError("the terminal has gone")

    with pytest.raises(BrokenPipeError):
        make_chat().complete([user("?")], Request(on_token=broken))
    assert len(server.bodies) == 1


# ── tries ────────────────────────────────────────────────────────────────────────────────────────────────


def test_busy_servers_are_tried_again_as_they_ask(make_chat: Make, server: FaultServer):
    pauses: list[float] = []
    server.reset(
        lambda exchange: exchange.send(429, {}, retry_after="3"),
        lambda exchange: exchange.send(503, {}),
        say("fine"),
    )
    reply = make_chat(pauses).complete([user("?", PICTURE)], Request())
    assert (reply.text, reply.usage.n_tries, reply.usage.n_images) == ("fine", 3, 3)
    assert pauses[0] == 3
    assert 0 <= pauses[1] <= 1


def test_a_wait_past_the_deadline_is_not_begun(make_chat: Make, server: FaultServer):
    pauses: list[float] = []
    server.reset(lambda exchange: exchange.send(429, {}, retry_after="60"))
    with pytest.raises(ModelUnavailable, match="wait 60 s, which is after the deadline"):
        make_chat(pauses).complete([user("?")], Request(timeout_s=5))
    assert (pauses, len(server.bodies)) == ([], 1)


def test_the_number_of_tries_can_be_lowered(make_chat: Make, server: FaultServer):
    server.reset(refuse(500, "oops"))
    with pytest.raises(
        ModelUnavailable, match=r"at http://127\S+: fails \(HTTP 500 oops\).*gave up after 2 tries"
    ):
        make_chat(max_tries=2).complete([user("?")], Request())
    assert len(server.bodies) == 2


def test_a_cut_stream_is_repeated_and_heard_once(make_chat: Make, server: FaultServer):
    def cut(exchange: Exchange) -> None:
        exchange.open_stream()
        exchange.event(chunk({"content": "Revenue was "}))
        exchange.event(chunk({"content": "5"}))
        exchange.drop()

    server.reset(cut, say("Revenue was 5 million."))
    heard: list[str] = []
    reply = make_chat().complete([user("?")], Request(on_token=heard.append))
    assert reply.text == "".join(heard) == "Revenue was 5 million."


def test_a_repeated_reply_that_differs_is_not_mixed_with_the_first(make_chat: Make, server: FaultServer):
    def cut(exchange: Exchange) -> None:
        exchange.open_stream()
        exchange.event(chunk({"content": "It fell"}))
        exchange.drop()

    server.reset(cut, say("It rose by 5 %."))
    heard: list[str] = []
    assert make_chat().complete([user("?")], Request(on_token=heard.append)).text == "It rose by 5 %."
    assert "".join(heard) == "It fell"


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "message", "kind", "said"),
    [
        (400, "This model's maximum context length is 4096 tokens", ContextOverflow, "fewer pages"),
        (413, "", ContextOverflow, "fewer pages"),
        (401, "bad key", ModelError, "refuses the key"),
        (403, "no", ModelError, "refuses the key"),
        (404, "The model `tiny` does not exist.", ModelError, "check model and base_url"),
        (307, "", ModelError, "a redirect, which is not followed"),
        (429, "You exceeded your quota (insufficient_quota)", ModelError, "no credit"),
        (418, "teapot", ModelError, "refuses the request"),
    ],
)
def test_a_request_that_cannot_succeed_is_not_repeated(
    make_chat: Make, server: FaultServer, status: int, message: str, kind: type[ModelError], said: str
):
    server.reset(refuse(status, message))
    with pytest.raises(kind, match=said) as caught:
        make_chat().complete([user("?")], Request())
    assert not isinstance(caught.value, ModelUnavailable)
    assert "model tiny at http://127.0.0.1" in str(caught.value)
    assert len(server.bodies) == 1


def test_pictures_are_left_out_where_the_model_takes_none(make_chat: Make, server: FaultServer):
    def text_only(exchange: Exchange) -> None:
        if "image_url" in json.dumps(exchange.body):
            exchange.send(400, {"error": {"message": "At most 0 image(s) may be provided in one prompt."}})
        else:
            exchange.stream("from the text")

    server.reset(text_only)
    chat = make_chat()
    assert chat.limits.max_images > 0
    first, second = (chat.complete([user("page 1", PICTURE)], Request()) for _ in range(2))
    assert first.text == second.text == "from the text"
    assert first.notes == second.notes == ("tiny takes no pictures: 1 left out, only their text was sent",)
    assert (first.usage.n_tries, first.usage.n_images) == (2, 1)
    assert (second.usage.n_tries, second.usage.n_images) == (1, 0)
    assert chat.limits.max_images == 0
    assert server.requests[1]["messages"][0]["content"] == "page 1\n[picture E1 left out]"


def test_too_many_pictures_is_an_error_that_says_what_to_set(make_chat: Make, server: FaultServer):
    server.reset(refuse(400, "At most 1 image(s) may be provided in one prompt."))
    with pytest.raises(ModelError, match=r"2 pictures are too many.*max_images"):
        make_chat().complete([user(PICTURE, PICTURE)], Request())


def test_links_are_never_sent(make_chat: Make, server: FaultServer):
    model = make_chat().model
    link = HumanMessage([{"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}])
    with pytest.raises(ModelError, match="links are never sent"):
        model.invoke([link])
    assert server.bodies == []


def test_the_model_works_as_any_langchain_model_does(make_chat: Make, server: FaultServer):
    server.reset(say("one two three"))
    model = make_chat().model
    assert model.invoke("?").text == "one two three"
    assert "".join(piece.text for piece in model.stream("?")) == "one two three"
    assert model.invoke("?").usage_metadata["input_tokens"] == 11


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_key_stands_in_no_message_representation_or_log(
    make_chat: Make, server: FaultServer, caplog: pytest.LogCaptureFixture
):
    server.reset(refuse(401, f"Incorrect API key provided: {KEY}"))
    chat = make_chat(api_key=KEY)
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelError) as caught:
        chat.complete([user("?")], Request())
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    shown = [str(caught.value), repr(caught.value), repr(chat.model), str(chat.model), caplog.text]
    shown += [json.dumps(chat.model.model_dump(), default=str), repr(chat.model.options)]
    assert not [text for text in shown if KEY in text]


def test_a_request_cannot_be_redirected_by_extra_fields():
    with pytest.raises(ValueError, match="messages"):
        OpenAiCompatibleOptions(model="m", extra_body={"messages": []})


def test_retry_after_in_seconds_as_a_date_or_nonsense():
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    later = (now + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    cases = {"7": 7, "0.5": 0.5, "-3": 0, later: 90, "soon": None, "nan": None, "": None}
    assert {said: retry_after_s({"retry-after": said}, now=now) for said in cases} == cases
    assert retry_after_s({}, now=now) is None


def test_a_closed_model_says_so(make_chat: Make):
    chat = make_chat()
    chat.complete([user("?")], Request())
    chat.close()
    with pytest.raises(ModelError, match="was closed"):
        chat.complete([user("?")], Request())


def test_calls_of_several_threads_do_not_mix(make_chat: Make, server: FaultServer):
    server.reset(lambda exchange: exchange.stream(exchange.body["messages"][0]["content"], n_chars=1))
    chat, found = make_chat(timeout_s=60), {}

    def ask(i: int) -> None:
        found[i] = chat.complete([user(f"number {i}")], Request()).text

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: f"number {i}" for i in range(16)}


@pytest.mark.parametrize(
    ("error", "kind", "n_requests"),
    [
        ({"message": "engine died", "code": 500}, ModelUnavailable, 3),
        ({"message": "maximum context length is 4096", "code": 400}, ContextOverflow, 1),
    ],
)
def test_an_error_inside_a_stream_is_an_error(
    make_chat: Make, server: FaultServer, error: Any, kind: type[ModelError], n_requests: int
):
    def failing(exchange: Exchange) -> None:
        exchange.open_stream()
        exchange.event(chunk({"content": "Reve"}))
        exchange.event({"error": error})

    server.reset(failing)
    with pytest.raises(kind, match=error["message"]):
        make_chat().complete([user("?")], Request())
    assert len(server.bodies) == n_requests


def test_a_reply_of_another_form_is_named(make_chat: Make, server: FaultServer):
    server.reset(lambda exchange: exchange.send(200, {"choices": "none"}))
    with pytest.raises(ModelError, match="not a reply of this interface: choices is a str"):
        make_chat().complete([user("?")], Request())
    assert len(server.bodies) == 1


def test_stop_words_and_standard_blocks_are_sent(make_chat: Make, server: FaultServer):
    picture = {"type": "image", "base64": "eA==", "mime_type": "image/png"}
    make_chat().model.invoke([HumanMessage(["a", picture])], stop=["END"])
    (body,) = server.requests
    assert body["stop"] == ["END"]
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}},
    ]


def test_messages_of_other_kinds_are_refused(make_chat: Make, server: FaultServer):
    with pytest.raises(ModelError, match="a message of type tool cannot be sent"):
        make_chat().model.invoke([ToolMessage("x", tool_call_id="1")])
    assert server.bodies == []


def test_the_whole_way_from_options_to_a_reply(server: FaultServer):
    options = OpenAiCompatibleOptions(model="tiny", base_url=server.url, max_output_tokens=77)
    chat = build_chat(options)
    assert chat.complete([user("?")], Request()).text == "fine"
    assert server.requests[0]["max_tokens"] == 77
    assert chat.name == "tiny"
    chat.close()  # type: ignore[attr-defined]
