"""Finds answers to yes/no questions and to questions that offer two options."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.answer.extractive.candidates import Candidate, Place, Task
from docrag.answer.extractive.find_values import find_numbers, quote_place, surrounding_features
from docrag.answer.extractive.question_type import Kind
from docrag.answer.extractive.view import PageView, stem_set
from docrag.answer.quote_match import QuoteFinder
from docrag.answer.words import NEGATIONS

MIN_PASSAGE = 0.4
"""Coverage of the question by the best passage from which a yes/no question is answered with yes."""


def find_choices(task: Task) -> list[Candidate]:
    """The answer "Yes" or "No", or one of the options offered, with the passage that speaks for it best."""
    if task.question.kind is Kind.YES_NO:
        return _yes_no(task)
    if task.question.kind is Kind.CHOICE:
        return _options(task)
    return []


def _best_sentence(task: Task, terms: Sequence[str], views: Sequence[PageView]) -> tuple[float, Place] | None:
    best: tuple[float, Place] | None = None
    for view in views:
        for start, end in view.sentences:
            found = frozenset(t.stem for t in view.words_in(start, end))
            score = task.weights.coverage(terms, {"row": found, "title": view.title, "page": view.stems})
            if best is None or score > best[0]:
                best = score, Place(view, start, min(end, start + 400))
    return best


def _yes_no(task: Task) -> list[Candidate]:
    terms = task.question.stems
    best = _best_sentence(task, terms, task.views)
    if best is None:
        return []
    score, place = best
    view = place.view
    around = view.around(place.start, place.end)
    features = surrounding_features(view, around, terms, (), task.weights)
    features["passage"] = score
    words = {t.text.casefold() for t in view.words_in(place.start, place.end)}
    asked = {t.casefold() for t in task.question.body.split()}
    denied = bool((words - asked) & NEGATIONS)
    carried = score >= MIN_PASSAGE and not set(task.weights.missing) & {
        t.stem for t in task.question.entities
    }
    return [Candidate("Yes" if carried and not denied else "No", (place,), "yes_no", features)]


def _order(task: Task) -> list[Candidate]:
    """Whether the first of two quoted things stands before or after the second."""
    first, second = task.question.quoted[-2:]
    for view in task.views:
        finder = QuoteFinder(view.page.text)
        a, b = finder.find(first).spans, finder.find(second).spans
        if a and b and a[0][0] != b[0][0]:
            before = a[0][0] < b[0][0]
            answer = next((c for c in task.question.choices if (c.lower() == "before") == before), "")
            return [
                Candidate(
                    answer,
                    (Place(view, *a[0]), Place(view, *b[0])),
                    "option",
                    {"coverage": 1.0, "compares": 1.0},
                )
            ]
    return []


def _options(task: Task) -> list[Candidate]:
    question = task.question
    if {c.lower() for c in question.choices} == {"before", "after"} and len(question.quoted) >= 2:
        return _order(task)
    stem_sets = [stem_set(option) for option in question.choices]
    result: list[Candidate] = []
    for option, own in zip(question.choices, stem_sets, strict=True):
        others = frozenset().union(*(s for s in stem_sets if s is not own))
        terms = [t for t in question.stems if t not in others - own]
        best = _best_sentence(task, terms, task.views)
        if best is None:
            continue
        score, place = best
        view = place.view
        features = surrounding_features(view, view.around(place.start, place.end), terms, (), task.weights)
        text = frozenset(t.stem for t in view.words_in(place.start, place.end))
        features["passage"] = score
        features["option_there"] = len(own & text) / max(1, len(own))
        result.append(Candidate(option, (place,), "option", features))
    result = _compared(task, result)
    best = max(
        result,
        key=lambda c: (
            c.features.get("compares", 0.0),
            c.features["passage"] + 0.3 * c.features["option_there"],
        ),
        default=None,
    )
    return [] if best is None else [best]


def _compared(task: Task, options: list[Candidate]) -> list[Candidate]:
    """Mark the option whose number is the larger (or smaller), when both have one on the same page."""
    question = task.question
    if len(options) != 2 or not (
        _asks_comparison(question.body) or question.wants_most or question.wants_least
    ):
        return options
    values: list[tuple[float, Place] | None] = []
    for option in options:
        own = stem_set(option.text)
        found = [
            f
            for f in find_numbers(question, task.views[:3], task.weights, terms=sorted(own))
            if f.features["row_coverage"] >= 0.6 or f.features["near_coverage"] >= 0.8
        ]
        top = max(found, key=lambda f: f.score, default=None)
        values.append(
            None
            if top is None
            else (top.number.value, quote_place(top.view, top.number.start, top.number.end, top.around))
        )
    a, b = values
    if a is None or b is None or a[0] == b[0]:
        return options
    larger = 0 if a[0] > b[0] else 1
    chosen = larger if not (question.wants_least or _asks_less(question.body)) else 1 - larger
    result: list[Candidate] = []
    for i, option in enumerate(options):
        features = {**option.features, "compares": 1.0 if i == chosen else -1.0}
        result.append(Candidate(option.text, (a[1], b[1]), "option", features))
    return result


def _asks_comparison(body: str) -> bool:
    return bool(
        {"more", "greater", "higher", "larger", "bigger", "longer", "less", "fewer", "lower", "smaller"}
        & set(body.lower().split())
    )


def _asks_less(body: str) -> bool:
    return bool({"less", "fewer", "lower", "smaller", "shorter"} & set(body.lower().split()))
