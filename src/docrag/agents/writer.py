"""What agents share: asking for a cited answer, and ending a run that cannot go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from docrag.answer.cited import NOTHING, Cited, cite
from docrag.answer.context import Viewer
from docrag.answer.finish import Finisher, nothing_unfinished
from docrag.answer.gather import Search
from docrag.answer.options import CitingOptions, ContextOptions
from docrag.answer.reply import NO_FORMAT, CitedReply, Read, read_cited
from docrag.answer.run import Run, RunParts
from docrag.chat.ask import repair
from docrag.chat.json_reply import json_objects
from docrag.chat.messages import Message
from docrag.chat.model import Request, Role
from docrag.chat.prompts import Prompt
from docrag.errors import Cancelled, DocragError, ModelFormatError
from docrag.protocols import Corpus, PagePictures
from docrag.types import Answer, Query


@dataclass(frozen=True, slots=True)
class AgentParts:
    """What every agent over one index is made from. Without `pictures` models are shown text alone.

    `unfinished` names documents whose indexing has not come to its end.
    """

    corpus: Corpus
    search: Search
    run: RunParts
    pictures: PagePictures | None = None
    unfinished: Callable[[], Sequence[str]] = nothing_unfinished

    def viewer(self, options: ContextOptions) -> Viewer:
        """Return what shows pages to models."""
        return Viewer(self.corpus, self.pictures, options)

    def finisher(self) -> Finisher:
        """Return what makes answers of runs."""
        return Finisher(self.corpus, unfinished=self.unfinished)


class Writer:
    """Asks a model for a cited answer and verifies it."""

    def __init__(self, corpus: Corpus, options: CitingOptions) -> None:
        self._corpus = corpus
        self._options = options

    def ask(
        self, run: Run, messages: Sequence[Message], *, prompt: Prompt, role: Role = "answer"
    ) -> CitedReply:
        """Return what a model answers, its citations not verified yet.

        A reply that is empty, or an object of another kind, is asked for once more. Raises as
        `docrag.answer.run.Run.ask`, and `docrag.errors.ModelFormatError` when the second one is no better.
        """
        request = Request(schema=CitedReply.model_json_schema(), schema_name="CitedReply")
        reply = run.ask(role, messages, prompt=prompt, request=request)
        try:
            read = _read(reply.text)
        except ModelFormatError as error:
            again = run.ask(role, repair(messages, reply.text, error), prompt=prompt, request=request)
            read = _read(again.text)
        for note in read.notes:
            run.warn(note)
        return read.reply

    def verify(self, run: Run, reply: CitedReply) -> Cited:
        """Return the answer with its citations verified; nothing when it says that it cannot be answered."""
        return cite(run, reply.sentences, self._corpus, self._options) if reply.answerable else NOTHING

    def write(self, run: Run, messages: Sequence[Message], *, prompt: Prompt) -> Cited:
        """Ask and verify in one go; empty when the model says that the evidence does not carry an answer."""
        return self.verify(run, self.ask(run, messages, prompt=prompt))


def _read(text: str) -> Read:
    """Read a reply; one more action, which a model in a loop may write, is no answer in plain words."""
    read = read_cited(text)
    if NO_FORMAT in read.notes and next(json_objects(text), None) is not None:
        raise ModelFormatError('the object has no "answerable" and no "sentences"')
    return read


def give(finisher: Finisher, run: Run, query: Query, cited: Cited, *, is_partial: bool = False) -> Answer:
    """Say an answer to the listener and return it; an empty one is an abstention."""
    run.say(cited.text)
    return finisher.answer(run, query, cited, is_partial=is_partial)


def break_off(
    finisher: Finisher, run: Run, query: Query, error: DocragError, best: Cited | None = None
) -> Answer:
    """End a run that cannot go on: the best answer so far if something supports it, else as `Finisher` does.

    A run that was called off ends with `docrag.errors.Cancelled`, whatever is known by then.
    """
    if isinstance(error, Cancelled):
        raise error
    supported = best if best is not None and best.is_supported else None
    if supported is not None:
        run.say(supported.text)
    return finisher.broken_off(run, query, error, supported)
