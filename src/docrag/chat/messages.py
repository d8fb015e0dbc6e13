"""What is said to a chat model: text and pictures, in order."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Speaker = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """Some text."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An encoded picture, sent as a data URL, never as a link. `label` is the evidence id it belongs to."""

    data: bytes
    media_type: Literal["image/jpeg", "image/png"]
    width_px: int
    height_px: int
    label: str = ""

    @property
    def data_url(self) -> str:
        """The picture as ``data:image/…;base64,…``."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"


Part = TextPart | ImagePart


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    speaker: Speaker
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """All its text parts, a line break between two."""
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def images(self) -> tuple[ImagePart, ...]:
        """Its pictures, in order."""
        return tuple(part for part in self.parts if isinstance(part, ImagePart))


def system(text: str) -> Message:
    """Return a system message."""
    return Message("system", (TextPart(text),))


def user(*parts: str | Part) -> Message:
    """Return a user message of texts and pictures."""
    return Message("user", tuple(TextPart(part) if isinstance(part, str) else part for part in parts))


def assistant(text: str) -> Message:
    """Return what the model said before."""
    return Message("assistant", (TextPart(text),))


def images_of(messages: Iterable[Message]) -> Sequence[ImagePart]:
    """All pictures of a conversation, in order."""
    return [image for message in messages for image in message.images]
