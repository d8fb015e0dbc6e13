"""Answers that show the figures they speak of (MRAMG, arXiv 2502.04176): text and crops in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from pydantic import Field

from docrag.answer.ask_cited import Asked
from docrag.answer.cited import Cited, shown_text
from docrag.answer.context import Viewer
from docrag.answer.figure_places import FIGURE_KINDS, figure_hits, placed_by_words, with_figures
from docrag.answer.finish import Finisher
from docrag.answer.one_pass import OnePass
from docrag.answer.options import InterleavedOptions
from docrag.answer.partial_json import read_truncated
from docrag.answer.parts import AnswerParts
from docrag.answer.reply import QuotedId, ReplyModel, split_ids
from docrag.answer.run import Run
from docrag.answer.search import search_for
from docrag.answer.single_pass import PROMPT as PLAIN_PROMPT
from docrag.chat.events import SILENCE, Listener
from docrag.chat.json_reply import json_objects
from docrag.errors import BudgetExceeded
from docrag.types import Answer, Evidence, Hit, Query

PROMPT = "answer_interleaved"


class IllustratedSentence(ReplyModel):
    """One sentence with what supports it, and the ids of the figures shown after it."""

    text: str
    citations: list[QuotedId] = Field(default_factory=list[QuotedId])
    figures: list[str] = Field(default_factory=list[str])


class InterleavedReply(ReplyModel):
    """An answer sentence by sentence, with figures."""

    answerable: bool = Field(description="whether the evidence is sufficient to answer; decide this first")
    sentences: list[IllustratedSentence] = Field(default_factory=list[IllustratedSentence])


class InterleavedAnswerer:
    """A single pass whose sentences are followed by figures; satisfies `docrag.protocols.Answerer`.

    With ``interleave: llm`` the model is shown the pictures and tables of the pages, each under its own id,
    and says after which sentence one belongs; ids that are no figure's are removed. With "rule" the words of
    captions decide.
    """

    def __init__(self, parts: AnswerParts, options: InterleavedOptions | None = None) -> None:
        self._parts = parts
        self._options = options = options if options is not None else InterleavedOptions()
        viewer = Viewer(parts.corpus, parts.pictures, options.context)
        by_model = options.interleave == "llm"
        self._pass = OnePass(
            parts.corpus,
            viewer,
            PROMPT if by_model else PLAIN_PROMPT,
            options.prompt,
            options.citing,
            **({"schema": InterleavedReply} if by_model else {}),
        )
        self._finisher = Finisher(parts.corpus, unfinished=parts.unfinished)

    def answer(self, query: Query, *, listener: Listener = SILENCE) -> Answer:
        """Answer with verified citations and figures, or abstain with a reason.

        Raises
        ------
        ModelError, Cancelled
            The model failed or refused, or the run was called off.
        """
        run = self._parts.runs.start(listener)
        options = self._options
        pages = search_for(run, self._parts.search, query, k=options.n_pages)
        figures = (
            figure_hits(self._parts.corpus, pages, limit=options.max_offered)
            if options.interleave != "off"
            else []
        )
        by_model = options.interleave == "llm"

        def finish(asked: Asked, cited: Cited) -> Cited:
            with run.trace.step("place figures") as detail:
                placed = (
                    self._chosen(run, asked.text, cited) if by_model else self._matched(run, cited, figures)
                )
                result = with_figures(cited, placed, self._parts.corpus, max_figures=options.max_figures)
                detail["figures"] = [list(sentence.figures) for sentence in result.sentences]
            return result

        try:
            outcome = self._pass.answer(
                run,
                query.text,
                [*pages, *figures] if by_model else pages,
                variables={"n_figures": str(options.max_figures)} if by_model else {},
                finish=finish,
            )
        except BudgetExceeded as error:
            return self._finisher.broken_off(run, query, error)
        return self._finisher.conclude(run, query, outcome)

    def _chosen(self, run: Run, text: str, cited: Cited) -> list[tuple[int, Evidence]]:
        """Figures as the model placed them, as far as there are such figures."""
        numbers = {sentence.text: i for i, sentence in enumerate(cited.sentences)}
        placed: list[tuple[int, Evidence]] = []
        for sentence, ids in _illustrated(text):
            i = numbers.get(shown_text(sentence, self._options.citing, marker=run.marker)[0])
            for evidence_id in ids:
                evidence = run.ledger.get(evidence_id)
                if evidence is None or evidence.hit.kind not in FIGURE_KINDS:
                    run.warn(f"removed a figure {evidence_id[:40]!a}: no figure was shown under this id")
                elif i is not None:
                    placed.append((i, evidence))
        return placed

    def _matched(self, run: Run, cited: Cited, figures: Sequence[Hit]) -> list[tuple[int, Evidence]]:
        """Figures as the words of their captions place them."""
        places = placed_by_words(cited, figures, min_overlap=self._options.min_overlap)
        return [(i, run.ledger.issue(hit, hit.snippet)) for i, hit in places]


def _illustrated(text: str) -> list[tuple[str, list[str]]]:
    """Sentences of a reply with the ids in their "figures", whatever else is wrong with the reply."""
    objects = [value for value in json_objects(text) if "sentences" in value]
    value: dict[str, Any] = objects[-1] if objects else {}
    if not objects and "{" in text:
        value = read_truncated(text[text.index("{") :])
    sentences: Any = value.get("sentences")
    found: list[tuple[str, list[str]]] = []
    for sentence in cast(list[Any], sentences) if isinstance(sentences, list) else []:
        if not isinstance(sentence, dict):
            continue
        fields = cast(dict[str, Any], sentence)
        given = fields.get("figures")
        ids = cast(list[Any], given) if isinstance(given, list) else [] if given is None else [given]
        names = [name for one in ids if isinstance(one, str) for name in split_ids(one)]
        found.append((str(fields.get("text", "")), names))
    return found
