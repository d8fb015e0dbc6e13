"""Messages, requests to roles, and events: small, but everything rests on them."""

from __future__ import annotations

import base64

from docrag.chat.events import SILENCE, StepEvent
from docrag.chat.messages import ImagePart, Message, TextPart, assistant, images_of, system, user
from docrag.chat.model import ROLES, Chats

PICTURE = ImagePart(b"\x00\xff picture", "image/jpeg", 30, 20, label="E2")


def test_a_message_keeps_texts_and_pictures_in_order():
    message = user("a", PICTURE, TextPart("b"))
    assert message == Message("user", (TextPart("a"), PICTURE, TextPart("b")))
    assert message.text == "a\nb"
    assert message.images == (PICTURE,)


def test_pictures_of_a_conversation_come_in_order():
    other = ImagePart(b"x", "image/png", 1, 1)
    assert list(images_of([system("s"), user(PICTURE), assistant("a"), user("b", other)])) == [PICTURE, other]
    assert list(images_of([])) == []


def test_a_picture_is_a_data_url():
    head, _, data = PICTURE.data_url.partition(",")
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(data, validate=True) == PICTURE.data


def test_a_role_without_a_model_has_the_default():
    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

    default, judge = Named("default"), Named("judge")
    chats = Chats(default, {"judge": judge})  # type: ignore[arg-type]
    assert {role: chats.of(role).name for role in ROLES} == dict.fromkeys(ROLES, "default") | {
        "judge": "judge"
    }


def test_silence_cancels_nothing():
    SILENCE.on_event(StepEvent("search", "searching"))
    assert not SILENCE.cancelled()
