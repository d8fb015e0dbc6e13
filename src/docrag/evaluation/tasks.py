"""The two tasks: rank pages, or answer. Each makes one output line a question and measures it again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, Protocol, cast

import numpy as np

from docrag.evaluation.answer_score import is_abstention, score_answer
from docrag.evaluation.bootstrap import Floats, Statistic, mean_of_sums, ratio
from docrag.evaluation.dataset import Question
from docrag.evaluation.ranking_metrics import RANKING_METRICS, ranking_metrics
from docrag.types import NOT_ANSWERABLE, Answer, Query

Line = Mapping[str, Any]
TaskName = Literal["retrieval", "answers"]
Rank = Callable[[Query, int], Sequence[tuple[str, int]]]
"""Pages ``(doc, page_no)`` for a query, best first, at most so many."""
Ask = Callable[[Query], Answer]

OtherNames = Mapping[str, Collection[str]]
"""Other names of a document, by the one that the index calls it: those of files with the same bytes."""

MIN_RANKING = 10
"""Rankings are measured down to this depth, so no run may write shorter ones by choice."""

_NO_NAMES: OtherNames = {}


def called_as(wanted: str, doc: str, names: OtherNames) -> str:
    """Return `wanted` where that is another name of `doc`, else `doc`: a copy of a file is the right file.

    Examples
    --------
    >>> called_as("copy.pdf", "a.pdf", {"a.pdf": ("copy.pdf",)}), called_as("b.pdf", "a.pdf", {})
    ('copy.pdf', 'a.pdf')
    """
    return wanted if wanted in names.get(doc, ()) else doc


class Measure(Protocol):
    """How the lines of a task are read and measured."""

    name: TaskName
    metrics: Mapping[str, Statistic]
    headline: tuple[str, ...]

    def failed(self) -> dict[str, Any]:
        """Fields of a line for a question that failed; they must score as wrong."""
        ...

    def well_formed(self, line: Line) -> bool:
        """Whether the line, read from a file, holds the task's fields in the right form."""
        ...

    def counts(self, question: Question) -> bool:
        """Whether the question takes part in this task's figures."""
        ...

    def columns(self, question: Question, line: Line) -> list[float]:
        """Values to be summed over questions; `metrics` are computed from the sums."""
        ...


class Task(Measure, Protocol):
    """A measure that can also make the lines."""

    def run(self, question: Question, query: Query) -> dict[str, Any]:
        """Fields of the question's line, besides its id."""
        ...


class RankingMeasure:
    """Page rankings, measured over the answerable questions that have evidence pages."""

    name: TaskName = "retrieval"
    headline: tuple[str, ...] = ("R@1", "R@5")

    def __init__(self) -> None:
        self.metrics: Mapping[str, Statistic] = {name: _mean_of(i) for i, name in enumerate(RANKING_METRICS)}

    def failed(self) -> dict[str, Any]:
        """Return an empty ranking: every metric is 0."""
        return {"ranking": []}

    def well_formed(self, line: Line) -> bool:
        """Whether the line holds a list of pages."""
        return _are_pages(line.get("ranking"))

    def counts(self, question: Question) -> bool:
        """Whether there is a page to be found."""
        return question.is_answerable and bool(question.evidence_pages)

    def columns(self, question: Question, line: Line) -> list[float]:
        """Every metric, and a 1 to count by."""
        relevant = {(question.doc, page_no) for page_no in question.evidence_pages}
        ranking = [(doc, page_no) for doc, page_no in line["ranking"]]
        return [*ranking_metrics(relevant, ranking).values(), 1.0]


class RetrievalTask(RankingMeasure):
    """Rank pages with a callable, `k` deep but never less than is measured.

    A document that has the question's name among its `other_names` goes by that.
    """

    def __init__(self, rank: Rank, *, k: int = MIN_RANKING, other_names: OtherNames = _NO_NAMES) -> None:
        super().__init__()
        self._rank = rank
        self._k = max(k, MIN_RANKING)
        self._other_names = other_names

    def run(self, question: Question, query: Query) -> dict[str, Any]:
        """Rank pages for the query."""
        ranking = self._rank(query, self._k)
        return {
            "ranking": [
                [called_as(question.doc, doc, self._other_names), page_no] for doc, page_no in ranking
            ]
        }


