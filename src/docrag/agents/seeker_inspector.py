"""A seeker chooses pages, an inspector reads them, an answer is written: ViDoRAG's agents.

Wang et al. 2025, arXiv 2502.18017, section 3.3. What is different from the published code: rounds are
counted; feedback on an empty buffer, an empty choice and a reply out of format all have a next move, not an
error or an endless loop; the seeker's summary reaches the inspector; pages go by the ids of the run's
evidence, not by their place in a picture; and a question that fails is an abstention or an error, never left
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field, field_validator

from docrag.agents.board import Board, after_answer, after_feedback, after_seeking, known, opening
from docrag.agents.ids import ids_of
from docrag.agents.options import SeekerInspectorOptions
from docrag.agents.writer import Writer, break_off, give
from docrag.answer.cited import Cited
from docrag.answer.context import EVIDENCE_CHARS, Viewer
from docrag.answer.finish import Finisher
from docrag.answer.parts import AnswerParts
from docrag.answer.reply import CitedReply, CitedSentence
from docrag.answer.run import Run
from docrag.answer.search import search_for
from docrag.answer.visible_text import visible_text
from docrag.chat.events import SILENCE, Listener
from docrag.chat.fence import fenced
from docrag.chat.messages import Message, system
from docrag.chat.model import Role
from docrag.chat.prompts import Prompt
from docrag.errors import DocragError, ModelFormatError
from docrag.types import Abstention, Answer, Evidence, Hit, Query

_KEPT_CALLS = 1
"""Calls kept back for the answer when calls are limited."""


class SeekerReply(BaseModel):
    """Which pages to read, and what the seeker saw on them."""

    reason: str = ""
    summary: str = ""
    choice: list[str] = Field(description="ids of the pages chosen; empty when none of them helps")

    _choice = field_validator("choice", mode="before")(ids_of)


class InspectorReply(BaseModel):
    """An answer, or what is missing and which pages to keep."""

    reason: str = ""
    sufficient: bool
    sentences: list[CitedSentence] = Field(default_factory=list[CitedSentence])
    information: str = ""
    keep: list[str] = Field(default_factory=list[str])

    _keep = field_validator("keep", mode="before")(ids_of)

    @property
    def draft(self) -> CitedReply:
        """The sentences as a cited reply."""
        return CitedReply(answerable=bool(self.sentences), sentences=self.sentences)


@dataclass(slots=True)
class _Case:
    """One question on its way.

    `draft` is the inspector's last and `stands` says whether anything supports it; `best` is the last draft
    that something supports.
    """

    run: Run
    query: Query
    hits: dict[str, Hit]
    board: Board
    draft: CitedReply | None = None
    stands: bool = False
    best: CitedReply | None = None


class SeekerInspectorAgent:
    """Answers in rounds of seeking and inspecting; satisfies `docrag.protocols.Answerer`.

    It holds no state between questions and may be used from several threads.
    """

    def __init__(self, parts: AnswerParts, options: SeekerInspectorOptions | None = None) -> None:
        self._parts = parts
        self._options = options if options is not None else SeekerInspectorOptions()
        self._viewer = Viewer(parts.corpus, parts.pictures, self._options.context)
        self._finisher = Finisher(parts.corpus, unfinished=parts.unfinished)
        self._writer = Writer(parts.corpus, self._options.citing)

    def answer(self, query: Query, *, listener: Listener = SILENCE) -> Answer:
        """Answer with verified citations, or abstain with a reason."""
        run = self._parts.runs.start(listener)
        case = _Case(run, query, {}, opening([]))
        try:
            found = search_for(run, self._parts.search, query, k=self._options.n_pages)
            evidence = self._issue(run, found)
            case.hits = {e.evidence_id: e.hit for e in evidence}
            case.board = opening(case.hits)
            stopped = self._rounds(case)
            return self._finish(case, stopped)
        except DocragError as error:
            return break_off(self._finisher, run, query, error, self._best(case))

    def _issue(self, run: Run, hits: Sequence[Hit]) -> list[Evidence]:
        """Give every candidate its id at once, so that a page keeps it whichever round shows it first."""
        pages = self._parts.corpus.read_pages(hit.unit.page for hit in hits)
        return [
            run.ledger.issue(hit, visible_text(pages[hit.unit.page]).text[:EVIDENCE_CHARS]) for hit in hits
        ]

    # ── rounds ───────────────────────────────────────────────────────────────────────────────────────

    def _rounds(self, case: _Case) -> str:
        """Seek and inspect until the board says otherwise; return why that was ended early, or nothing."""
        meter = case.run.meter
        limit = meter.options.max_calls
        while case.board.move == "seek":
            if not meter.rounds_left:
                return f"all {meter.options.max_rounds} rounds are used (budget.max_rounds)"
            if limit is not None and limit - meter.usage.n_model_calls <= _KEPT_CALLS:
                return f"all {limit} model calls but the last are used (budget.max_calls)"
            meter.start_round()
            case.board = self._seek(case)
            if case.board.move == "inspect":
                case.board = self._inspect(case)
        return ""

    def _seek(self, case: _Case) -> Board:
        board = case.board
        with case.run.step("seek", f"looking through {len(board.candidates)} pages") as detail:
            prompt = case.run.prompts.get("seeker")
            feedback = f"Additional information, missing so far: {board.feedback}" if board.feedback else ""
            rendered = prompt.render(question=case.query.text, marker=case.run.marker, feedback=feedback)
            messages = self._messages(case, board.candidates, rendered.system, rendered.user, role="inspect")
            try:
                reply = case.run.ask_for("inspect", messages, SeekerReply, prompt=prompt)
            except ModelFormatError as error:
                # Reading everything that is left costs more than choosing, and loses nothing.
                case.run.warn(f"the seeker did not keep to its format ({error}); it is read as choosing all")
                reply = SeekerReply(choice=list(board.candidates))
            chosen, unknown = known(reply.choice, board.candidates)
            room = max(1, self._options.max_inspected - len(board.kept))
            if len(chosen) > room:
                case.run.warn(
                    f"{len(chosen)} pages were chosen and {room} can be inspected at once; the others wait"
                )
            detail |= {"choice": list(chosen[:room]), "summary": reply.summary, "unknown": list(unknown)}
        return after_seeking(board, chosen[:room], reply.summary)

    def _inspect(self, case: _Case) -> Board:
        board = case.board
        with case.run.step("inspect", f"looked at {self._places(case, board.inspected)}") as detail:
            prompt = case.run.prompts.get("inspector")
            summary = f"The reader before you noted: {board.summary}" if board.summary else ""
            rendered = prompt.render(
                question=case.query.text,
                marker=case.run.marker,
                summary=self._quoted(case, summary),
                n_left=str(len(board.candidates)),
            )
            messages = self._messages(case, board.inspected, rendered.system, rendered.user, role="inspect")
            try:
                reply = case.run.ask_for("inspect", messages, InspectorReply, prompt=prompt)
            except ModelFormatError as error:
                case.run.warn(f"the inspector did not keep to its format ({error}); its pages are kept")
                reply = InspectorReply(sufficient=False, keep=list(board.inspected))
            detail |= {"inspected": list(board.inspected), "sufficient": reply.sufficient}
            if reply.sentences:
                case.draft = reply.draft
                verified = self._writer.check(case.run, reply.draft)
                case.stands = verified.is_supported
                case.best = reply.draft if case.stands else case.best
            if reply.sufficient and reply.sentences:
                references = [c.id for sentence in reply.sentences for c in sentence.citations]
                moved = after_answer(board, references)
                detail["references"] = list(moved.references)
            else:
                moved = after_feedback(board, reply.keep, reply.information)
                detail |= {"missing": reply.information, "kept": list(moved.kept)}
            detail["next"] = moved.move
        return moved

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────

    def _finish(self, case: _Case, stopped: str) -> Answer:
        run, query, board = case.run, case.query, case.board
        if stopped:
            run.warn(f"stopped early: {stopped}")
        if board.move == "accept" and case.draft is not None and case.stands:
            return give(self._finisher, run, query, self._writer.verify(run, case.draft))
        pages = board.references if board.move in ("accept", "check") else board.kept
        if stopped and not pages:
            pages = board.candidates[: self._options.max_inspected]
        if pages and board.move != "give up":
            cited = self._write(case, pages)
            if cited.sentences:
                return give(self._finisher, run, query, cited, is_partial=bool(stopped))
        best = self._best(case) if board.move not in ("accept", "check") else None
        if best is not None:
            return give(self._finisher, run, query, best, is_partial=True)
        return self._finisher.abstain(run, query, Abstention.BUDGET_SPENT if stopped else None)

    def _best(self, case: _Case) -> Cited | None:
        """Return the last draft that something supports, verified; what is removed of it is a warning."""
        return self._writer.verify(case.run, case.best) if case.best is not None else None

    def _write(self, case: _Case, pages: Sequence[str]) -> Cited:
        with case.run.step("answer", f"writing the answer from {self._places(case, pages)}") as detail:
            detail["pages"] = list(pages)
            prompt: Prompt = case.run.prompts.get("inspected_answer")
            has_draft = case.draft is not None and case.board.move in ("check", "accept")
            draft = " ".join(s.text for s in case.draft.sentences) if case.draft and has_draft else ""
            detail["has_draft"] = has_draft
            rendered = prompt.render(
                question=case.query.text,
                marker=case.run.marker,
                draft=self._quoted(case, f"Related information, a draft: {draft}" if draft else ""),
            )
            messages = self._messages(case, pages, rendered.system, rendered.user, role="answer")
            return self._writer.write(case.run, messages, prompt=prompt)

    # ── what is shown ────────────────────────────────────────────────────────────────────────────────

    def _messages(
        self, case: _Case, pages: Sequence[str], instructions: str, question: str, *, role: Role
    ) -> list[Message]:
        opening_message = system(instructions)
        hits = [case.hits[page] for page in pages]
        context = self._viewer.show(case.run, hits, role=role, beside=[opening_message])
        return [opening_message, context.message(question)]

    def _quoted(self, case: _Case, text: str) -> str:
        """Return what one model said for another, as data: it may repeat what a document told it to say."""
        return fenced(text, case.run.marker, label="notes") if text else ""

    def _places(self, case: _Case, pages: Sequence[str]) -> str:
        return ", ".join(f"{case.hits[page].doc}, page {case.hits[page].page_no}" for page in pages)
