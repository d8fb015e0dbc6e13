"""A structured reply outside a run, with one repair."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from docrag.chat.ask import KEPT_OF_BAD_REPLY, as_messages, ask_for
from docrag.chat.messages import assistant, system, user
from docrag.chat.model import Request
from docrag.chat.prompts import Rendered
from docrag.errors import ModelFormatError
from docrag.models.client import ModelChat
from docrag.models.scripted import ScriptedChatModel


class Count(BaseModel):
    n: int


def test_a_prompt_opens_a_conversation():
    assert as_messages(Rendered("be brief", "how many?")) == [system("be brief"), user("how many?")]
    assert as_messages(Rendered("", "how many?")) == [user("how many?")]


def test_a_reply_in_the_right_format_costs_one_call():
    model = ScriptedChatModel(replies=['{"n": 3}'])
    found, usage = ask_for(ModelChat(model), [user("how many?")], Count, request=Request(max_output_tokens=9))
    assert (found.n, len(usage)) == (3, 1)
    call = model.asked[0].call
    assert (call.schema, call.schema_name) == (Count.model_json_schema(), "Count")
    assert call.max_output_tokens == 9


def test_a_reply_in_another_format_is_shown_once_more_with_its_fault():
    bad = "three " * 2000
    model = ScriptedChatModel(replies=[bad, '{"n": 3}'])
    found, usage = ask_for(ModelChat(model), [user("how many?")], Count)
    assert (found.n, len(usage)) == (3, 2)
    again = model.asked[1].messages
    assert [message.type for message in again] == ["human", "ai", "human"]
    assert again[1].text == assistant(bad[:KEPT_OF_BAD_REPLY]).text
    assert "there is no JSON object in the reply" in again[2].text


def test_a_second_wrong_reply_is_an_error():
    model = ScriptedChatModel(replies=["x", '{"n": "many"}'])
    with pytest.raises(ModelFormatError, match="n: Input should be a valid integer"):
        ask_for(ModelChat(model), [user("how many?")], Count)
    assert len(model.asked) == 2
