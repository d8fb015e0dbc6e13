"""Split a question, answer it from every source, and decide by consistency: HM-RAG.

Liu et al. 2025, arXiv 2504.12330: a decomposition agent, one answer per source, and a decision agent that
refines answers that agree and hands the others to an expert. There agreement is n-gram overlap, which numbers
deceive; here it is `docrag.agents.agreement`. Sources are the configured retrievers, each with its own
ranking, or the text and the pictures of the same pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, zip_longest

from pydantic import BaseModel, Field

from docrag.agents.options import DecomposeDecideOptions
from docrag.agents.sources import Source, by_modality, by_retriever, find
from docrag.agents.writer import Writer, break_off, give
from docrag.answer.agreement import Semantic, agreeing, agreement, new_numbers
from docrag.answer.cited import NOTHING, Cited
from docrag.answer.context import Viewer
from docrag.answer.finish import Finisher
from docrag.answer.parts import AnswerParts
from docrag.answer.reply import CitedReply
from docrag.answer.run import Run
from docrag.chat.ask import as_messages
from docrag.chat.events import SILENCE, Listener
from docrag.chat.fence import fenced
from docrag.chat.messages import Message, system
from docrag.errors import DocragError, ModelFormatError
from docrag.types import Answer, Hit, Query


class SplitReply(BaseModel):
    """Whether a question asks for several things, and for which."""

    several: bool = False
    sub_questions: list[str] = Field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Drafted:
    """What one source answers; `cited` is verified and empty when the source has no answer."""

    source: Source
    reply: CitedReply
    cited: Cited


@dataclass(slots=True)
class _Case:
    """One question on its way; `settled` are the answers to its parts so far."""

    run: Run
    query: Query
    settled: list[tuple[str, CitedReply]] = field(default_factory=list[tuple[str, CitedReply]])
    pending: CitedReply | None = None


class DecomposeDecideAgent:
    """Answers by consistency of several sources; satisfies `docrag.protocols.Answerer`.

    `semantic` finds words alike that are spelled differently, such as the cosine of their embeddings. It
    holds no state between questions and may be used from several threads.
    """

    def __init__(
        self,
        parts: AnswerParts,
        options: DecomposeDecideOptions | None = None,
        *,
        semantic: Semantic | None = None,
    ) -> None:
        self._parts = parts
        self._options = options if options is not None else DecomposeDecideOptions()
        self._semantic = semantic
        self._viewer = Viewer(parts.corpus, parts.pictures, self._options.context)
        self._finisher = Finisher(parts.corpus, unfinished=parts.unfinished)
        self._writer = Writer(parts.corpus, self._options.citing)

    def answer(self, query: Query, *, listener: Listener = SILENCE) -> Answer:
        """Answer with verified citations, or abstain with a reason."""
        run = self._parts.runs.start(listener)
        case = _Case(run, query)
        try:
            questions = self._split(run, query.text)
            for question in questions:
                run.meter.start_round()
                case.settled.append((question, self._settle(case, question)))
                case.pending = None
            reply = case.settled[0][1] if len(questions) == 1 else self._combine(case)
            return give(self._finisher, run, query, self._writer.verify(run, reply))
        except DocragError as error:
            return break_off(self._finisher, run, query, error, self._so_far(case))

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────

    def _split(self, run: Run, question: str) -> list[str]:
        """Return the sub-questions, or the question itself when it asks for one thing."""
        if self._options.decompose == "never":
            return [question]
        with run.step("decompose", "looking at what is asked") as detail:
            prompt = run.prompts.get("query_split")
            rendered = prompt.render(question=question, n=str(self._options.max_parts))
            try:
                reply = run.ask_for("plan", as_messages(rendered), SplitReply, prompt=prompt)
            except ModelFormatError as error:
                run.warn(f"the question was not split: {error}")
                reply = SplitReply()
            parts = [" ".join(part.split()) for part in reply.sub_questions]
            parts = list(dict.fromkeys(part for part in parts if part))[: self._options.max_parts]
            several = reply.several and len(parts) > 1
            detail |= {"several": several, "sub_questions": parts if several else []}
        return parts if several else [question]

    def _combine(self, case: _Case) -> CitedReply:
        """Answer the whole question from its parts; where no part is answered there is nothing to ask."""
        if not any(reply.answerable for _, reply in case.settled):
            return CitedReply(answerable=False)
        run = case.run
        with run.step("combine", f"putting {len(case.settled)} answers together"):
            prompt = run.prompts.get("parts_combine")
            parts = "\n".join(f"Part: {part}\nAnswer: {_written(reply)}" for part, reply in case.settled)
            rendered = prompt.render(
                question=case.query.text,
                marker=run.marker,
                parts=fenced(parts, run.marker, label="answers to the parts"),
            )
            stream = self._writer.stream(run)
            return self._writer.ask(run, as_messages(rendered), prompt=prompt, stream=stream)

    def _so_far(self, case: _Case) -> Cited:
        """What is settled of the parts, and what the first source says of the one in work."""
        replies = [reply for _, reply in case.settled]
        replies += [case.pending] if case.pending is not None else []
        sentences = [sentence for reply in replies if reply.answerable for sentence in reply.sentences]
        if not sentences:
            return NOTHING
        return self._writer.verify(case.run, CitedReply(answerable=True, sentences=sentences))

    # ── one question, several sources ────────────────────────────────────────────────────────────────

    def _settle(self, case: _Case, question: str) -> CitedReply:
        """Answer one question from every source, and decide."""
        run = case.run
        k = self._options.n_pages
        found = find(run, self._parts.search, replace(case.query, text=question, unit="page"), k=k)
        if self._options.sources == "modalities":
            sources = by_modality(found, k=k)
        else:
            sources = by_retriever(found, self._parts.corpus, k=k)
        drafts: list[Drafted] = []
        for source in sources:
            drafts.append(self._draft(run, question, source))
            if case.pending is None and drafts[-1].cited.is_supported:
                case.pending = drafts[-1].reply
        return self._decide(case, question, drafts)

    def _draft(self, run: Run, question: str, source: Source) -> Drafted:
        with run.step(f"source {source.name}", f"answering from {source.name}") as detail:
            prompt = run.prompts.get("source_answer")
            rendered = prompt.render(question=question, marker=run.marker)
            messages = self._messages(run, source.hits, rendered.system, rendered.user, source)
            try:
                reply = self._writer.ask(run, messages, prompt=prompt)
            except ModelFormatError as error:
                run.warn(f"the answer from {source.name} could not be read: {error}")
                reply = CitedReply(answerable=False)
            cited = self._writer.check(run, reply)
            detail |= {"answer": cited.text, "is_supported": cited.is_supported}
        return Drafted(source, reply, cited)

    def _decide(self, case: _Case, question: str, drafts: Sequence[Drafted]) -> CitedReply:
        """Refine what agrees, vote or ask the expert where it does not."""
        run, options = case.run, self._options
        answered = [draft for draft in drafts if draft.cited.sentences]
        if not answered:
            return CitedReply(answerable=False)
        texts = [draft.cited.text for draft in answered]
        with run.step("decide", f"comparing {len(texts)} answers") as detail:
            groups = agreeing(texts, threshold=options.agreement, question=question, semantic=self._semantic)
            detail |= {
                "agreement": [
                    [first.source.name, second.source.name, round(self._score(first, second, question), 3)]
                    for first, second in combinations(answered, 2)
                ],
                "groups": [[answered[i].source.name for i in group] for group in groups],
            }
            best = self._best_of([answered[i] for i in groups[0]])
            case.pending = best.reply
            if len(drafts) == 1:
                detail["decision"] = "only source"
                return best.reply
            if len(groups) == 1 and len(answered) == len(drafts):
                detail["decision"] = "agree"
                return self._refine(case, question, [answered[i] for i in groups[0]], best)
            leads = len(groups) == 1 or len(groups[0]) > len(groups[1])
            if options.decide == "vote" and leads:
                detail["decision"] = "vote"
                return best.reply
            detail["decision"] = "expert"
            return self._expert(run, question, drafts)

    def _score(self, first: Drafted, second: Drafted, question: str) -> float:
        texts = first.cited.text, second.cited.text
        return agreement(*texts, question=question, semantic=self._semantic).score

    def _best_of(self, group: Sequence[Drafted]) -> Drafted:
        """Return the first draft that something supports, else the first."""
        return next((draft for draft in group if draft.cited.is_supported), group[0])

    def _refine(self, case: _Case, question: str, group: Sequence[Drafted], best: Drafted) -> CitedReply:
        """Make one answer of several that agree; the best of them where that fails or says something else."""
        if not self._options.refine:
            return best.reply
        run = case.run
        prompt = run.prompts.get("sources_refine")
        rendered = prompt.render(question=question, marker=run.marker, drafts=self._drafts(run, group))
        try:
            reply = self._writer.ask(run, as_messages(rendered), prompt=prompt)
        except ModelFormatError as error:
            run.warn(f"the refined answer could not be read: {error}")
            return best.reply
        refined = self._writer.check(run, reply)
        said = [draft.cited.text for draft in group]
        agrees = agreement(refined.text, best.cited.text, question=question, semantic=self._semantic)
        keeps = agrees.score >= self._options.agreement and not new_numbers(refined.text, said)
        return reply if refined.is_supported and keeps else best.reply

    def _expert(self, run: Run, question: str, drafts: Sequence[Drafted]) -> CitedReply:
        """Ask once with the evidence of all sources, best pages first."""
        prompt = run.prompts.get("sources_expert")
        rendered = prompt.render(question=question, marker=run.marker, drafts=self._drafts(run, drafts))
        ranks = zip_longest(*(draft.source.hits for draft in drafts))
        hits = {hit.unit: hit for rank in ranks for hit in rank if hit is not None}
        messages = self._messages(run, list(hits.values()), rendered.system, rendered.user, None)
        return self._writer.ask(run, messages, prompt=prompt, role="judge")

    def _drafts(self, run: Run, drafts: Sequence[Drafted]) -> str:
        lines = [f"{draft.source.name}: {_written(draft.reply)}" for draft in drafts]
        return fenced("\n".join(lines), run.marker, label="answers of the sources")

    def _messages(
        self, run: Run, hits: Sequence[Hit], instructions: str, question: str, source: Source | None
    ) -> list[Message]:
        opening = system(instructions)
        modality = source.modality if source is not None else None
        role = "answer" if source is not None else "judge"
        context = self._viewer.show(run, hits, role=role, beside=[opening], modality=modality)
        return [opening, context.message(question)]


def _written(reply: CitedReply) -> str:
    """Write a reply as text with its ids and quotes, for another model to read."""
    if not reply.answerable:
        return "(no answer)"
    return " ".join(
        sentence.text + "".join(f' [{cited.id}: "{cited.quote}"]' for cited in sentence.citations)
        for sentence in reply.sentences
    )
