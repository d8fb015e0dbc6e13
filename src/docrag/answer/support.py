"""A second look at an answer: whether every sentence follows from the pages it cites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel

from docrag.answer.cited import Cited, renumbered
from docrag.answer.context import Viewer
from docrag.answer.options import CitingOptions
from docrag.answer.run import Run
from docrag.chat.fence import fenced
from docrag.chat.messages import system
from docrag.types import Hit, Sentence

PROMPT = "answer_support"


class Verdict(BaseModel):
    """What the check says of one sentence, by its number from 1."""

    sentence: int
    support: Literal["full", "partial", "none"]


class Verdicts(BaseModel):
    """What the check is asked for."""

    verdicts: list[Verdict]


def check_support(run: Run, question: str, cited: Cited, viewer: Viewer, options: CitingOptions) -> Cited:
    """Return the answer without, or with warnings on, sentences that the cited pages do not support.

    Only the cited pages are shown. The check judges sentences; `docrag.types.Citation.support` still says
    whether the quote stands on the page. A sentence without a verdict counts as supported in part. An answer
    that cites nothing is returned as it is: there is nothing to check it against.

    Raises
    ------
    BudgetExceeded, ModelError, Cancelled
        As `Run.ask_for`.
    """
    if not cited.citations:
        return cited
    prompt = run.prompts.get(PROMPT)
    listing = "\n".join(f"{i}. {sentence.text}" for i, sentence in enumerate(cited.sentences, 1))
    rendered = prompt.render(question=question, sentences=fenced(listing, run.marker, label="sentences"))
    with run.step("check support", "checking the answer against the pages it cites") as detail:
        opening = system(rendered.system)
        context = viewer.show(run, _cited_hits(run, cited), role="judge", beside=[opening])
        messages = [opening, context.message(rendered.user)]
        reply = run.ask_for("judge", messages, Verdicts, prompt=prompt)
        said = {verdict.sentence: verdict.support for verdict in reply.verdicts}
        kept: list[Sentence] = []
        for i, sentence in enumerate(cited.sentences, 1):
            support = said.get(i, "partial")
            if support == "none" and options.unsupported == "drop":
                run.warn(f"left out a sentence that the cited pages do not support: {sentence.text!a}")
                continue
            if support == "none":
                run.warn(f"the cited pages do not support: {sentence.text!a}")
            elif support == "partial":
                run.warn(f"the cited pages support only in part: {sentence.text!a}")
            kept.append(sentence)
        detail["verdicts"] = [said.get(i) for i in range(1, len(cited.sentences) + 1)]
    return renumbered(replace(cited, sentences=tuple(kept)))


def _cited_hits(run: Run, cited: Cited) -> Sequence[Hit]:
    ids = dict.fromkeys(citation.evidence_id for citation in cited.citations)
    found = [run.ledger.get(evidence_id) for evidence_id in ids]
    return [evidence.hit for evidence in found if evidence is not None]
