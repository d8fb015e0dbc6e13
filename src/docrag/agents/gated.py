"""Retrieve or not, keep what is relevant, keep what is coherent, then answer: MMKB-RAG's gates.

Ling et al. 2025, arXiv 2504.10074: the model's own first-token probabilities say whether documents are needed
and whether each page is relevant, and a filter over several pages chooses a coherent subset. The text of the
paper is followed where its Algorithm 1 prints the two outcomes of the first gate the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from pydantic import BaseModel, Field, field_validator

from docrag.agents.ids import ids_of
from docrag.agents.options import GatedOptions
from docrag.agents.writer import break_off
from docrag.agents.yes_or_no import MAX_CALLS, probability_in, yes_or_no
from docrag.answer.cited import Cited
from docrag.answer.context import Viewer
from docrag.answer.finish import Finisher
from docrag.answer.first_calls import Steps, next_few
from docrag.answer.one_pass import OnePass
from docrag.answer.parts import AnswerParts
from docrag.answer.plain_output import plain_output
from docrag.answer.reply import cited_ids
from docrag.answer.run import Run
from docrag.answer.search import search_for
from docrag.chat.ask import as_messages
from docrag.chat.events import SILENCE, Listener
from docrag.chat.messages import system
from docrag.errors import BudgetExceeded, DocragError, ModelFormatError
from docrag.types import Answer, Hit, Query, Sentence

PROMPT = "answer_cited"
NOT_FROM_DOCUMENTS = "not from the documents: the question was judged to need none of them"
_KEPT_CALLS = 2
"""Calls kept back while pages are judged: one for the filter, one for the answer."""


class CoherentReply(BaseModel):
    """Which pages are evidence together."""

    reason: str = ""
    keep: list[str] = Field(default_factory=list[str])

    _keep = field_validator("keep", mode="before")(ids_of)


class _Judged(NamedTuple):
    hit: Hit
    relevance: float | None = None
    spent: str = ""


class GatedAgent:
    """Answers through gates; satisfies `docrag.protocols.Answerer`.

    It holds no state between questions and may be used from several threads.
    """

    def __init__(self, parts: AnswerParts, options: GatedOptions | None = None) -> None:
        self._parts = parts
        self._options = options if options is not None else GatedOptions()
        self._viewer = Viewer(parts.corpus, parts.pictures, self._options.context)
        self._pass = OnePass(parts.corpus, self._viewer, PROMPT, self._options.prompt, self._options.citing)
        self._finisher = Finisher(parts.corpus, unfinished=parts.unfinished)

    def answer(self, query: Query, *, listener: Listener = SILENCE) -> Answer:
        """Answer with verified citations, or abstain with a reason."""
        run = self._parts.runs.start(listener)
        try:
            if self._options.ungrounded != "retrieve" and not self._needs_documents(run, query):
                if self._options.ungrounded == "abstain":
                    run.warn("the question was judged to need no documents; answer.ungrounded is abstain")
                    return self._finisher.abstain(run, query)
                return self._without_documents(run, query)
            hits = search_for(run, self._parts.search, query, k=self._options.n_pages)
            pages = self._coherent(run, query, self._relevant(run, query, hits))
            if not pages:
                return self._finisher.abstain(run, query)
            return self._finisher.conclude(run, query, self._pass.answer(run, query.text, pages))
        except DocragError as error:
            return break_off(self._finisher, run, query, error)

    # ── gates ────────────────────────────────────────────────────────────────────────────────────────

    def _needs_documents(self, run: Run, query: Query) -> bool:
        """P(retrieve) > gamma; a model that says neither yes nor no retrieves."""
        with run.step("gate", "asking whether documents are needed") as detail:
            prompt = run.prompts.get("query_gate")
            ask = yes_or_no("judge", as_messages(prompt.render(question=query.text)), prompt=prompt)
            try:
                probability = probability_in(run, ask, run.make(ask))
            except ModelFormatError as error:
                run.warn(f"the retrieval gate said neither yes nor no ({error}); documents are searched")
                probability = 1.0
            needed = probability > self._options.gamma
            detail |= {"p_retrieve": round(probability, 4), "gamma": self._options.gamma, "retrieve": needed}
        return needed

    def _without_documents(self, run: Run, query: Query) -> Answer:
        """Answer what needs no documents; marked, and without citations whatever the model writes."""
        with run.step("answer", "answering without documents"):
            prompt = run.prompts.get("gate_ungrounded")
            reply = run.ask("answer", as_messages(prompt.render(question=query.text)), prompt=prompt)
            without_marks, _ = cited_ids(reply.text)
            plain = plain_output(without_marks, links=self._options.citing.links)
            text = " ".join(plain.text.split())
        if plain.removed:
            run.warn(f"removed from the answer: {', '.join(plain.removed)}")
        run.warn(NOT_FROM_DOCUMENTS)
        run.say(text)
        return self._finisher.answer(run, query, Cited((Sentence(text),) if text else ()))

    def _relevant(self, run: Run, query: Query, hits: Sequence[Hit]) -> list[Hit]:
        """Judge page by page, best first, and keep the most relevant; those not judged come last.

        Judging ends when nothing but the calls for filter and answer is left.
        """
        judged: list[_Judged] = []
        spent = ""
        while not spent and len(judged) < len(hits):
            spent = self._too_little_left(run)
            if not spent:
                judged += next_few(
                    run,
                    hits[len(judged) :],
                    partial(self._judge, query),
                    role="judge",
                    n_parallel=self._options.n_parallel,
                    n_calls=MAX_CALLS,  # at most one more than are kept back, which therefore stay
                )
                spent = next((page.spent for page in judged if page.spent), "")
        judged += [_Judged(hit) for hit in hits[len(judged) :]]
        if spent:
            n_unjudged = sum(page.relevance is None for page in judged)
            run.warn(f"{n_unjudged} pages were not judged: {spent}")
        threshold = self._options.relevance
        kept = [page for page in judged if page.relevance is not None and page.relevance > threshold]
        kept.sort(key=lambda page: -(page.relevance or 0.0))  # stable: ties stay in the order of retrieval
        kept += [page for page in judged if page.relevance is None]
        return [page.hit for page in kept[: self._options.max_relevant]]

    def _too_little_left(self, run: Run) -> str:
        left = run.meter.calls_left
        if left is None or left > _KEPT_CALLS:
            return ""
        limit = run.meter.options.max_calls
        return f"{_KEPT_CALLS} of {limit} model calls are kept for the answer (budget.max_calls)"

    def _judge(self, query: Query, run: Run, hit: Hit) -> Steps[_Judged]:
        with run.step("relevance", f"judging {hit.doc}, page {hit.page_no}") as detail:
            prompt = run.prompts.get("gate_relevance")
            rendered = prompt.render(question=query.text, marker=run.marker)
            opening = system(rendered.system)
            context = self._viewer.show(run, [hit], role="judge", beside=[opening])
            ask = yes_or_no("judge", [opening, context.message(rendered.user)], prompt=prompt)
            try:
                probability = probability_in(run, ask, (yield ask))
            except ModelFormatError as error:
                run.warn(f"{hit.doc}, page {hit.page_no}: its relevance was not judged: {error}")
                return _Judged(hit)
            except BudgetExceeded as error:
                return _Judged(hit, spent=str(error))
            detail |= {"page": [hit.doc, hit.page_no], "p_relevant": round(probability, 4)}
        return _Judged(hit, probability)

    def _coherent(self, run: Run, query: Query, hits: Sequence[Hit]) -> list[Hit]:
        """Keep the pages that are evidence together; all of them where the filter fails or keeps none."""
        if not self._options.consistency or len(hits) < 2:
            return list(hits)
        with run.step("consistency", f"comparing {len(hits)} pages") as detail:
            prompt = run.prompts.get("gate_consistency")
            rendered = prompt.render(question=query.text, marker=run.marker)
            opening = system(rendered.system)
            context = self._viewer.show(run, hits, role="judge", beside=[opening])
            try:
                messages = [opening, context.message(rendered.user)]
                reply = run.ask_for("judge", messages, CoherentReply, prompt=prompt)
            except (BudgetExceeded, ModelFormatError) as error:
                run.warn(f"the pages were not compared: {error}")
                return list(hits)
            chosen = {e.hit.unit for e in context.evidence if e.evidence_id in reply.keep}
            kept = [hit for hit in hits if hit.unit in chosen] or list(hits)
            detail |= {"kept": [[hit.doc, hit.page_no] for hit in kept], "n_left_out": len(hits) - len(kept)}
        return kept
