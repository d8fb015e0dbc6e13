"""What agents share: asking for a cited answer, and ending a run that cannot go on."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.answer.cited import NOTHING, Cited, cite
from docrag.answer.finish import Finisher
from docrag.answer.options import CitingOptions
from docrag.answer.reply import CUT_OFF, NO_FORMAT, CitedReply, Read, read_cited
from docrag.answer.run import Run
from docrag.chat.ask import repair
from docrag.chat.json_reply import json_objects
from docrag.chat.messages import Message
from docrag.chat.model import Reply, Request, Role
from docrag.chat.prompts import Prompt
from docrag.errors import Cancelled, DocragError, ModelError, ModelFormatError
from docrag.protocols import Corpus
from docrag.types import Answer, Query


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
            read = _read(reply)
        except ModelFormatError as error:
            reply = run.ask(role, repair(messages, reply.text, error), prompt=prompt, request=request)
            read = _read(reply)
        notes = [*read.notes, *([CUT_OFF] if reply.finish == "length" else [])]
        for note in notes:
            run.warn(note)
        return read.reply

    def verify(self, run: Run, reply: CitedReply) -> Cited:
        """Return the answer with its citations verified; nothing when it says that it cannot be answered."""
        return cite(run, reply.sentences, self._corpus, self._options) if reply.answerable else NOTHING

    def check(self, run: Run, reply: CitedReply) -> Cited:
        """Verify a draft: as `verify`, but what is wrong with it is no warning of the answer."""
        before = list(run.warnings)
        cited = self.verify(run, reply)
        run.warnings[:] = before
        return cited

    def write(self, run: Run, messages: Sequence[Message], *, prompt: Prompt) -> Cited:
        """Ask and verify in one go; empty when the model says that the evidence does not carry an answer."""
        return self.verify(run, self.ask(run, messages, prompt=prompt))


def _read(reply: Reply) -> Read:
    """Read a reply; one more action, which a model in a loop may write, is no answer in plain words."""
    if reply.finish == "refusal":
        raise ModelError(f"{reply.model or 'the model'} refused to answer: {reply.text[:200]!r}")
    read = read_cited(reply.text)
    if NO_FORMAT in read.notes and next(json_objects(reply.text), None) is not None:
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
