"""Chat models in this process: tiny checkpoints with real processors, through the product's path."""

from __future__ import annotations

import importlib.util
import io
import math
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from docrag.chat.messages import ImagePart, assistant, system, user
from docrag.chat.model import Chat, Request
from docrag.errors import Cancelled, ConfigError, ContextOverflow, ModelError, ModelUnavailable
from docrag.models.build import build_chat
from docrag.models.call import Call
from docrag.models.options import TransformersChatOptions

NEEDED = ("torch", "transformers", "torchvision", "num2words")
pytestmark = [
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in NEEDED), reason="the visual extra"
    ),
    pytest.mark.filterwarnings("ignore"),  # torch and transformers warn about one another
]
SIZES = [(200, 150), (150, 200), (56, 56), (30, 400), (1275, 1650), (57, 112), (3, 5)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    from tests.visual.tiny_chat_checkpoints import MAKERS

    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("chat") / name
            MAKERS[name](made[name])
        return made[name]

    return folder


@pytest.fixture(scope="module", params=["qwen2-vl", "idefics3", "smolvlm"])
def chat(request: pytest.FixtureRequest, folders: Callable[[str], Path]) -> Chat:
    return open_chat(folders(request.param))


def open_chat(folder: Path, **more: Any) -> Chat:
    return build_chat(TransformersChatOptions(model=str(folder), device="cpu", **more))


def picture(width_px: int = 200, height_px: int = 150, colour: str = "red") -> ImagePart:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (width_px, height_px), colour).save(buffer, "PNG")
    return ImagePart(buffer.getvalue(), "image/png", width_px, height_px)


def running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "docrag-transformers"]


def test_calls_of_a_model_in_this_process_take_turns(chat: Chat):
    assert chat.limits.takes_turns


def test_a_reply_is_repeatable_and_heard_as_it_comes(chat: Chat):
    conversation = [system("Be brief."), user("page 1", picture()), assistant("Hm."), user("Which colour?")]
    heard: list[str] = []
    first = chat.complete(conversation, Request(max_output_tokens=20, on_token=heard.append))
    second = chat.complete(conversation, Request(max_output_tokens=20))
    assert first.text == second.text == "".join(heard) != ""
    assert len(heard) > 1
    assert (first.usage.n_output_tokens, first.finish, first.usage.n_images) == (20, "length", 1)
    assert first.model == chat.name


def test_what_a_picture_shows_matters(chat: Chat):
    replies = [
        chat.complete([user(picture(colour=c), "?")], Request(max_output_tokens=1, n_logprobs=5))
        for c in ("red", "blue")
    ]
    red, blue = (reply.first_logprobs for reply in replies)
    assert red != blue


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tokens_of_a_picture_are_those_of_the_models_own_processor(chat: Chat, size: tuple[int, int]):
    def n_input(*pictures: ImagePart) -> int:
        reply = chat.complete([user("look", *pictures)], Request(max_output_tokens=1))
        return reply.usage.n_input_tokens

    assert chat.count_image(*size) == n_input(picture(*size)) - n_input()


def test_tokens_of_a_text_are_those_of_the_models_own_tokenizer(chat: Chat):
    def n_input(text: str) -> int:
        return chat.complete([user(text)], Request(max_output_tokens=1)).usage.n_input_tokens

    for text in ("Umsatz 5 €", "東京", "x" * 100):
        assert chat.count_text(text) == len(text.encode()) == n_input("a" + text) - n_input("a")


def test_log_probabilities_are_those_of_the_first_token(chat: Chat):
    reply = chat.complete([user("?")], Request(max_output_tokens=1, n_logprobs=300))
    assert reply.first_logprobs is not None
    values = list(reply.first_logprobs.values())
    assert values == sorted(values, reverse=True)
    assert 0.1 < sum(math.exp(value) for value in values) <= 1 + 1e-5
    assert next(iter(reply.first_logprobs)) == reply.text or "\ufffd" in reply.text
    assert chat.complete([user("?")], Request(max_output_tokens=1)).first_logprobs is None


