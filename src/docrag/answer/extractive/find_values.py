"""Finds numbers, dates, years, mail and web addresses and telephone numbers by what stands around them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from docrag.answer.extractive.candidates import Candidate, Place, Task
from docrag.answer.extractive.question_type import NUMERIC, Kind, Question
from docrag.answer.extractive.view import PageView, Surroundings, TermWeights, stem_set
from docrag.answer.values import Number, dates, emails, numbers, phones, plain, urls, years
from docrag.answer.words import STOP_WORDS, stems

MAX_NUMBERS = 40
"""Numbers per question that are judged in full."""
MAX_QUOTE_CHARS = 280
"""A quote longer than this is cut to the value itself."""
_ENUMERATOR = re.compile(r"\(?\d{1,2}[.)]")
_REFERENCE = re.compile(
    r"(?:table|figure|fig\.?|exhibit|note|page|chapter|section|item|appendix|part)\s*$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Found:
    """A number in its place, with what stands around it and how well that fits the question."""

    view: PageView
    number: Number
    around: Surroundings
    features: dict[str, float]

    @property
    def score(self) -> float:
        """Rough fit used to shorten the list; the final judgement weighs the features."""
        f = self.features
        return (
            f["coverage"]
            + 0.3 * f["row_precision"]
            + 0.6 * f["label_phrase"]
            + 0.25 * f["year_match"]
            - 0.3 * f["year_conflict"]
            + 0.15 * f["unit_match"]
            + 0.3 * f["before_focus"]
            + 0.3 * f["focus_beside"]
            + 0.4 * f["anchors"]
            + 0.3 * f["named_page"]
            - 0.02 * self.view.rank
        )


def find_values(task: Task) -> list[Candidate]:
    """Candidates of the type that the question asks for, each with its sentence or row as quote."""
    question, views, weights = task.question, task.views, task.weights
    if question.kind not in NUMERIC:
        return list(_find_typed(question, views, weights))
    found = sorted(find_numbers(question, views, weights), key=lambda f: -f.score)[:MAX_NUMBERS]
    result: list[Candidate] = []
    for order, item in enumerate(found):
        features = {**item.features, "first": 1.0 / (1 + order), "lead": found[0].score - item.score}
        features["operation"] = float(question.operation is not None)
        place = quote_place(item.view, item.number.start, item.number.end, item.around)
        result.append(Candidate(number_text(question, item.number), (place,), "number", features))
    return result


def find_numbers(
    question: Question,
    views: Sequence[PageView],
    weights: TermWeights,
    *,
    terms: Sequence[str] | None = None,
    asked_years: Sequence[int] | None = None,
) -> Iterator[Found]:
    """Yield every number of the pages that may answer; `terms` replace the stems of the question."""
    terms = question.stems if terms is None else terms
    asked_years = question.years if asked_years is None else asked_years
    named = {n.digits for n in numbers(question.body)}
    for view in views:
        text = view.page.text
        taken = [(d.start, d.end) for d in dates(text)] + urls(text) + emails(text) + phones(text)
        for number in numbers(text, spelled=question.kind is Kind.COUNT):
            if number.digits in named or number.is_year or _is_label(view, number):
                continue
            if any(start <= number.start < end for start, end in taken) or _is_part(text, number):
                continue
            if question.kind is Kind.COUNT and not _counts(number):
                continue
            around = view.around(number.start, number.end)
            features = surrounding_features(view, around, terms, asked_years, weights)
            features["unit_match"] = float(_unit_matches(question, number, around))
            features["anchors"] = anchored(question, around)
            features["magnitude"] = min(math.log10(1 + abs(number.value)), 9) / 9
            features["small"] = float(abs(number.value) <= 20)
            features["before_focus"] = float(_precedes(view, number, question.focus))
            features["focus_beside"] = float(
                bool(question.focus)
                and question.focus[-1]
                in around.channels["row"] | around.channels["column"] | around.tight | around.beside
            )
            features["is_cell"] = float(bool(around.row_label or around.column_label))
            yield Found(view, number, around, features)


def surrounding_features(
    view: PageView,
    around: Surroundings,
    terms: Sequence[str],
    asked_years: Sequence[int],
    weights: TermWeights,
) -> dict[str, float]:
    """How well the surroundings of a place fit the words and years asked for."""
    channels = around.channels
    wanted = set(terms)
    row = channels["row"]
    label_years = {*years(around.row_label), *years(around.column_label)}
    asked = set(asked_years)
    return {
        "coverage": weights.coverage(terms, channels),
        "tight_coverage": _share(weights, terms, around.tight),
        "row_coverage": _share(weights, terms, row),
        "row_precision": len(row & wanted) / len(row) if row else 0.0,
        "column_coverage": _share(weights, terms, channels["column"]),
        "near_coverage": _share(weights, terms, channels["near"]),
        "sentence_coverage": _share(weights, terms, channels["sentence"]),
        "page_coverage": _share(weights, terms, channels["page"]),
        "year_match": float(bool(asked & label_years)),
        "year_conflict": float(bool(asked and label_years and not asked & label_years)),
        "first_page": float(view.rank == 1),
        "page_rank": 1.0 / view.rank,
        "named_page": float(view.is_named),
        "label_phrase": _phrase_match(around.row_label, terms),
    }


def anchored(question: Question, around: Surroundings) -> float:
    """Share of the names and codes of the question that stand with a value, not just on its page."""
    names = {token.stem for token in question.entities}
    if not names:
        return 0.0
    channels = around.channels
    with_it = channels["row"] | channels["column"] | channels["near"] | channels["sentence"]
    return len(names & with_it) / len(names)


def _phrase_match(label: str, terms: Sequence[str]) -> float:
    """Share of a row label's words that stand in the question side by side, 0 when any is missing."""
    own = [s for s in stems(label) if s not in STOP_WORDS]
    if not own or not set(own) <= set(terms):
        return 0.0
    joined = " ".join(terms)
    return (1.0 if " ".join(own) in joined else 0.5) * min(len(own), 4) / 4


