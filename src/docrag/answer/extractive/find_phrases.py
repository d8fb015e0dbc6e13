"""Finds names and short phrases: cells beside or below a label, names in sentences, captions, extremes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from docrag.answer.extractive.candidates import Candidate, Place, Task
from docrag.answer.extractive.find_values import anchored, find_numbers, quote_place, surrounding_features
from docrag.answer.extractive.grid import Cell
from docrag.answer.extractive.question_type import Kind
from docrag.answer.extractive.view import PageView, is_numeric, stem_set
from docrag.answer.words import STOP_WORDS, stems, tokens
from docrag.geometry import Box

MAX_WORDS = 14
"""Longer pieces are passages, not short answers."""
MAX_PHRASES = 60
"""Phrases per question that are judged in full."""
MIN_COLUMN = 3
"""Values in a column from which its highest or lowest means something."""
MAX_LABEL_WORDS = 7
TEXT_KINDS = frozenset({Kind.NAME, Kind.PHRASE})

_NAME = re.compile(
    r"(?:(?:Mr|Ms|Mrs|Dr|Prof|St)\.?\s?)?(?:[A-Z][\w'’&.-]*|[A-Z]{2,}|\d+[A-Z]\w*)"
    r"(?: (?:(?:of|and|the|for|de|la|von|van|&) )?(?:[A-Z][\w'’&.-]*|\d{1,4}\b))*"
)
_POINTER = re.compile(
    r"(?:figs?|figures?|tables?|sections?|appendix|chapters?|page|equation|the|we|our|in|it|this|however)\b(?:\s*[\dA-Z.-]+)?$",
    re.IGNORECASE,
)
_COPULA = re.compile(
    r"\b(?:is|are|was|were|called|named|as|by|means|include|includes|including|via|with|using)\b\s+|[:–—]\s+"
)
# A row that sums up the others is none of those that a question chooses among.
_SUMMARY = re.compile(
    r"(?:grand |sub[- ]?)?totals?\b|sum\b|(?:weighted )?(?:averages?|mean|median)\b|all\b|overall\b",
    re.IGNORECASE,
)
_CAPTION = re.compile(
    r"\b(figure|fig|table|exhibit|chart|box)\s*\.?\s*(\d+(?:[.-]\d+)*[a-z]?)\s*[.:–—-]?\s*", re.IGNORECASE
)


def find_phrases(task: Task) -> list[Candidate]:
    """Cells, names and clause ends of the retrieved pages, for questions that ask for words."""
    if task.question.kind not in TEXT_KINDS:
        return []
    found = [*_cells(task), *_in_sentences(task)]
    found = [c for c in found if c.features["in_question"] < 1]
    found.sort(key=lambda c: -c.features["rough"])
    del found[MAX_PHRASES:]
    ranked = [replace(c, features={**c.features, "first": 1 / (1 + i)}) for i, c in enumerate(found)]
    return [*ranked, *_captions(task)]


def _describe(task: Task, view: PageView, start: int, end: int, answer: str, method: str) -> Candidate:
    question = task.question
    around = view.around(start, end)
    features = surrounding_features(view, around, question.stems, question.years, task.weights)
    features["anchors"] = anchored(question, around)
    own = stem_set(answer)
    asked = set(stems(question.body))
    features["in_question"] = len(own & asked) / len(own) if own else 1.0
    features["n_words"] = min(len(answer.split()), MAX_WORDS) / MAX_WORDS
    features["capital"] = float(answer[:1].isupper())
    features["is_cell"] = float(method == "cell")
    features["rough"] = (
        features["coverage"]
        + 0.3 * features["row_precision"]
        - 0.6 * features["in_question"]
        + 0.4 * features["tight_coverage"]
        + 0.6 * features["anchors"]
        - 0.02 * view.rank
        + 0.1 * (features["capital"] if question.kind is Kind.NAME else 0)
    )
    return Candidate(answer, (quote_place(view, start, end, around),), method, features)


def _cells(task: Task) -> Iterator[Candidate]:
    for view in task.views:
        for row in view.grid.rows:
            for cell in row:
                text, start, end = _without_label(cell)
                in_one_piece = end - start <= len(text) + 2  # its words follow each other in the page's text
                if 1 <= len(text.split()) <= MAX_WORDS and any(c.isalpha() for c in text) and in_one_piece:
                    yield _describe(task, view, start, end, text, "cell")


def _without_label(cell: Cell) -> tuple[str, int, int]:
    """A cell's text; of "label: value" only the value."""
    text = cell.text
    head, colon, tail = text.partition(": ")
    if colon and tail.strip() and len(head.split()) <= 6:
        n_words = len(tail.split())
        return tail.strip(), cell.words[-n_words].start, cell.words[-1].end
    return text.strip(" •●▪-–—"), cell.start, cell.end


