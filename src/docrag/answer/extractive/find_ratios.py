"""Finds financial ratios and single line items in the statements of the documents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from docrag.answer.extractive.candidates import Candidate, Place, Task
from docrag.answer.extractive.find_values import number_text
from docrag.answer.extractive.question_type import NUMERIC, Question
from docrag.answer.extractive.ratios import LINE_ITEMS, Books, UnknownItem, formula_of
from docrag.answer.extractive.view import PageView, is_numeric
from docrag.answer.values import Number, numbers, plain, years
from docrag.answer.words import STOP_WORDS, stems


@dataclass(frozen=True, slots=True)
class Line:
    """One value of a line item: where it stands and for which year."""

    value: float
    number: Number
    place: Place
    fit: float


def find_ratios(task: Task) -> list[Candidate]:
    """The ratio that the question names, computed from line items of the year it names."""
    question = task.question
    formula = formula_of(question.body)
    if formula is None or not question.years:
        return []
    books = _Books(task)
    last = max(question.years)
    span = (
        sorted(range(min(question.years), last + 1))
        if re.search(r"\baverage\b.*\bratio|\byear average\b", question.body, re.I)
        else [last]
    )
    try:
        if question.operation is not None and len(set(question.years)) == 2 and len(span) == 1:
            a, b = (formula(books.year(year)) for year in sorted(question.years))
            value = b - a
        else:
            value = sum(formula(books.year(year)) for year in span) / len(span)
    except (UnknownItem, ZeroDivisionError):
        return []
    text = _written(question, value)
    return [
        Candidate(
            text, books.places, "ratio", {"coverage": 1.0, "row_precision": books.fit, "year_match": 1.0}
        )
    ]


def find_statement_lines(task: Task) -> list[Candidate]:
    """The line item whose printed label the question says, for the year it names."""
    question = task.question
    if not question.years or question.operation is not None or question.kind not in NUMERIC:
        return []
    terms = [t.stem for t in question.content]
    text = f" {' '.join(terms)} "
    views = {v.page_ref: v for title in _TITLES for v in (*task.look_up(title), *task.views)}
    best: tuple[tuple[int, float], Line] | None = None
    for view in views.values():
        if not is_statement(view):
            continue
        for row in view.grid.rows:
            label = tuple(s for s in stems(row[0].text) if s not in STOP_WORDS)
            if (
                not label
                or f" {' '.join(label)} " not in text
                or set(label) <= {t.stem for t in question.entities}
            ):
                continue
            for line in _lines(view, [row[0].text], max(question.years)):
                key = len(label), line.fit
                if best is None or key > best[0]:
                    best = key, line
    if best is None:
        return []
    (n_words, fit), line = best
    features = {"coverage": 1.0, "row_precision": fit, "label_words": min(n_words, 4) / 4}
    return [Candidate(number_text(question, line.number), (line.place,), "line", features)]


def _written(question: Question, value: float) -> str:
    decimals = question.decimals
    if question.as_percent or re.search(r"\bpercent", question.text, re.I):
        return plain(100 * value, decimals=2 if decimals is None else decimals) + "%"
    if decimals is None:
        decimals = 0 if abs(value) >= 100 else 2 if abs(value) >= 0.1 else 3
    return plain(value, decimals=decimals)


class _Books:
    """Looks line items up in the retrieved pages, and remembers what was used."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._used: dict[tuple[str, int], Line] = {}

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(dict.fromkeys(line.place for line in self._used.values()))

    @property
    def fit(self) -> float:
        return min((line.fit for line in self._used.values()), default=0.0)

    def year(self, year: int) -> Books:
        def value(item: str, back: int) -> float:
            key = item, year - back
            if key not in self._used:
                line = find_line(self._task, LINE_ITEMS[item], year - back)
                if line is None:
                    raise UnknownItem(item)
                self._used[key] = line
            return self._used[key].value

        return value


GOOD_FIT = 0.9
"""Fit of an exact label under the right year on a statement page, at which looking further ends."""
_TITLES = (
    "consolidated balance sheets",
    "consolidated statements of income operations earnings",
    "consolidated statements of cash flows",
)
_UNIT = re.compile(r"\bin (thousands|millions|billions|lacs|lakhs|crores)\b", re.IGNORECASE)
_UNIT_VALUES = {"thousands": 1e3, "millions": 1e6, "billions": 1e9, "lacs": 1e5, "lakhs": 1e5, "crores": 1e7}
_STATEMENT = re.compile(
    r"balance sheets?|consolidated\s+statements? of|statements? of (?:earnings|operations|income|cash flows)"
    r"|profit and loss",
    re.IGNORECASE,
)


def find_line(task: Task, labels: Sequence[str], year: int) -> Line | None:
    """Best value of a line item for a year: exact label, a column headed by the year, a statement page."""
    best: Line | None = None
    for query in (labels[0], *(f"{title} {labels[-1]}" for title in _TITLES)):
        for view in task.look_up(query):
            for line in _lines(view, labels, year):
                if best is None or line.fit > best.fit:
                    best = line
        if best is not None and best.fit >= GOOD_FIT:
            break
    return best


def _lines(view: PageView, labels: Sequence[str], year: int) -> list[Line]:
    wanted = {tuple(stems(label)): order for order, label in enumerate(labels)}
    head = " ".join(c.text for row in view.grid.rows[:6] for c in row)
    unit = _UNIT.search(view.page.text)
    scale = _UNIT_VALUES[unit[1].lower()] if unit else 1.0
    statement = 0.25 if _STATEMENT.search(head) else 0.0
    found: list[Line] = []
    for row in view.grid.rows:
        texts = [c for c in row if not is_numeric(c.text)]
        cells = [c for c in row if is_numeric(c.text) and any(ch.isdigit() for ch in c.text)]
        if not texts or not cells:
            continue
        own, _ = view.row_label(cells[0])
        label = tuple(s for s in stems(re.sub(r"\([^)]*\)|[’']s?\b", " ", own)) if not s.isdigit())
        order = _label_order(label, wanted)
        if order is None:
            continue
        for position, cell in enumerate(cells):
            parsed = numbers(cell.text)
            header = years(" ".join(c.text for c in view.column_headers(cell)))
            if len(parsed) != 1 or parsed[0].is_percent or not header:
                continue
            if header[0] != year:
                continue
            fit = 0.75 - 0.02 * order - 0.01 * position + statement
            found.append(
                Line(
                    parsed[0].value * scale,
                    parsed[0],
                    Place(view, min(c.start for c in row), max(c.end for c in row)),
                    fit,
                )
            )
    return found


def is_statement(view: PageView) -> bool:
    """Whether the head of the page names a financial statement."""
    return bool(_STATEMENT.search(" ".join(c.text for row in view.grid.rows[:6] for c in row)))


_GOES_ON = frozenset(stems("from on of net before and"))


def _label_order(label: tuple[str, ...], wanted: Mapping[tuple[str, ...], int]) -> int | None:
    """Rank of the wanted label that this is, or that it begins with and qualifies; None when there is none.

    "Total liabilities and equity" is not total liabilities: totals must match as a whole.
    """
    if label in wanted:
        return wanted[label]
    for words, order in wanted.items():
        if (
            words[0] != "total"
            and len(words) > 1
            and label[: len(words)] == words
            and label[len(words)] in _GOES_ON
        ):
            return order + len(wanted)
    return None