def test_a_text_cannot_write_control_tokens(chat: Chat):
    def n_input(text: str) -> int:
        return chat.complete([user(text)], Request(max_output_tokens=1)).usage.n_input_tokens

    for forged in ("<|im_end|>", "<|im_start|>", "<image>", "<end_of_utterance>"):
        assert n_input(forged) >= n_input("a" * len(forged))  # bytes, no single token
    assert n_input("<ima<image>ge>") >= n_input("a" * 14)


def test_cancelling_ends_the_generation(chat: Chat):
    heard = threading.Event()
    request = Request(max_output_tokens=1500, cancelled=heard.is_set, on_token=lambda _: heard.set())
    with pytest.raises(Cancelled):
        chat.complete([user("?")], request)
    assert all_ended()


def test_the_deadline_ends_the_generation_and_the_model_goes_on_working(chat: Chat):
    with pytest.raises(ModelUnavailable, match=r"within 0\.2 s"):
        chat.complete([user("?")], Request(max_output_tokens=1900, timeout_s=0.2))
    assert all_ended()
    assert chat.complete([user("?")], Request(max_output_tokens=2, timeout_s=60)).usage.n_output_tokens == 2


def all_ended(within_s: float = 20.0) -> bool:
    end = time.monotonic() + within_s
    while running() and time.monotonic() < end:
        time.sleep(0.01)
    return not running()


def test_a_prompt_that_does_not_fit_is_an_overflow(chat: Chat):
    with pytest.raises(ContextOverflow, match=r"expected fewer than 2048; send fewer pages"):
        chat.complete([user("x" * 3000)], Request())


def test_the_reply_is_cut_to_what_is_left_of_the_context(chat: Chat):
    n_prompt = chat.complete([user("x" * 1900)], Request(max_output_tokens=1)).usage.n_input_tokens
    reply = chat.complete([user("x" * 1900)], Request(max_output_tokens=1000))
    assert reply.usage.n_output_tokens == 2048 - n_prompt


def test_a_picture_that_is_none_is_named(chat: Chat):
    with pytest.raises(ModelError, match="cannot be read"):
        chat.complete([user(ImagePart(b"GIF89a", "image/png", 1, 1))], Request())


def test_links_are_not_followed(chat: Chat):
    link = {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}],
    }
    with pytest.raises(ModelError, match="links are not followed"):
        chat.model.invoke([link])  # type: ignore[attr-defined]


def test_a_stop_word_ends_the_reply_before_it(chat: Chat):
    model = chat.model  # type: ignore[attr-defined]
    call = Call(max_output_tokens=20)
    whole = model.invoke("?", call=call).text
    stop = whole[3:5]
    assert model.invoke("?", call=call, stop=[stop]).text == whole[: whole.index(stop)]


def test_a_closed_model_says_so(folders: Callable[[str], Path]):
    chat = open_chat(folders("idefics3"))
    chat.close()  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="was closed"):
        chat.complete([user("?")], Request())


# ── checkpoints that cannot be used ──────────────────────────────────────────────────────────────────────


def test_pickled_weights_are_refused(folders: Callable[[str], Path], tmp_path: Path):
    folder = tmp_path / "pickled"
    shutil.copytree(folders("idefics3"), folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickled \(pytorch_model\.bin\)"):
        open_chat(folder)


def test_a_checkpoint_without_a_chat_template_is_named(folders: Callable[[str], Path], tmp_path: Path):
    folder = tmp_path / "base"
    shutil.copytree(folders("idefics3"), folder)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        open_chat(folder)


def test_a_text_only_checkpoint_is_named(tmp_path: Path):
    from tests.visual.tiny_chat_checkpoints import save_text_only

    save_text_only(tmp_path)
    with pytest.raises(ModelError, match="not a vision-language model"):
        open_chat(tmp_path)


def test_a_missing_checkpoint_is_not_fetched(tmp_path: Path):
    with pytest.raises(ConfigError, match="no such folder"):
        open_chat(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"not in the local cache.*download: true"):
        build_chat(TransformersChatOptions(model="someone/some-model", device="cpu"))
