"""Make evidence fit a model: lower the resolution step by step, then drop the lowest ranks, then cut text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from docrag.answer.options import ContextOptions
from docrag.chat.fence import fenced
from docrag.chat.messages import Message, images_of
from docrag.chat.model import Chat
from docrag.errors import ContextOverflow
from docrag.geometry import POINTS_PER_INCH, Box
from docrag.types import Hit, Page

DPI_STEP = 0.8
"""One step keeps nearly two thirds of the pixels."""
HEADING_TOKENS = 50
"""The line above a page: its id, the name of its document, its numbers."""
TOKENS_PER_MESSAGE = 8
"""What chat templates add around a message, generously."""
CUT = "\n[… cut to fit]"


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One hit as it may be shown: its text, "" for none, and its picture, the part in `clip` or the page."""

    hit: Hit
    page: Page
    text: str
    full_text: str
    clip: Box | None
    with_image: bool
    crop_dpi: float

    def dpi_at(self, dpi: float) -> float:
        """Resolution of its picture when whole pages are drawn at `dpi`; crops shrink in step with them."""
        return dpi if self.clip is None else max(dpi, self.crop_dpi)

    def size_px(self, dpi: float) -> tuple[int, int]:
        """Width and height of its picture."""
        box_pt = self.page.size if self.clip is None else (self.clip.width, self.clip.height)
        return pixels(box_pt, self.dpi_at(dpi))

    def without_image(self) -> Exhibit:
        """The same with its text as it is and no picture."""
        return replace(self, with_image=False, clip=None)

    def as_text(self) -> Exhibit:
        """The same with all of its text and no picture."""
        return replace(self, with_image=False, clip=None, text=self.full_text)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What fits, best first, at which resolution, about how many tokens it takes, and what was done to it."""

    exhibits: tuple[Exhibit, ...]
    dpi: float
    n_tokens: int
    notes: tuple[str, ...]


def pixels(size_pt: tuple[float, float], dpi: float) -> tuple[int, int]:
    """Width and height in pixels of something so large in points, at least 1 each."""
    width_pt, height_pt = size_pt
    scale = dpi / POINTS_PER_INCH
    return max(1, math.ceil(width_pt * scale)), max(1, math.ceil(height_pt * scale))


def n_tokens_of(messages: Sequence[Message], chat: Chat) -> int:
    """Tokens of a conversation, pictures included."""
    n_text = sum(chat.count_text(message.text) + TOKENS_PER_MESSAGE for message in messages)
    return n_text + sum(chat.count_image(i.width_px, i.height_px) for i in images_of(messages))


def fit(
    exhibits: Sequence[Exhibit],
    chat: Chat,
    marker: str,
    *,
    options: ContextOptions,
    beside: Sequence[Message] = (),
    n_tokens_beside: int = 0,
) -> Fitted:
    """Return as much of `exhibits`, best first, as the model's context takes beside the rest and the reply.

    Raises
    ------
    ContextOverflow
        The rest alone leaves no room.
    """
    limits = chat.limits
    room = limits.context_tokens - options.reply_tokens - n_tokens_of(beside, chat) - n_tokens_beside
    if room < TOKENS_PER_MESSAGE:
        raise ContextOverflow(
            f"{chat.name} takes {limits.context_tokens} tokens; the instructions and the conversation leave"
            f" no room for evidence beside {options.reply_tokens} tokens of reply (context.reply_tokens)"
        )
    text_tokens = [_text_tokens(e, chat, marker) for e in exhibits]
    notes: list[str] = []
    images_room = limits.max_images - len(images_of(beside)) - bool(n_tokens_beside)
    kept: list[Exhibit] = list(exhibits)
    pictured = [i for i, e in enumerate(kept) if e.with_image]
    if len(pictured) > images_room:
        over = pictured[max(0, images_room) :]
        notes.append(
            f"{chat.name} takes {limits.max_images} pictures in one call; the text of the"
            f" {len(over)} lowest-ranked of {len(pictured)} is used instead"
        )
        for i in over:
            kept[i] = kept[i].as_text()
            text_tokens[i] = _text_tokens(kept[i], chat, marker)

    def needed(n: int, dpi: float) -> int:
        n_images = sum(chat.count_image(*e.size_px(dpi)) for e in kept[:n] if e.with_image)
        return sum(text_tokens[:n]) + n_images

    dpi, n = options.dpi, len(kept)
    while n and needed(n, dpi) > room and dpi > options.min_dpi and any(e.with_image for e in kept):
        dpi = max(options.min_dpi, dpi * DPI_STEP)
        kept = [replace(e, crop_dpi=max(dpi, e.crop_dpi * DPI_STEP)) for e in kept]
    while n > 1 and needed(n, dpi) > room:
        n -= 1
    if dpi < options.dpi:
        notes.append(f"pages are shown at {dpi:.0f} instead of {options.dpi:.0f} dpi to fit {chat.name}")
    if n < len(kept):
        notes.append(
            f"{len(kept) - n} of {len(kept)} pages, the lowest-ranked, do not fit {chat.name} and are left"
            " out"
        )
    kept = kept[:n]
    if n and needed(n, dpi) > room:
        if kept[0].with_image and kept[0].full_text:
            as_text = fit([e.as_text() for e in exhibits], chat, marker, options=options, beside=beside)
            note = f"no picture of a page fits {chat.name}, even at {dpi:.0f} dpi; their text is used instead"
            return replace(as_text, notes=(note, *as_text.notes))
        kept[0], note = _cut(kept[0], chat, marker, room)
        notes.append(note)
        text_tokens[0] = room
    return Fitted(tuple(kept), dpi, min(room, needed(n, dpi)) if n else 0, tuple(notes))


def _text_tokens(exhibit: Exhibit, chat: Chat, marker: str) -> int:
    return HEADING_TOKENS + (_n_fenced(exhibit.text, chat, marker) if exhibit.text else 0)


def _n_fenced(text: str, chat: Chat, marker: str) -> int:
    return chat.count_text(fenced(text, marker, label="E999"))


def _cut(exhibit: Exhibit, chat: Chat, marker: str, room: int) -> tuple[Exhibit, str]:
    """Return the one page that is left with as much of its text as fits."""
    where = f"{exhibit.hit.doc}, page {exhibit.hit.page_no}"
    text = exhibit.full_text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if _n_fenced(text[:middle] + CUT, chat, marker) + HEADING_TOKENS <= room:
            low = middle
        else:
            high = middle - 1
    if not low:
        raise ContextOverflow(f"{where}: nothing of it fits {chat.name} beside the instructions")
    return (
        replace(exhibit.as_text(), text=text[:low] + CUT),
        f"{where}: only the first {low} of {len(text)} characters of its text fit {chat.name}",
    )
