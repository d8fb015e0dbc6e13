"""Finds lists: items under a matching heading, cells of a column, enumerations in a sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from docrag.answer.extractive.candidates import Candidate, Place, Task
from docrag.answer.extractive.find_counts import items_below
from docrag.answer.extractive.find_values import surrounding_features
from docrag.answer.extractive.question_type import Kind
from docrag.answer.extractive.view import PageView, stem_set
from docrag.answer.values import dates, numbers

_COUNT_WORDS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_SPLIT = re.compile(r"\s*(?:,\s*(?:and|or)\s+|,|;|\s+and\s+|\s+or\s+|\s*&\s+)\s*")
_LEAD = re.compile(
    r"^.*?(?:\b(?:such as|including|include|includes|included|are|is|were|like|namely|of|as|by|on|via"
    r"|e\.g\.,?)\b|:)\s+",
    re.DOTALL,
)
_BULLET = re.compile(r"^\s*(?:[•●▪■◦○‣✓✔➢►–—*·+]|\(?\d{1,2}[.)]|\(?[a-z][.)])\s*")
MAX_ITEM_WORDS = 12
MAX_ITEMS = 25
MAX_LISTS = 40


def find_lists(task: Task) -> list[Candidate]:
    """Lists on the retrieved pages, for questions that ask for several things."""
    if task.question.kind is not Kind.LIST:
        return []
    n_wanted = _n_wanted(task.question.text)
    found = [*_bullets(task), *_enumerations(task), *_columns(task)]
    result: list[Candidate] = []
    for candidate, items in found:
        features = dict(candidate.features)
        features["length_match"] = 0.0 if n_wanted is None else (1.0 if len(items) == n_wanted else -1.0)
        features["n_items"] = min(len(items), 20) / 20
        asked = stem_set(task.question.body)
        own = stem_set(" ".join(items))
        features["in_question"] = len(own & asked) / len(own) if own else 1.0
        result.append(Candidate(as_list_text(items), candidate.places, candidate.method, features))
    result.sort(
        key=lambda c: -(c.features["coverage"] + 0.3 * c.features["length_match"] - c.features["in_question"])
    )
    return [
        replace(c, features={**c.features, "first": 1 / (1 + i)}) for i, c in enumerate(result[:MAX_LISTS])
    ]


def as_list_text(items: Sequence[str]) -> str:
    """Write a list as an answer: ``["a", "b"]``."""
    return json.dumps(list(items), ensure_ascii=False)


def _n_wanted(text: str) -> int | None:
    m = re.search(r"\b(?:what|which|the|are|on which)\s+(two|three|four|five|six)\b", text.lower())
    if m:
        return _COUNT_WORDS[m[1]]
    if "respectively" in text.lower():
        return (
            1 + len(re.findall(r",(?! respectively)|\band\b(?<!, and)", text.split("respectively")[0]))
            if " and " in text
            else None
        )
    return None


def _candidate(
    task: Task, view: PageView, places: Sequence[Place], head: frozenset[str], method: str
) -> Candidate:
    terms = task.question.stems
    around = view.around(places[0].start, places[0].end)
    features = surrounding_features(view, around, terms, task.question.years, task.weights)
    features["heading"] = task.weights.coverage(terms, {"row": head, "title": view.title, "page": view.stems})
    features["coverage"] = max(features["coverage"], features["heading"])
    return Candidate("", tuple(places), method, features)


def _bullets(task: Task) -> Iterator[tuple[Candidate, list[str]]]:
    for view in task.views:
        text = view.page.text
        for head, spans in items_below(view):
            items = [_item(text[a:b]) for a, b in spans]
            if all(items):
                yield (
                    _candidate(
                        task,
                        view,
                        [Place(view, a, b) for a, b in spans],
                        stem_set(text[slice(*head)]),
                        "bullets",
                    ),
                    items,
                )


def _item(text: str) -> str:
    text = _BULLET.sub("", text).strip()
    head, dash, _ = text.partition(": ")
    return " ".join((head if dash and len(head.split()) <= 6 else text).rstrip(".;,").split())


def _enumerations(task: Task) -> Iterator[tuple[Candidate, list[str]]]:
    terms = set(task.question.stems)
    for view in task.views:
        for start, end in view.sentences:
            sentence = view.page.text[start:end]
            words = frozenset(t.stem for t in view.words_in(start, end))
            if not terms & words or not re.search(r",| and | or ", sentence):
                continue
            tails = {sentence, _LEAD.sub("", sentence, count=1)}
            for m in re.finditer(r":\s+|\b(?:such as|including|includes?|are|namely)\s+", sentence):
                tails.add(sentence[m.end() :])
            for tail in tails:
                tail = re.split(r"[.;]\s|\s\(", tail)[0].rstrip(". ")
                items = [" ".join(i.split()).strip(" .\"'“”") for i in _SPLIT.split(tail)]
                items = [i for i in items if i]
                if 2 <= len(items) <= 20 and all(len(i.split()) <= 6 for i in items):
                    yield _candidate(task, view, [Place(view, start, end)], words, "enumeration"), items
            found = dates(sentence)
            if len(found) >= 2:
                pattern = task.question.date_pattern
                items = [d.as_pattern(pattern) if pattern else sentence[d.start : d.end] for d in found]
                yield (
                    _candidate(task, view, [Place(view, start, end)], words, "values"),
                    list(dict.fromkeys(items)),
                )
            percents = [n for n in numbers(sentence) if n.is_percent]
            if 2 <= len(percents) <= 6:
                items = [sentence[n.start : n.end] for n in percents]
                yield _candidate(task, view, [Place(view, start, end)], words, "values"), items


def _columns(task: Task) -> Iterator[tuple[Candidate, list[str]]]:
    """Cells below a cell that matches the question, as far as they are aligned with it."""
    terms = set(task.question.stems)
    n_wanted = _n_wanted(task.question.text)
    for view in task.views:
        rows = view.grid.rows
        for row in rows:
            for head in row:
                stems = stem_set(head.text)
                if not stems & terms or len(head.words) > 14:
                    continue
                cells = []
                last = head
                for below in rows[head.row_no + 1 : head.row_no + 40]:
                    aligned = [
                        c
                        for c in below
                        if abs(c.box.x0 - head.box.x0) < 14 or abs(c.box.center[0] - head.box.center[0]) < 14
                    ]
                    if not aligned:
                        continue
                    cell = aligned[0]
                    if cell.box.y0 - last.box.y1 > 4 * head.box.height or len(cell.words) > MAX_ITEM_WORDS:
                        break
                    cells.append(cell)
                    last = cell
                del cells[n_wanted or MAX_ITEMS :]
                if len(cells) >= 2:
                    items = [_item(c.text) for c in cells]
                    if all(items):
                        places = [Place(view, c.start, c.end) for c in cells]
                        yield _candidate(task, view, places, stems, "column"), items
