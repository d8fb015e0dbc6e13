"""A chat model that says what it was told, pictures that cost nothing, and what answerers are made of."""

import io
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PIL import Image
from tests.answer.conftest import FakeCorpus

from docrag.answer.parts import AnswerParts
from docrag.answer.run import Run, RunParts
from docrag.chat.budget import BudgetOptions
from docrag.chat.events import SILENCE, StepEvent, TokenEvent
from docrag.chat.messages import ImagePart, Message, images_of
from docrag.chat.model import CallUsage, Chats, Finish, Limits, Reply, Request, Role
from docrag.errors import Cancelled, IngestError
from docrag.types import Trace

MARKER = "f00dfeedcafe0123"


@dataclass
class Said:
    """A scripted reply with more than its text."""

    text: str
    finish: Finish = "stop"
    first_logprobs: dict[str, float] | None = None


Script = str | Said | Exception | Callable[[Sequence[Message]], "str | Said"]


@dataclass
class FakeChat:
    """Implements `docrag.chat.model.Chat`: one script a call, streamed in pieces of `piece` characters."""

    scripts: list[Script] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)
    name: str = "fake"
    piece: int = 7
    pixels_per_token: int = 784
    asked: list[tuple[Sequence[Message], Request]] = field(default_factory=list)
    n_streamed: int = 0
    threads: set[int] = field(default_factory=set)

    def count_text(self, text: str) -> int:
        return (len(text) + 3) // 4

    def count_image(self, width_px: int, height_px: int) -> int:
        return -(-width_px * height_px // self.pixels_per_token)

    def complete(self, messages: Sequence[Message], request: Request) -> Reply:
        self.asked.append((list(messages), request))
        self.threads.add(threading.get_ident())
        script = self.scripts[len(self.asked) - 1]
        if isinstance(script, Exception):
            raise script
        said = script(messages) if callable(script) else script
        said = said if isinstance(said, Said) else Said(said)
        for start in range(0, len(said.text), self.piece):
            if request.cancelled():
                raise Cancelled("called off")
            request.on_token(said.text[start : start + self.piece])
            self.n_streamed += 1
        n_images = len(images_of(messages))
        usage = CallUsage(0.01, 1, sum(self.count_text(m.text) for m in messages), 10, 0, n_images, 0.5)
        return Reply(said.text, said.finish, usage, self.name, said.first_logprobs)


@dataclass
class FakePictures:
    """Implements `docrag.protocols.PagePictures`; pages in `broken` cannot be drawn."""

    broken: frozenset[int] = frozenset()
    real: bool = False
    drawn: list[tuple] = field(default_factory=list)

    def picture(self, ref, *, dpi, clip=None):
        self.drawn.append((ref, dpi, clip))
        if ref.page_no in self.broken:
            raise IngestError("io_error", "the file is gone")
        width_pt, height_pt = (595.0, 842.0) if clip is None else (clip.width, clip.height)
        size = max(1, round(width_pt * dpi / 72)), max(1, round(height_pt * dpi / 72))
        data = f"{ref} {dpi} {clip}".encode()
        if self.real:
            buffer = io.BytesIO()
            Image.new("RGB", size, "white").save(buffer, "JPEG")
            data = buffer.getvalue()
        return ImagePart(data, "image/jpeg", *size)


class Heard:
    """A listener that remembers, and calls off after `n_tokens` pieces of text."""

    def __init__(self, *, n_tokens: int | None = None) -> None:
        self.steps: list[str] = []
        self.tokens: list[str] = []
        self._n_tokens = n_tokens

    def on_event(self, event) -> None:
        if isinstance(event, StepEvent):
            self.steps.append(event.name)
        elif isinstance(event, TokenEvent):
            self.tokens.append(event.text)

    def cancelled(self) -> bool:
        return self._n_tokens is not None and len(self.tokens) >= self._n_tokens

    @property
    def text(self) -> str:
        return "".join(self.tokens)


def run_of(chat: FakeChat, *, budget: BudgetOptions | None = None, listener=SILENCE) -> Run:
    return runs_of(chat, budget=budget).start(listener)


def runs_of(
    chat: FakeChat, *, budget: BudgetOptions | None = None, roles: dict[Role, FakeChat] | None = None
) -> RunParts:
    return RunParts(Chats(chat, roles or {}), budget=budget or BudgetOptions(), make_marker=lambda: MARKER)


def parts_of(
    corpus: FakeCorpus,
    chat: FakeChat,
    *,
    pictures: FakePictures | None = None,
    budget: BudgetOptions | None = None,
    roles: dict[Role, FakeChat] | None = None,
    unfinished: Sequence[str] = (),
) -> AnswerParts:
    return AnswerParts(
        corpus,
        corpus.search,
        runs_of(chat, budget=budget, roles=roles),
        pictures if pictures is not None else FakePictures(),
        lambda: unfinished,
    )


def cited_json(*sentences: tuple, answerable: bool = True, **more: object) -> str:
    """A reply; a sentence is its text and then its citations, each an id and a quote."""
    return json.dumps(
        {
            **more,
            "answerable": answerable,
            "sentences": [
                {"text": text, "citations": [{"id": i, "quote": q} for i, q in citations]}
                for text, *citations in sentences
            ],
        }
    )


DECLINED = cited_json(answerable=False)


def step_names(trace: Trace) -> list[str]:
    return [step.name for step in trace]


def detail_of(trace: Trace, name: str) -> dict:
    (found,) = [dict(step.detail) for step in trace if step.name == name]
    return found
