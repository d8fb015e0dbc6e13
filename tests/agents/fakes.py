"""Collaborators of agents made by hand: models, pictures, listeners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.answer.conftest import FakeCorpus

from docrag.answer.parts import AnswerParts
from docrag.answer.run import Run, RunParts
from docrag.chat.budget import BudgetOptions
from docrag.chat.events import SILENCE, Event, Listener, StepEvent
from docrag.chat.messages import ImagePart
from docrag.chat.model import Chats, Limits
from docrag.errors import IngestError
from docrag.geometry import Box
from docrag.models.client import ModelChat
from docrag.models.scripted import Rule, Script, ScriptedChatModel
from docrag.types import Answer, PageRef

MARKER = "MARK"


class FakePictures:
    """Pictures whose bytes say what they show; or the error that making them raises."""

    def __init__(self, error: IngestError | None = None) -> None:
        self.error = error
        self.asked: list[tuple[PageRef, float, Box | None]] = []

    def picture(self, ref: PageRef, *, dpi: float, clip: Box | None = None) -> ImagePart:
        self.asked.append((ref, dpi, clip))
        if self.error is not None:
            raise self.error
        shown = None if clip is None else tuple(round(v, 1) for v in clip)
        data = f"{ref.doc_id.removeprefix('id-')} {ref.page_no} {dpi:.0f} {shown}".encode()
        return ImagePart(data, "image/jpeg", 200, 280)


PICTURES = FakePictures()


class Hears(Listener):
    """Remembers events; calls the run off when `until` says so of them."""

    def __init__(self, *, cancel_at: str = "") -> None:
        self.events: list[Event] = []
        self._cancel_at = cancel_at
        self._cancelled = False

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        if self._cancel_at and isinstance(event, StepEvent) and event.message.startswith(self._cancel_at):
            self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    @property
    def steps(self) -> list[str]:
        """Messages of the steps heard."""
        return [event.message for event in self.events if isinstance(event, StepEvent)]


def scripted(*replies: Script, rules: Sequence[Rule] = ()) -> ScriptedChatModel:
    """Return a model that gives these replies in order."""
    return ScriptedChatModel(replies=list(replies), rules=list(rules))


def parts_with(model: ScriptedChatModel, *, limits: Limits | None = None, **budget: object) -> RunParts:
    """Return what a run needs, with a marker that tests know."""
    chat = ModelChat(model, name="scripted", limits=limits)
    return RunParts(Chats(chat), budget=BudgetOptions(**budget), make_marker=lambda: MARKER)


def run_with(*replies: Script) -> Run:
    """Return a run of its own."""
    return parts_with(scripted(*replies)).start(SILENCE)


def agent_parts(
    corpus: FakeCorpus,
    model: ScriptedChatModel,
    *,
    pictures: FakePictures = PICTURES,
    limits: Limits | None = None,
    **budget: object,
) -> AnswerParts:
    """Return what an agent over a fake corpus is made from."""
    return AnswerParts(corpus, corpus.search, parts_with(model, limits=limits, **budget), pictures)


def said(*sentences: tuple[str, str, str] | str, answerable: bool = True) -> dict[str, object]:
    """Return a cited reply; a sentence is a text alone, or a text, an evidence id and a quote."""
    return {
        "answerable": answerable,
        "sentences": [
            {"text": s, "citations": []}
            if isinstance(s, str)
            else {"text": s[0], "citations": [{"id": s[1], "quote": s[2]}]}
            for s in sentences
        ],
    }


NOT_SAID = {"answerable": False, "sentences": []}


def names_of(answer: Answer) -> list[str]:
    """Return the names of the trace's steps."""
    return [step.name for step in answer.trace]


def detail_of(answer: Answer, name: str) -> list[Mapping[str, Any]]:
    """Return the details of the steps of this name."""
    return [step.detail for step in answer.trace if step.name == name]


class JpegPictures(FakePictures):
    """Grey pictures that can be decoded."""

    def picture(self, ref: PageRef, *, dpi: float, clip: Box | None = None) -> ImagePart:
        import io

        from PIL import Image

        width_px, height_px = round(595 * dpi / 72), round(842 * dpi / 72)
        buffer = io.BytesIO()
        Image.new("RGB", (width_px, height_px), "grey").save(buffer, "JPEG")
        return ImagePart(buffer.getvalue(), "image/jpeg", width_px, height_px)