def _share(weights: TermWeights, terms: Sequence[str], found: frozenset[str]) -> float:
    total = weights.total(terms)
    return weights.total(t for t in terms if t in found) / total if total > 0 else 0.0


def _is_label(view: PageView, number: Number) -> bool:
    """Whether a number only counts pages, notes, figures or list items."""
    text = view.page.text
    if text[number.start : number.end] == view.page.label:
        cell = view.grid.cell_at(number.start)
        if cell is not None and cell.text == view.page.label and cell.row_no in (0, len(view.grid.rows) - 1):
            return True
    before = text[max(0, number.start - 12) : number.start]
    if _REFERENCE.search(before):
        return True
    line_start = text.rfind("\n", 0, number.start) + 1
    return not text[line_start : number.start].strip(" (") and bool(
        _ENUMERATOR.match(text[line_start : line_start + 5])
        and not re.match(r"\(?\d{1,2}[.]\d", text[line_start : line_start + 5])
    )


def _is_part(text: str, number: Number) -> bool:
    """Whether a number is one end of a range, a fraction, a time, or a part of a code."""
    before, after = text[max(0, number.start - 2) : number.start], text[number.end : number.end + 2]
    return bool(re.search(r"\d[-–/:~]$|[A-Za-z]-$", before) or re.match(r"[-–/:~]\d", after))


def _counts(number: Number) -> bool:
    """Whether a number can be a count; "one" is mostly a pronoun."""
    is_whole = number.value.is_integer() and ("." not in number.digits or number.scale > 1)
    return is_whole and not (number.is_percent or number.is_money or number.digits.lower() == "one")


def _precedes(view: PageView, number: Number, focus: Sequence[str]) -> bool:
    """Whether the thing counted follows the number within four words."""
    if not focus:
        return False
    after = view.words_in(number.end, number.end + 40)[:4]
    return any(token.stem == focus[-1] for token in after)


def _unit_matches(question: Question, number: Number, around: Surroundings) -> bool:
    label = f"{around.row_label} {around.column_label}"
    if question.kind is Kind.PERCENTAGE:
        return number.is_percent or "%" in label or "percent" in label.lower()
    if question.kind is Kind.MONEY:
        return number.is_money
    return question.kind is Kind.COUNT


def number_text(question: Question, number: Number) -> str:
    """The number as an answer: plain digits, percent sign kept, in the scale asked for.

    Statements print expenses in brackets, so the sign is that of the words, not of the print.
    """
    scale = question.scale if question.scale and number.scale > 1 else number.scale
    printed = len(number.digits.partition(".")[2])
    decimals = question.decimals if question.decimals is not None and printed else printed
    text = plain(abs(number.value) / scale, decimals=decimals if scale == number.scale else question.decimals)
    return text + "%" if number.is_percent and question.kind is not Kind.COUNT else text


def quote_place(view: PageView, start: int, end: int, around: Surroundings) -> Place:
    """The words to quote for a value: its table row or its sentence when short enough, else its line."""
    cell = view.grid.cell_at(start)
    text = view.page.text
    if cell is not None and around.row_label:
        row = view.grid.rows[cell.row_no]
        a, b = min(c.start for c in row), max(c.end for c in row)
        if a <= start and b >= end and b - a <= MAX_QUOTE_CHARS:
            return Place(view, a, b)
    a, b = around.sentence
    if a <= start and end <= b and b - a <= MAX_QUOTE_CHARS:
        return Place(view, a, b)
    a, b = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    return Place(view, a, b if b >= 0 else len(text))


def _find_typed(question: Question, views: Sequence[PageView], weights: TermWeights) -> Iterator[Candidate]:
    spans_of = {view.page_ref: _typed_spans(question, view.page.text) for view in views}
    named = [view for view in views if view.is_named]
    for view in named or views:
        spans = spans_of[view.page_ref]
        for order, (start, end, answer) in enumerate(spans):
            around = view.around(start, end)
            features = surrounding_features(view, around, question.stems, (), weights)
            features["anchors"] = anchored(question, around)
            if len(question.years) < 2 and stem_set(answer) and stem_set(answer) <= set(stems(question.body)):
                continue
            folded = answer.casefold()
            features["name_inside"] = float(
                any(
                    len(t.text) > 3 and t.text.casefold() in folded
                    for t in question.entities or question.content
                )
            )
            features["only_one"] = float(len(spans) == 1)
            features["first"] = float(order == 0)
            features["unit_match"] = 1.0
            yield Candidate(
                " ".join(answer.split()), (quote_place(view, start, end, around),), "typed", features
            )


def _typed_spans(question: Question, text: str) -> list[tuple[int, int, str]]:
    """Spans of the values of the type asked for, each with the answer it makes."""
    kind = question.kind
    if kind is Kind.DATE:
        pattern = question.date_pattern
        return [
            (d.start, d.end, d.as_pattern(pattern) if pattern else text[d.start : d.end]) for d in dates(text)
        ]
    if kind is Kind.YEAR:
        return [(n.start, n.end, n.digits) for n in numbers(text) if n.is_year]
    find = {Kind.EMAIL: emails, Kind.URL: urls, Kind.PHONE: phones}.get(kind)
    return [(a, b, text[a:b]) for a, b in find(text)] if find is not None else []
