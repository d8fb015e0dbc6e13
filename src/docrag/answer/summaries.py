"""Summarise the pages found, choose by summary, answer from the originals (Beyond Text, arXiv 2410.21943)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pydantic import BaseModel, Field

from docrag.answer.context import Context, Viewer
from docrag.answer.finish import Finisher
from docrag.answer.first_calls import Steps, next_few
from docrag.answer.one_pass import OnePass, Outcome
from docrag.answer.options import SummariesOptions
from docrag.answer.parts import AnswerParts
from docrag.answer.run import Ask, Run, request_for
from docrag.answer.search import search_for
from docrag.chat.events import SILENCE, Listener
from docrag.chat.fence import fenced
from docrag.chat.messages import system
from docrag.errors import BudgetExceeded, ModelError, ModelUnavailable
from docrag.types import Answer, Hit, Query, UnitRef

PROMPT = "answer_summaries"
ANSWER_PROMPT = "answer_from_summaries"
_SUMMARY_CHARS = 1_000
_CALLS_OF_A_PART = 2
"""At most: a reply that cannot be used is asked for once more."""


class PageSummary(BaseModel):
    """What a page holds that bears on the question; `relevance` from 0 to 10."""

    id: str
    summary: str = ""
    relevance: float = Field(ge=0, le=10)


class PageSummaries(BaseModel):
    """What is asked for of a few pages."""

    summaries: list[PageSummary]


class SummariesAnswerer:
    """Reads many pages cursorily and few of them well; satisfies `docrag.protocols.Answerer`.

    Pages are summarised some at a time (role inspect). The most relevant are answered from, as pictures and
    text, with their summaries beside them. Pages whose summary failed keep their rank after those that have
    one; when no page is relevant, the answer is withheld without a further call.
    """

    def __init__(self, parts: AnswerParts, options: SummariesOptions | None = None) -> None:
        self._parts = parts
        self._options = options if options is not None else SummariesOptions()
        self._viewer = Viewer(parts.corpus, parts.pictures, self._options.context)
        self._pass = OnePass(
            parts.corpus, self._viewer, ANSWER_PROMPT, self._options.prompt, self._options.citing
        )
        self._finisher = Finisher(parts.corpus, unfinished=parts.unfinished)

    def answer(self, query: Query, *, listener: Listener = SILENCE) -> Answer:
        """Answer with verified citations, or abstain with a reason.

        Raises
        ------
        ModelError, Cancelled
            The model failed or refused, or the run was called off.
        """
        run = self._parts.runs.start(listener)
        hits = search_for(run, self._parts.search, query, k=self._options.n_candidates)
        try:
            summaries, n_failed = self._summarise(run, query.text, hits)
            chosen = self._choose(run, hits, summaries, n_failed)
            if not chosen:
                return self._finisher.abstain(run, query)
            listing = "\n".join(
                f"{summary.id}: {' '.join(summary.summary.split())[:_SUMMARY_CHARS]}"
                for hit in chosen
                if (summary := summaries.get(hit.unit)) is not None
            )
            outcome: Outcome = self._pass.answer(
                run,
                query.text,
                chosen,
                variables={"summaries": fenced(listing or "none", run.marker, label="summaries")},
            )
        except BudgetExceeded as error:
            return self._finisher.broken_off(run, query, error)
        return self._finisher.conclude(run, query, outcome)

    def _summarise(
        self, run: Run, question: str, hits: Sequence[Hit]
    ) -> tuple[dict[UnitRef, PageSummary], int]:
        """Summaries by unit, and of how many hits the call failed; what is left undone counts as failed."""
        size = self._options.pages_per_call
        parts = [hits[start : start + size] for start in range(0, len(hits), size)]
        done: list[dict[UnitRef, PageSummary] | None] = []
        while len(done) < len(parts):
            done += next_few(
                run,
                parts[len(done) :],
                partial(self._attempt, question),
                role="inspect",
                n_parallel=self._options.n_parallel,
                n_calls=_CALLS_OF_A_PART,
            )
        summaries = {unit: summary for found in done if found is not None for unit, summary in found.items()}
        return summaries, sum(len(part) for part, found in zip(parts, done, strict=True) if found is None)

    def _attempt(
        self, question: str, run: Run, few: Sequence[Hit]
    ) -> Steps[dict[UnitRef, PageSummary] | None]:
        """Summaries by unit; None, with a warning, where the call failed."""
        try:
            return (yield from self._summarise_few(question, run, few))
        except ModelUnavailable:
            raise
        except (BudgetExceeded, ModelError) as error:
            run.warn(f"{len(few)} pages were not summarised: {error}")
            return None

    def _summarise_few(
        self, question: str, run: Run, few: Sequence[Hit]
    ) -> Steps[dict[UnitRef, PageSummary]]:
        prompt = run.prompts.get(PROMPT)
        rendered = prompt.render(question=question)
        pages = ", ".join(dict.fromkeys(f"{hit.doc} page {hit.page_no}" for hit in few))
        with run.step("summarise", f"summarising {pages}") as detail:
            opening = system(rendered.system)
            context = self._viewer.show(
                run, few, role="inspect", beside=[opening, Context().message(rendered.user)]
            )
            if not context.evidence:
                return {}
            messages = [opening, context.message(rendered.user)]
            ask = Ask("inspect", messages, prompt, request_for(PageSummaries))
            reply = run.read(ask, (yield ask), PageSummaries)
            shown = {evidence.evidence_id: evidence.hit.unit for evidence in context.evidence}
            found: dict[UnitRef, PageSummary] = {}
            for summary in reply.summaries:
                unit = shown.get(summary.id)
                if unit is None:
                    run.warn(f"removed a summary of {summary.id[:40]!a}: it was not shown")
                else:
                    found.setdefault(unit, summary)
            detail["relevance"] = {s.id: s.relevance for s in found.values()}
        return found

    def _choose(
        self,
        run: Run,
        hits: Sequence[Hit],
        summaries: dict[UnitRef, PageSummary],
        n_failed: int,
    ) -> list[Hit]:
        """The pages to read, the most relevant first, ties by rank; then those without a summary."""
        least = self._options.min_relevance
        good = [hit for hit in hits if hit.unit in summaries and summaries[hit.unit].relevance >= least]
        good.sort(key=lambda hit: -summaries[hit.unit].relevance)  # stable: ties keep their rank
        silent = [hit for hit in hits if hit.unit not in summaries]
        chosen = [*good, *silent][: self._options.n_pages]
        with run.trace.step("choose") as detail:
            detail |= {
                "chosen": [[hit.doc, hit.page_no] for hit in chosen],
                "n_summarised": len(summaries),
                "n_failed": n_failed,
            }
        return chosen
