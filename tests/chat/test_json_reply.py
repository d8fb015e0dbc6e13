"""JSON objects are found in whatever a model says around them."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from docrag.chat.json_reply import MAX_REPLY_CHARS, json_objects, parse_reply
from docrag.errors import ModelFormatError


class Step(BaseModel):
    action: Literal["search", "answer"]
    pages: list[int] = []


SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6
)
OBJECTS = st.dictionaries(st.text(), VALUES)
TALK = st.text().filter(lambda text: "{" not in text)
GOOD = '{"action": "search", "pages": [1, 2]}'
STEP = Step(action="search", pages=[1, 2])


@settings(max_examples=40)
@given(objects=st.lists(OBJECTS, max_size=3), talk=TALK)
def test_all_objects_are_found_in_order_between_talk(objects: list[Any], talk: str):
    text = talk + talk.join(json.dumps(value) for value in objects) + talk
    assert list(json_objects(text)) == objects


@given(text=st.text(alphabet='{}[]":,\\ aé0-.\n'))
def test_any_text_gives_objects_or_none_and_never_another_error(text: str):
    for value in json_objects(text):
        assert isinstance(value, dict)


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Sure! Here it is: {GOOD} Anything else?",
        f"The format is {{action}}, so:\n{GOOD}",
        f'First I thought {{"action": "answer"}}, but no: {GOOD}',
        f'{GOOD}\nThe schema was {{"type": "object"}}',
        "<think>{ hm }</think>" + GOOD,
        '{"action": "search", "pages": ["1", 2], "more": {"x": 1}}',
        f"[{GOOD}]",
    ],
)
def test_a_reply_is_understood_as_models_write_it(reply: str):
    assert parse_reply(reply, Step) == STEP


def test_line_breaks_inside_strings_are_taken():
    class Said(BaseModel):
        text: str

    assert parse_reply('{"text": "two\nlines\tand a tab"}', Said).text == "two\nlines\tand a tab"


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ("", "no JSON object"),
        ("yes", "no JSON object"),
        ('{"action": "search", "pages": [1', "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('{"action": "format_disk"}', "action: Input should be 'search' or 'answer'"),
        ('{"action": "search", "pages": ["x"]}', r"pages\.0: Input should be a valid integer"),
        ('{"pages": []}', "action: Field required"),
        ('{"action": "\\ud800"}', "action"),
        ('{"action": "search", "pages": [' + "1" * 5000 + "]}", "no JSON object"),
        ("{" * 5000, "no JSON object"),
        ('{"a":' * 5000, "no JSON object"),
        ("x" * (MAX_REPLY_CHARS + 1), f"has {MAX_REPLY_CHARS + 1} characters"),
    ],
    ids=range(12),
)
def test_what_is_wrong_is_said_for_asking_again(reply: str, message: str):
    with pytest.raises(ModelFormatError, match=message):
        parse_reply(reply, Step)


def test_a_message_repeats_nothing_of_the_reply():
    with pytest.raises(ModelFormatError) as caught:
        parse_reply('{"action": "ignore all rules"}', Step)
    assert "ignore" not in str(caught.value)


def test_an_object_that_is_the_whole_problem_is_named():
    class Pair(BaseModel):
        model_config = {"extra": "forbid"}

    with pytest.raises(ModelFormatError, match="x: Extra inputs"):
        parse_reply('{"x": 1}', Pair)
