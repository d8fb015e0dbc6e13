"""The scripted model, which other tests rest on."""

from __future__ import annotations

import math

import pytest

from docrag.chat.messages import ImagePart, system, user
from docrag.chat.model import Request
from docrag.errors import ModelError, ModelUnavailable
from docrag.models.client import ModelChat
from docrag.models.scripted import Asked, Rule, ScriptedChatModel, ScriptedReply


def chat_of(model: ScriptedChatModel) -> ModelChat:
    return ModelChat(model, name="scripted", pause=lambda _call, _seconds: None)


def test_replies_come_in_order_and_then_end():
    chat = chat_of(ScriptedChatModel(replies=["one", "two"]))
    assert [chat.complete([user("?")], Request()).text for _ in range(2)] == ["one", "two"]
    with pytest.raises(ModelError, match=r"no reply left for call 3: .*'the last question'"):
        chat.complete([user("the last question")], Request())


def test_the_last_reply_may_be_repeated():
    chat = chat_of(ScriptedChatModel(replies=["one", "two"], repeat_last=True))
    assert [chat.complete([user("?")], Request()).text for _ in range(4)] == ["one", "two", "two", "two"]


def test_the_first_rule_that_matches_replies_and_uses_no_reply_up():
    model = ScriptedChatModel(
        rules=[Rule("system: judge.*page 2", "no"), Rule("page", lambda asked: asked.last.upper())],
        replies=["from the list"],
    )
    chat = chat_of(model)
    assert chat.complete([system("judge"), user("page 2")], Request()).text == "no"
    assert chat.complete([user("page 2")], Request()).text == "PAGE 2"
    assert chat.complete([user("else")], Request()).text == "from the list"


def test_errors_are_raised_and_the_call_is_remembered():
    model = ScriptedChatModel(replies=[ModelUnavailable("gone"), "back"])
    chat = chat_of(model)
    with pytest.raises(ModelUnavailable, match="gone"):
        chat.complete([user("?")], Request())
    assert chat.complete([user("?")], Request()).text == "back"
    assert len(model.asked) == 2


def test_what_was_asked_is_kept():
    model = ScriptedChatModel(replies=["x"])
    picture = ImagePart(b"x", "image/png", 4, 4)
    request = Request(schema={"type": "object"}, schema_name="Step", n_logprobs=3, max_output_tokens=9)
    chat_of(model).complete([system("be brief"), user("a", picture)], request)
    (asked,) = model.asked
    assert isinstance(asked, Asked)
    assert asked.text == "system: be brief\n\nhuman: a"
    assert (asked.last, asked.n_images, asked.image_urls) == ("a", 1, [picture.data_url])
    assert (asked.call.schema_name, asked.call.n_logprobs, asked.call.max_output_tokens) == ("Step", 3, 9)


def test_a_reply_comes_in_pieces():
    heard: list[str] = []
    model = ScriptedChatModel(replies=["abcdefg"], chunk_chars=3)
    assert chat_of(model).complete([user("?")], Request(on_token=heard.append)).text == "abcdefg"
    assert heard == ["abc", "def", "g"]


def test_a_reply_may_say_more_than_its_text():
    first = {"yes": math.log(0.7), "no": math.log(0.2), "maybe": math.log(0.1)}
    scripted = ScriptedReply("yes", finish="length", first_logprobs=first, n_cached_tokens=2)
    model = ScriptedChatModel(replies=[scripted], repeat_last=True, count_tokens=len)
    reply = chat_of(model).complete([user("1234567")], Request(n_logprobs=2))
    assert reply.finish == "length"
    assert reply.first_logprobs == {"yes": first["yes"], "no": first["no"]}
    usage = reply.usage
    assert (usage.n_input_tokens, usage.n_cached_tokens, usage.n_output_tokens) == (7, 2, 3)
    assert chat_of(model).complete([user("?")], Request()).first_logprobs is None


def test_an_empty_reply_is_a_reply():
    assert chat_of(ScriptedChatModel(replies=[""])).complete([user("?")], Request()).text == ""


def test_it_is_a_langchain_model_like_any_other():
    model = ScriptedChatModel(replies=["a b", "c"], chunk_chars=1)
    assert "".join(piece.text for piece in model.stream("?")) == "a b"
    assert model.invoke("?").text == "c"
