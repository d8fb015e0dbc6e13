"""What a model thinks aloud before its reply is neither heard nor kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.chat.messages import user
from docrag.chat.model import Request
from docrag.models.client import ModelChat
from docrag.models.scripted import ScriptedChatModel
from docrag.models.thoughts import ThoughtFilter, without_thoughts

CASES = {
    "Five.": "Five.",
    "": "",
    "<think>Page 3.</think>Five.": "Five.",
    "\n<think>\nPage 3.\n</think>\n\nFive.\n": "Five.\n",
    "<think></think>Five.": "Five.",
    "<think>never comes to an end": "",
    "<think>a</think>": "",
    "<think>a</think>b<think>c</think>d": "b<think>c</think>d",
    "<thinking> is a word": "<thinking> is a word",
    "<thi": "<thi",
    "  leading blanks": "  leading blanks",
    "Not <think>at</think> the beginning": "Not <think>at</think> the beginning",
}


@pytest.mark.parametrize(("said", "kept"), CASES.items())
def test_thoughts_are_left_out_at_the_beginning_only(said: str, kept: str):
    assert without_thoughts(said) == kept


def test_an_opening_tag_that_stood_in_the_prompt_is_understood_at_the_end():
    assert without_thoughts("Page 3 says so.\n</think>\n\nFive.") == "Five."


@given(said=st.sampled_from(list(CASES)), data=st.data())
def test_pieces_do_not_matter(said: str, data: st.DataObject):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said)))))
    kept = ThoughtFilter()
    pieces = [said[a:b] for a, b in zip([0, *cuts], [*cuts, len(said)], strict=True)]
    assert "".join(kept.feed(piece) for piece in pieces) + kept.end() == CASES[said]


@given(text=st.text())
def test_other_text_stays_as_it_is(text: str):
    if "think>" not in text:
        assert without_thoughts(text) == text


@pytest.mark.parametrize("chunk_chars", [1, 4, 0])
def test_neither_listeners_nor_replies_have_thoughts(chunk_chars: int):
    model = ScriptedChatModel(replies=["<think>hm\nhm</think>\nFive <b>."], chunk_chars=chunk_chars)
    heard: list[str] = []
    reply = ModelChat(model).complete([user("?")], Request(on_token=heard.append))
    assert reply.text == "".join(heard) == "Five <b>."


def test_a_reply_too_short_to_tell_is_heard_at_its_end():
    heard: list[str] = []
    reply = ModelChat(ScriptedChatModel(replies=["<"])).complete([user("?")], Request(on_token=heard.append))
    assert reply.text == "".join(heard) == "<"
