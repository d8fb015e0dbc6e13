"""One branch of VisDoMRAG: evidence, then reasoning, then an answer, from one modality alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from docrag.answer.ask_cited import ask_cited
from docrag.answer.cited import NOTHING, Cited, cite, is_supported
from docrag.answer.context import Context, Viewer
from docrag.answer.one_pass import digests, render_with
from docrag.answer.options import CitingOptions
from docrag.answer.partial_json import read_truncated
from docrag.answer.reply import CitedReply, CitedSentence, ReplyModel
from docrag.answer.run import Run
from docrag.chat.json_reply import json_objects
from docrag.chat.messages import system
from docrag.protocols import Corpus
from docrag.types import Hit

BranchName = Literal["text", "image"]
_SHOWN_EVIDENCE = 20


class EvidenceNote(ReplyModel):
    """Something on a page that bears on the question."""

    id: str
    element: str = ""
    content: str = ""
    relevance: str = ""


class BranchReply(ReplyModel):
    """What a branch is asked for; the answer comes last, after what it rests on."""

    evidence: list[EvidenceNote] = Field(default_factory=list[EvidenceNote])
    reasoning: str = ""
    answerable: bool
    short_answer: str = ""
    sentences: list[CitedSentence] = Field(default_factory=list[CitedSentence])


class _Curated(BaseModel):
    """The part of a branch's reply that stands before its answer, read however the rest looks."""

    evidence: list[EvidenceNote] = Field(default_factory=list[EvidenceNote])
    reasoning: str = ""
    short_answer: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """What a branch found. `cited` is empty when it declined; `notes` are of evidence that it was shown."""

    name: BranchName
    notes: tuple[EvidenceNote, ...]
    reasoning: str
    short_answer: str
    reply: CitedReply
    cited: Cited
    is_complete: bool

    @property
    def declined(self) -> bool:
        """Whether it gave no answer."""
        return not self.cited.sentences

    @property
    def n_supported(self) -> int:
        """How many of its citations were verified."""
        return sum(is_supported(citation) for citation in self.cited.citations)

    @property
    def said(self) -> str:
        """Its answer in as few words as it gave."""
        return self.short_answer.strip() or self.cited.text

    def described(self) -> str:
        """The branch as the fusion reads it: evidence, reasoning, answer with citations."""
        lines = ["Evidence:"]
        lines += [f"- {n.id}, {n.element}: {n.content} ({n.relevance})" for n in self.notes] or ["- none"]
        lines += ["Reasoning:", self.reasoning or "none given"]
        if self.declined:
            return "\n".join([*lines, "Answer:", "declined: the evidence is not sufficient"])
        lines += ["Answer:", self.said]
        by_n = {citation.n: citation for citation in self.cited.citations}
        for sentence in self.cited.sentences:
            cited = ", ".join(f'{by_n[n].evidence_id} "{by_n[n].quote}"' for n in sentence.citations)
            lines.append(f"- {sentence.text} [{cited or 'no evidence'}]")
        return "\n".join(lines)


def run_branch(
    run: Run,
    name: BranchName,
    question: str,
    hits: Sequence[Hit],
    *,
    corpus: Corpus,
    viewer: Viewer,
    citing: CitingOptions,
    style: str,
) -> Branch:
    """Let one modality answer; a branch that is shown nothing declines.

    Raises
    ------
    BudgetExceeded, ModelError, Cancelled
        As `Run.ask`.
    """
    prompt = run.prompts.get(f"answer_branch_{name}")
    inner = {"style": run.prompts.get(f"answer_style_{style}")}
    rendered = render_with(prompt, inner, question=question)
    what = "text" if name == "text" else "pictures"
    with run.step(f"branch {name}", f"answering from the {what} of the pages") as detail:
        opening = system(rendered.system)
        context = viewer.show(run, hits, beside=[opening, Context().message(rendered.user)], modality=name)
        if not context.evidence:
            detail["declined"] = True
            return Branch(name, (), "", "", CitedReply(answerable=False), NOTHING, True)
        asked = ask_cited(
            run,
            [opening, context.message(rendered.user)],
            prompt=prompt,
            schema=BranchReply,
            links=citing.links,
            is_streamed=False,
        )
        curated = _curated(asked.text)
        notes = tuple(n for n in curated.evidence if run.ledger.get(n.id) is not None)[:_SHOWN_EVIDENCE]
        cited = cite(run, asked.reply.sentences, corpus, citing) if asked.reply.answerable else NOTHING
        detail |= {
            "fragments": digests(inner),
            "declined": not cited.sentences,
            "short_answer": curated.short_answer,
            "n_evidence": len(notes),
        }
    return Branch(name, notes, curated.reasoning, curated.short_answer, asked.reply, cited, asked.is_complete)


def _curated(text: str) -> _Curated:
    """The last object of the reply that has any of it, also of one that broke off."""
    found = _Curated()
    objects = list(json_objects(text))
    if not objects and "{" in text:
        objects = [read_truncated(text[text.index("{") :])]
    for value in objects:
        if not value.keys() & {"evidence", "reasoning", "short_answer"}:
            continue
        known = {name: value[name] for name in ("evidence", "reasoning", "short_answer") if name in value}
        try:
            found = _Curated.model_validate(known)
        except ValidationError:
            known.pop("evidence", None)
            texts = {name: str(given) for name, given in known.items() if given is not None}
            found = _Curated.model_validate(texts)
    return found