# Columns of an answered question.
_SCORE, _ONE, _ANSWERABLE_SCORE, _ANSWERABLE, _ATTEMPTED, _LOCATABLE, _LOCATED = range(7)


class AnswerMeasure:
    """Answers and abstentions, measured over all questions.

    ``accuracy`` is the mean score. ``F1`` joins the answerable questions' score per answerable question with
    the same per attempted question. ``abstained`` is the share not attempted. ``cited`` is the share of
    attempted questions with evidence pages whose citations name one of these pages.
    """

    name: TaskName = "answers"
    headline: tuple[str, ...] = ("accuracy", "F1")

    def __init__(self) -> None:
        self.metrics: Mapping[str, Statistic] = {
            "accuracy": _mean_of(_SCORE, count=_ONE),
            "F1": _f1,
            "abstained": lambda sums: 1.0 - ratio(sums[:, _ATTEMPTED], sums[:, _ONE]),
            "cited": _mean_of(_LOCATED, count=_LOCATABLE),
        }

    def failed(self) -> dict[str, Any]:
        """Return an attempt that matches nothing; an abstention could earn points."""
        return {"prediction": "", "citations": []}

    def well_formed(self, line: Line) -> bool:
        """Whether the line holds a text and a list of pages."""
        return isinstance(line.get("prediction"), str) and _are_pages(line.get("citations"))

    def counts(self, question: Question) -> bool:
        """Count every question."""
        return True

    def columns(self, question: Question, line: Line) -> list[float]:
        """Score and counts, in the order of the column numbers above."""
        attempted = not is_abstention(line["prediction"])
        prediction = line["prediction"] if attempted else NOT_ANSWERABLE
        score = 0.0 if "error" in line else score_answer(question.answer, prediction, question.answer_format)
        answerable = float(question.is_answerable)
        relevant = {(question.doc, page_no) for page_no in question.evidence_pages}
        locatable = attempted and question.is_answerable and bool(relevant)
        located = locatable and any((doc, page_no) in relevant for doc, page_no in line["citations"])
        return [
            score,
            1.0,
            score * answerable,
            answerable,
            float(attempted),
            float(locatable),
            float(located),
        ]


class AnswerTask(AnswerMeasure):
    """Answer with a callable; documents are named as by `RetrievalTask`."""

    def __init__(self, ask: Ask, *, other_names: OtherNames = _NO_NAMES) -> None:
        super().__init__()
        self._ask = ask
        self._other_names = other_names

    def run(self, question: Question, query: Query) -> dict[str, Any]:
        """Ask, and keep the text (the canonical one of an abstention) and the cited pages, each once."""
        answer = self._ask(query)
        pages = dict.fromkeys(
            (called_as(question.doc, citation.doc, self._other_names), citation.page_no)
            for citation in answer.citations
        )
        return {
            "prediction": NOT_ANSWERABLE if answer.abstained else answer.text,
            "citations": [list(page) for page in pages],
        }


def _mean_of(column: int, *, count: int = -1) -> Statistic:
    return lambda sums: mean_of_sums(np.stack([sums[:, column], sums[:, count]], axis=1))


def _f1(sums: Floats) -> Floats:
    recall = ratio(sums[:, _ANSWERABLE_SCORE], sums[:, _ANSWERABLE])
    precision = ratio(sums[:, _ANSWERABLE_SCORE], sums[:, _ATTEMPTED])
    return ratio(2 * recall * precision, recall + precision)


def _are_pages(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_page, cast("list[object]", value)))


def _is_page(value: object) -> bool:
    match value:
        case [str(), int() as page_no]:
            return not isinstance(page_no, bool)
        case _:
            return False
