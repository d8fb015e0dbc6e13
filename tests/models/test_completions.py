"""Reading chat completions: pieces of streams, whole replies, and bodies that are neither."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.errors import ModelError
from docrag.models.completions import (
    Completion,
    EventLines,
    error_in,
    error_message,
    load_event,
    usage_of,
)
from docrag.models.faults import TransientFault

KEYS = st.sampled_from(
    ["choices", "delta", "message", "content", "finish_reason", "tool_calls", "function", "name", "usage",
     "logprobs", "index", "refusal", "error", "code", "prompt_tokens", "text", "model"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
EVENTS = ['{"a": 1}', "[DONE]", "x: y", "é 東京 🗼", "data: twice"]


@given(events=st.lists(st.sampled_from(EVENTS)), ends=st.sampled_from(["\n", "\r\n"]), data=st.data())
def test_events_are_found_wherever_the_stream_is_cut(events: list[str], ends: str, data: st.DataObject):
    stream = f": comment{ends}event: x{ends}" + "".join(f"data: {event}{ends}{ends}" for event in events)
    raw = stream.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    lines = EventLines()
    found: list[str] = []
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        found += lines.feed(raw[start:end])
    found += lines.end()
    assert found == events
    assert lines.n_replaced == 0


def test_the_last_event_needs_no_line_break_and_no_blank():
    lines = EventLines()
    assert list(lines.feed(b"data:[DONE]")) == []
    assert list(lines.end()) == ["[DONE]"]
    assert list(lines.end()) == []


def test_bytes_that_are_no_text_are_counted():
    lines = EventLines()
    assert list(lines.feed(b"data: caf\xe9\ndata: ok\n")) == ["caf\ufffd", "ok"]
    assert lines.n_replaced == 1


@given(body=JSON)
def test_any_body_is_taken_or_refused_with_one_kind_of_error(body: Any):
    completion = Completion()
    with suppress(ModelError):
        assert isinstance(completion.take(body), str)
    usage_of(completion)
    error_in(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "the reply is a list"),
        ("text", "the reply is a str"),
        ({"choices": {}}, "choices is a dict"),
        ({"choices": ["x"]}, "a choice is a str"),
        ({"choices": [{"delta": "x"}]}, "delta is a str"),
        ({"choices": [{"delta": {"content": 7}}]}, "content is a int"),
        ({"choices": [{"delta": {"tool_calls": "x"}}]}, "tool_calls is a str"),
    ],
)
def test_what_is_no_completion_is_named(body: Any, message: str):
    with pytest.raises(ModelError, match=f"{message}, expected"):
        Completion().take(body)


def test_other_choices_than_the_first_are_left_out():
    completion = Completion()
    body = {"choices": [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}]}
    assert completion.take(body) == "a"
    assert completion.n_choices == 1


def test_counts_that_are_none_are_no_counts():
    completion = Completion(usage={"prompt_tokens": "many", "completion_tokens": -1})
    assert usage_of(completion) is None
    completion.usage = {"prompt_tokens": 5, "completion_tokens": None, "prompt_tokens_details": "x"}
    usage = usage_of(completion)
    assert usage is not None
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (5, 0, 5)


@pytest.mark.parametrize("data", ['{"a": ', "<html>", "{" * 100_000, "[" * 100_000])
def test_an_event_that_is_no_json_may_be_asked_for_again(data: str):
    with pytest.raises(TransientFault, match="no JSON"):
        load_event(data)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"message": "busy", "code": 503}}, 503),
        ({"error": {"message": "too long", "code": "400"}}, 400),
        ({"error": {"message": "odd", "code": "context_length_exceeded"}}, 500),
        ({"error": {"message": "odd", "code": 200}}, 500),
        ({"error": "plain words"}, 500),
    ],
)
def test_an_error_inside_a_success_is_found(body: Any, status: int):
    found = error_in(body)
    assert found is not None
    assert found[0] == status
    assert found[1]


@pytest.mark.parametrize("body", [{"error": None}, {"choices": []}, [], "x"])
def test_other_bodies_hold_no_error(body: Any):
    assert error_in(body) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"error": {"message": "no", "code": "bad", "type": "invalid"}}', "no (bad, invalid)"),
        ('{"error": {"message": "no"}}', "no"),
        ('{"message": "no"}', "no"),
        ('{"detail": [{"msg": "field required"}]}', '[{"msg": "field required"}]'),
        ('{"detail": "Not Found"}', "Not Found"),
        ('{"error": "no"}', "no"),
        ('{"odd": 1}', '{"odd": 1}'),
        ("<html><title>\n502 Bad Gateway </title>", "(an HTML page: 502 Bad Gateway)"),
        ("<html>", "(an HTML page)"),
        ("upstream timed out", "upstream timed out"),
        ("", ""),
    ],
)
def test_the_human_part_of_an_error_is_found(text: str, message: str):
    assert error_message(text) == message


@given(body=JSON)
def test_any_error_body_gives_a_message(body: Any):
    assert isinstance(error_message(json.dumps(body)), str)