def _in_sentences(task: Task) -> Iterator[Candidate]:
    terms = set(task.question.stems)
    for view in task.views:
        for start, end in view.sentences:
            sentence = view.page.text[start:end]
            if not terms & {t.stem for t in view.words_in(start, end)}:
                continue
            for m in _NAME.finditer(sentence):
                offset, text = _without_asked(m[0], terms)
                text = text.strip(" .,;:'’")
                starts = (
                    m.start() == 0
                    and " " not in text
                    and not any(c.isupper() or c.isdigit() for c in text[1:])
                )
                if text.endswith("-") or _POINTER.match(text):
                    continue
                if len(text) > 1 and len(text.split()) <= 8 and not starts and text.lower() not in STOP_WORDS:
                    yield _describe(task, view, start + m.start() + offset, start + m.end(), text, "name")
            if task.question.kind is Kind.PHRASE:
                for m in _COPULA.finditer(sentence):
                    tail = re.split(r"[,;.]\s|[.;]$", sentence[m.end() :])[0]
                    text = " ".join(tail.split())
                    if 1 <= len(text.split()) <= MAX_WORDS and any(c.isalpha() for c in text):
                        yield _describe(
                            task, view, start + m.end(), start + m.end() + len(tail), text, "clause"
                        )


def _without_asked(name: str, terms: set[str]) -> tuple[int, str]:
    """A name without the words at its front that the question says itself, and their length."""
    words = tokens(name)
    skip = 0
    while skip < len(words) - 1 and words[skip].stem in terms:
        skip += 1
    offset = words[skip].start if words else 0
    return offset, name[offset:]


def _captions(task: Task) -> Iterator[Candidate]:
    """The caption after "Figure 2" for a question about the title of that figure."""
    if not re.search(r"\b(?:title|caption|name|about|called)\b", task.question.body, re.IGNORECASE):
        return
    for kind, number in _CAPTION.findall(task.question.body):
        wanted = kind.lower().rstrip(".")[:3], number.lower()
        for view in task.views:
            text = view.page.text
            for m in _CAPTION.finditer(text):
                if (m[1].lower().rstrip(".")[:3], m[2].lower()) != wanted:
                    continue
                line_start = text.rfind("\n", 0, m.start()) + 1
                end = _caption_end(view, m.end())
                answer = " ".join(text[m.end() : end].split()).rstrip(".")
                if answer and text[line_start : m.start()].strip(" *-") == "":
                    candidate = _describe(task, view, m.start(), end, answer, "caption")
                    yield Candidate(answer, (Place(view, m.start(), end),), "caption", candidate.features)


def _caption_end(view: PageView, start: int) -> int:
    text = view.page.text
    region_end = next((r.end for r in view.page.regions if r.start <= start < r.end), len(text))
    stop = re.compile(r"\.\s|\.$|\n\n").search(text, start, min(region_end, start + 300))
    return stop.start() if stop else min(region_end, start + 300)


def find_extremes(task: Task) -> list[Candidate]:
    """Row labels of the highest or lowest value of a column, for "which … has the highest …"."""
    question = task.question
    if not (question.wants_most or question.wants_least) or question.kind not in (Kind.NAME, Kind.PHRASE):
        return []
    result: list[Candidate] = []
    for view in task.views[:3]:
        for header, values in _value_columns(task, view):
            if len(values) < MIN_COLUMN:
                continue
            pick = max if question.wants_most else min
            _, label, place = pick(values, key=lambda v: v[0])
            candidate = _describe(task, view, place.start, place.end, label.text, "extreme")
            features = dict(candidate.features)
            features["header_match"] = len(stem_set(header) & set(question.stems)) / max(
                1, len(question.stems)
            )
            features["n_values"] = min(len(values), 10) / 10
            result.append(Candidate(label.text.strip(" :.•"), (place,), "extreme", features))
    return result


def _value_columns(task: Task, view: PageView) -> list[tuple[str, list[tuple[float, Cell, Place]]]]:
    """Columns of numbers with text labels: the header, and value, label and place of every row."""
    columns: list[tuple[str, Box, list[tuple[float, Cell, Place]]]] = []
    for found in find_numbers(task.question, [view], task.weights):
        cell = view.grid.cell_at(found.number.start)
        if cell is None or not found.around.row_label:
            continue
        label = view.grid.rows[cell.row_no][0]
        if is_numeric(label.text) or len(label.words) > MAX_LABEL_WORDS or _SUMMARY.match(label.text):
            continue
        place = quote_place(view, found.number.start, found.number.end, found.around)
        header = found.around.column_label
        for known, box, values in columns:
            if known == header and box.x0 < cell.box.x1 and box.x1 > cell.box.x0:
                values.append((found.number.value, label, place))
                break
        else:
            columns.append((header, cell.box, [(found.number.value, label, place)]))
    return [(header, values) for header, _, values in columns]
