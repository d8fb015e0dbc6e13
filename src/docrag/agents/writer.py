"""What agents share: asking for a cited answer, and ending a run that cannot go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from docrag.answer.cited import NOTHING, Cited, cite
from docrag.answer.finish import Finisher
from docrag.answer.options import CitingOptions
from docrag.answer.partial_json import Path
from docrag.answer.reply import CUT_OFF, NO_FORMAT, CitedReply, Read, read_cited
from docrag.answer.run import Run
from docrag.answer.sentence_stream import SentenceStream
from docrag.chat.ask import reading_again, repair
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
        self,
        run: Run,
        messages: Sequence[Message],
        *,
        prompt: Prompt,
        role: Role = "answer",
        stream: SentenceStream | None = None,
    ) -> CitedReply:
        """Return what a model answers, its citations not verified yet; a `stream` says it as it arrives.

        A reply that is empty, or an object of another kind, is asked for once more. Raises as
        `docrag.answer.run.Run.ask`, and `docrag.errors.ModelFormatError` when the second one is no better.
        """
        request = Request(schema=CitedReply.model_json_schema(), schema_name="CitedReply")
        streamed = replace(request, on_token=stream.feed) if stream is not None else request
        reply = run.ask(role, messages, prompt=prompt, request=streamed)
        try:
            read = _read(reply)
        except ModelFormatError as error:
            reply = run.ask(role, repair(messages, reply.text, error), prompt=prompt, request=request)
            with reading_again(run.chats.of(role).name):
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
        """Ask for the last word and verify it; empty when the model says that the evidence carries none."""
        return self.verify(run, self.ask(run, messages, prompt=prompt, stream=self.stream(run)))

    def stream(self, run: Run, *, under: Path = ()) -> SentenceStream:
        """Return what says the last word of a run while it arrives."""
        return SentenceStream(run.say, links=self._options.links, under=under, marker=run.marker)


def _read(reply: Reply) -> Read:
    """Read a reply; one more action, which a model in a loop may write, is no answer in plain words."""
    if reply.finish == "refusal":
        raise ModelError(f"{reply.model or 'the model'} refused to answer: {reply.text[:200]!r}")
    read = read_cited(reply.text)
    if NO_FORMAT in read.notes and next(json_objects(reply.text), None) is not None:
        raise ModelFormatError('the object has no "answerable" and no "sentences"')
    return read


def give(finisher: Finisher, run: Run, query: Query, cited: Cited, *, is_partial: bool = False) -> Answer:
    """Say what was not said yet of an answer and return it; an empty one is an abstention.

    One that a reply which broke off has a part in is partial, as the warning of it says.
    """
    run.say_rest(cited.text)
    return finisher.answer(run, query, cited, is_partial=is_partial or CUT_OFF in run.warnings)


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
        run.say_rest(supported.text)
    return finisher.broken_off(run, query, error, supported)
