"""A real vLLM server through the product's path; what its tiny model says is noise, the form is not."""

from __future__ import annotations

import io
import math
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal

import httpx
import pytest
from PIL import Image
from pydantic import BaseModel
from tests.vllm_server.server import VllmServer

from docrag.answer.run import RunParts
from docrag.chat.events import SILENCE
from docrag.chat.json_reply import parse_reply
from docrag.chat.messages import ImagePart, assistant, system, user
from docrag.chat.model import Chats, Request
from docrag.chat.prompts import parse_prompt
from docrag.errors import Cancelled, ContextOverflow, ModelError, ModelUnavailable
from docrag.models.build import build_chat
from docrag.models.client import ModelChat
from docrag.models.options import OpenAiCompatibleOptions, SplitImageTokens

pytestmark = pytest.mark.loopback


class Verdict(BaseModel):
    """A reply that a schema can hold a model to: bounded in every field."""

    verdict: Literal["yes", "no", "partly"]
    confident: bool


@pytest.fixture
def make(vllm_chat_server: VllmServer) -> Iterator[Callable[..., ModelChat]]:
    made: list[ModelChat] = []

    def build(**more: Any) -> ModelChat:
        options = {"base_url": vllm_chat_server.base_url, "model": vllm_chat_server.model, **more}
        chat = build_chat(OpenAiCompatibleOptions(**options))
        assert isinstance(chat, ModelChat)
        made.append(chat)
        return chat

    yield build
    for chat in made:
        chat.close()


def picture(colour: str, width_px: int = 120, height_px: int = 90) -> ImagePart:
    buffer = io.BytesIO()
    Image.new("RGB", (width_px, height_px), colour).save(buffer, "PNG")
    return ImagePart(buffer.getvalue(), "image/png", width_px, height_px)


def test_a_reply_comes_in_pieces_with_its_usage(make: Callable[..., ModelChat]):
    heard: list[str] = []
    conversation = [
        system("Be brief."),
        user("What is on it?", picture("red")),
        assistant("Hm."),
        user("So?"),
    ]
    # On a busy machine the server sends several tokens at once; so many never come as one piece.
    chat = make(extra_body={"ignore_eos": True})
    reply = chat.complete(conversation, Request(max_output_tokens=200, on_token=heard.append))
    assert reply.text == "".join(heard) != ""
    assert len(heard) > 1
    assert (reply.finish, reply.model, reply.notes) == ("length", "tiny", ())
    assert (reply.usage.n_output_tokens, reply.usage.n_images, reply.usage.n_tries) == (200, 1, 1)
    again = chat.complete(conversation, Request(max_output_tokens=200))
    assert again.text == reply.text


def test_tokens_of_pictures_are_counted_as_the_server_does(make: Callable[..., ModelChat]):
    rule = SplitImageTokens(longest_edge_px=112, tile_px=56, tokens_per_tile=4)
    chat = make(image_tokens=rule)

    def n_input(*pictures: ImagePart) -> int:
        return chat.complete([user("look", *pictures)], Request(max_output_tokens=1)).usage.n_input_tokens

    plain = n_input()
    for width_px, height_px in ((120, 90), (90, 120), (300, 40)):
        n_picture = n_input(picture("red", width_px, height_px)) - plain
        # vLLM puts a line break between text and picture where the template does not.
        assert 0 <= n_picture - chat.count_image(width_px, height_px) <= 1


def test_a_schema_makes_noise_follow_it(make: Callable[..., ModelChat]):
    request = Request(schema=Verdict.model_json_schema(), schema_name="Verdict", max_output_tokens=200)
    reply = make().complete([user("Is it red?", picture("red"))], request)
    assert parse_reply(reply.text, Verdict).verdict in ("yes", "no", "partly")
    assert reply.notes == ()


def test_without_schemas_noise_is_a_format_error_after_one_repair(make: Callable[..., ModelChat]):
    prompt = parse_prompt("judge", "---\ndescription: d\nvariables: []\n---\n# user\nx\n", source="here")
    run = RunParts(Chats(make(structured=False, max_output_tokens=16))).start(SILENCE)
    with pytest.raises(ModelError, match="no JSON object"):
        run.ask_for("judge", [user("Is it red?")], Verdict, prompt=prompt)
    assert run.meter.usage.n_model_calls == 2
    held = RunParts(Chats(make())).start(SILENCE)
    assert held.ask_for("judge", [user("Is it red?")], Verdict, prompt=prompt).confident in (True, False)


def test_log_probabilities_of_the_first_token(make: Callable[..., ModelChat]):
    reply = make().complete([user("?")], Request(max_output_tokens=1, n_logprobs=5))
    assert reply.first_logprobs is not None
    assert 1 <= len(reply.first_logprobs) <= 5
    assert 0 < sum(math.exp(value) for value in reply.first_logprobs.values()) <= 1 + 1e-6


def test_a_prompt_that_does_not_fit_is_an_overflow(make: Callable[..., ModelChat]):
    with pytest.raises(ContextOverflow, match="does not fit"):
        make().complete([user("word " * 5000)], Request(max_output_tokens=1))


def test_an_unknown_model_is_named(make: Callable[..., ModelChat]):
    with pytest.raises(ModelError, match=r"model other at .*check model") as caught:
        make(model="other").complete([user("?")], Request())
    assert not isinstance(caught.value, ModelUnavailable)


def test_more_pictures_than_the_server_takes_is_an_error_or_a_reply(make: Callable[..., ModelChat]):
    chat = make()
    reply = chat.complete([user("?", *[picture("red")] * 3)], Request(max_output_tokens=1))
    assert reply.usage.n_images == 3


def test_cancelling_leaves_the_server_free(make: Callable[..., ModelChat]):
    heard = threading.Event()
    chat = make()
    request = Request(max_output_tokens=3000, cancelled=heard.is_set, on_token=lambda _: heard.set())
    with pytest.raises(Cancelled):
        chat.complete([user("?")], request)
    assert chat.complete([user("?")], Request(max_output_tokens=1)).usage.n_output_tokens == 1


def n_cached(server: VllmServer) -> float:
    """Prompt tokens that the server took from its prefix cache so far."""
    metrics = httpx.get(f"{server.base_url.removesuffix('/v1')}/metrics", timeout=60).text
    return sum(
        float(n) for n in re.findall(r"^vllm:prefix_cache_hits_total\{.*\} (\S+)$", metrics, re.MULTILINE)
    )


def test_a_loop_that_only_appends_is_served_from_the_prefix_cache(
    make: Callable[..., ModelChat], vllm_chat_server: VllmServer
):
    chat = make()
    conversation = [system("Be brief. " * 60), user("First question, with a page:", picture("green"))]
    for turn in range(4):
        before = n_cached(vllm_chat_server)
        n_input = chat.complete(conversation, Request(max_output_tokens=4)).usage.n_input_tokens
        if turn:
            assert n_cached(vllm_chat_server) - before >= 0.6 * n_input
        conversation += [assistant("An answer."), user("Go on.")]
