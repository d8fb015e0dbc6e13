"""Finds differences, sums and quotients of two numbers that stand in the documents; code does the sums."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from docrag.answer.extractive.candidates import Candidate, Task
from docrag.answer.extractive.find_values import Found, find_numbers, quote_place
from docrag.answer.extractive.question_type import Kind, Operation, Question
from docrag.answer.extractive.view import stem_set
from docrag.answer.values import plain

MAX_RESULTS = 20
MIN_PAIR_COVERAGE = 0.3
"""Coverage of the question by a sentence whose only two numbers are combined."""
MAX_OPERANDS = 6
"""Readings of each operand that are combined."""
_BETWEEN = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\bbetween (?:the )?(?P<a>.+?) and (?:the )?(?P<b>.+?)"
        r"(?=,|\?|$| in | on | is | are | of | for | from | have| has| having| had | who )",
        r"\b(?:more|less|fewer|higher|lower|larger|smaller|greater)\b.*?"
        r"\b(?:to|by|in|did|from|of|for|does|do)\s+(?P<a>[^,?]+?) than (?P<b>[^,?]+)",
        r"\b(?P<a>[^,?]+?) (?:compared|relative|compare) (?:to|with) (?:the )?(?P<b>[^,?]+)",
        r"\bratio of (?:the )?(?P<a>.+?) to (?:the )?(?P<b>[^,?]+)",
        r"\b(?:of|for|to|percentage of|attributed to) (?P<a>[^,?]+?),? and (?P<b>[^,?]+?)"
        r"(?= in total| on | in | combined| for |\?|$)",
    )
)
"""How questions name the two things whose numbers are compared or added."""


@dataclass(frozen=True, slots=True)
class Operand:
    """What one number is looked up by: words, those of them that the other one does not have, and years."""

    terms: Sequence[str]
    own: frozenset[str]
    years: Sequence[int]


def operands(question: Question) -> list[Operand]:
    """Return the two operands that the question names; an empty list when it names none."""
    if len(question.years) == 2 and question.operation is not Operation.SUM:
        return [Operand(question.stems, frozenset(), [year]) for year in question.years]
    for pattern in _BETWEEN:
        m = pattern.search(question.body)
        if m is None:
            continue
        a, b = stem_set(m["a"]), stem_set(m["b"])
        wanted = set(question.stems)
        only_a, only_b = (a - b) & wanted, (b - a) & wanted
        if only_a and only_b:
            shared = [s for s in question.stems if s not in only_a | only_b]
            return [Operand([*shared, *sorted(own)], own, question.years) for own in (only_a, only_b)]
    return []


def find_arithmetic(task: Task) -> list[Candidate]:
    """Results of the operation that the question asks for, cited to both numbers."""
    question = task.question
    if question.operation is None or question.kind in (Kind.YES_NO, Kind.CHOICE, Kind.LIST):
        return []
    parts = operands(question)
    if len(parts) != 2:
        return _pairs(task)
    sides = [
        sorted(
            find_numbers(question, task.views, task.weights, terms=part.terms, asked_years=part.years),
            key=lambda f, part=part: -_operand_score(f, part),
        )[:MAX_OPERANDS]
        for part in parts
    ]
    result: list[Candidate] = []
    for a in sides[0]:
        for b in sides[1]:
            if _comparable(a, b):
                value = _combine(question.operation, a, b)
                if value is not None:
                    result.append(_candidate(question, a, b, value))
    return _ranked([*result, *_pairs(task)])


def _pairs(task: Task) -> list[Candidate]:
    """The operation over the only two numbers of a sentence."""
    question = task.question
    by_sentence: dict[tuple[int, int, int], list[Found]] = {}
    for found in find_numbers(question, task.views, task.weights):
        key = found.view.rank, *found.around.sentence
        by_sentence.setdefault(key, []).append(found)
    result: list[Candidate] = []
    for pair in by_sentence.values():
        if (
            len(pair) == 2
            and pair[0].features["coverage"] >= MIN_PAIR_COVERAGE
            and _comparable(*pair)
            and question.operation is not None
        ):
            value = _combine(question.operation, pair[0], pair[1])
            if value is not None:
                result.append(_candidate(question, pair[0], pair[1], value))
    return _ranked(result)


def _ranked(candidates: list[Candidate]) -> list[Candidate]:
    """Best first, with the order as a feature."""
    ordered = sorted(candidates, key=lambda c: -_rough(c.features))[:MAX_RESULTS]
    return [replace(c, features={**c.features, "first": 1 / (1 + i)}) for i, c in enumerate(ordered)]


def _rough(f: Mapping[str, float]) -> float:
    return (
        f["coverage"]
        + 0.3 * f["row_precision"]
        + 0.5 * f["same_line"]
        + 0.25 * f["same_page"]
        + 0.25 * f["year_match"]
        - 0.3 * f["year_conflict"]
    )


def _operand_score(found: Found, operand: Operand) -> float:
    """Fit of a number as this operand: its label must hold what sets the operand apart."""
    channels = found.around.channels
    beside = channels["row"] | channels["column"] | channels["near"]
    own = len(operand.own & beside) / len(operand.own) if operand.own else 0.0
    return found.score + 0.3 * found.features["year_match"] + own


def _comparable(a: Found, b: Found) -> bool:
    """Two different places, alike in unit."""
    return (a.view.page is not b.view.page or a.number.start != b.number.start) and (
        a.number.is_percent == b.number.is_percent
    )


def _combine(operation: Operation, a: Found, b: Found) -> float | None:
    x, y = a.number.value, b.number.value
    if operation is Operation.DIFFERENCE:
        return abs(x - y)
    if operation is Operation.SUM:
        return x + y
    if operation is Operation.AVERAGE:
        return (x + y) / 2
    low, high = sorted((x, y))
    return high / low if low > 0 else None


def _candidate(question: Question, a: Found, b: Found, value: float) -> Candidate:
    digits = max((len(n.digits.partition(".")[2]) for n in (a.number, b.number)), default=0)
    if question.operation in (Operation.QUOTIENT, Operation.AVERAGE):
        digits = max(digits, 2)
    scale = question.scale if question.scale and a.number.scale > 1 else a.number.scale
    if question.operation is Operation.QUOTIENT:
        scale = 1.0
    text = plain(value / scale, decimals=question.decimals if question.decimals is not None else digits)
    is_percent = a.number.is_percent and question.operation is not Operation.QUOTIENT
    features = {
        name: min(a.features[name], b.features[name])
        for name in (
            "coverage",
            "row_coverage",
            "row_precision",
            "column_coverage",
            "near_coverage",
            "sentence_coverage",
            "page_coverage",
            "year_match",
            "unit_match",
            "label_phrase",
            "named_page",
            "page_rank",
            "first_page",
            "is_cell",
        )
    }
    features["year_conflict"] = max(a.features["year_conflict"], b.features["year_conflict"])
    features["same_line"] = float(_aligned(a, b))
    features["same_page"] = float(a.view is b.view)
    places = tuple(quote_place(f.view, f.number.start, f.number.end, f.around) for f in (a, b))
    return Candidate(text + ("%" if is_percent else ""), places, "arithmetic", features)


def _aligned(a: Found, b: Found) -> bool:
    """Whether two numbers stand in one row under different headers, or in one column in different rows."""
    if a.view is not b.view:
        return False
    x, y = a.view.grid.cell_at(a.number.start), b.view.grid.cell_at(b.number.start)
    if x is None or y is None:
        return False
    overlap = min(x.box.x1, y.box.x1) - max(x.box.x0, y.box.x0)
    return x.row_no == y.row_no or overlap > 0
