"""Finds counts: captions of a kind in the document, items under a heading, pages that mention something."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from docrag.answer.extractive.candidates import Candidate, Place, Task
from docrag.answer.extractive.find_values import surrounding_features
from docrag.answer.extractive.question_type import Kind, Question
from docrag.answer.extractive.view import PageView, stem_set
from docrag.answer.quote_match import QuoteFinder
from docrag.answer.values import emails, urls
from docrag.answer.words import stem, stems

MAX_PLACES = 12
"""Places quoted for a count; more would not be read."""
_LABELLED = r"(?m)^\W{{0,3}}({0})\s*\.?\s*((?:[A-Z][.-]?)?\d+(?:[.-]\d+)*)\b"
_COUNTABLE = {
    stem(word): f"{word}|fig" if word == "figure" else word
    for word in (
        "figure",
        "table",
        "exhibit",
        "chart",
        "equation",
        "appendix",
        "chapter",
        "section",
        "step",
        "note",
        "algorithm",
        "box",
        "lesson",
        "part",
        "module",
        "question",
        "item",
        "article",
        "example",
        "theorem",
    )
}
"""Stems of things that documents number, and how their labels are written."""
_WHOLE = frozenset(
    stems(
        "article book guidebook guide manual whole total entire overall there presentation file brochure deck"
    )
)
"""Words for the document as a whole."""
_BULLET = re.compile(r"^\s*(?:[•●▪■◦○‣✓✔➢►–—*·+]|\(?\d{1,2}[.)]|\(?[a-z][.)])\s*\S")


def find_counts(task: Task) -> list[Candidate]:
    """How many labelled things the document has, and how many items a matching list holds."""
    if task.question.kind is not Kind.COUNT:
        return []
    return [*_labelled(task), *_lists(task)]


def _labelled(task: Task) -> Iterator[Candidate]:
    focus = next((s for s in reversed(task.question.focus) if s in _COUNTABLE), None)
    if focus is None:
        return
    others = set(task.question.stems) - set(task.question.focus) - _WHOLE
    if others:
        return  # asks for some of them, not for all
    pattern = re.compile(_LABELLED.format(_COUNTABLE[focus]), re.IGNORECASE)
    named = [view for view in task.views if view.is_named]
    for scope, views in (("pages", named),) if named else (("document", task.all_pages()),):
        labels: dict[str, Place] = {}
        for view in views:
            for m in pattern.finditer(view.page.text):
                labels.setdefault(m[2].lower(), Place(view, m.start(1), m.end(2)))
        if labels and views:
            first = next(iter(labels.values()))
            around = first.view.around(first.start, first.end)
            features = surrounding_features(first.view, around, task.question.stems, (), task.weights)
            features["n_items"] = min(len(labels), 20) / 20
            yield Candidate(
                str(len(labels)), tuple(labels.values())[:MAX_PLACES], f"labelled_{scope}", features
            )


def items_below(view: PageView) -> Iterator[tuple[tuple[int, int], list[tuple[int, int]]]]:
    """Yield runs of list items: the span of the line above, and the spans of the items."""
    text = view.page.text
    lines = [(m.start(), m.end()) for m in re.finditer(r"[^\n]+", text)]
    i = 0
    while i < len(lines):
        if not _BULLET.match(text[slice(*lines[i])]):
            i += 1
            continue
        items: list[tuple[int, int]] = []
        gap = 0
        j = i
        while j < len(lines) and gap <= 4:
            if _BULLET.match(text[slice(*lines[j])]):
                items.append(lines[j])
                gap = 0
            else:
                gap += 1
            j += 1
        if len(items) >= 2:
            yield (lines[i - 1] if i else (0, 0)), items
        i = j


def _lists(task: Task) -> Iterator[Candidate]:
    terms = task.question.stems
    for view in task.views:
        for head, items in items_below(view):
            around = view.around(*items[0])
            features = surrounding_features(view, around, terms, (), task.weights)
            heading = stem_set(view.page.text[slice(*head)]) | view.title
            if not task.question.focus or task.question.focus[-1] not in heading:
                continue
            features["heading"] = task.weights.coverage(terms, {"row": heading})
            features["n_items"] = min(len(items), 20) / 20
            places = tuple(Place(view, a, b) for a, b in items[:MAX_PLACES])
            yield Candidate(str(len(items)), places, "items", features)


def find_pages(task: Task) -> list[Candidate]:
    """Numbers of the pages that mention what a question asks the pages of."""
    question = task.question
    if question.kind is not Kind.PAGE:
        return []
    find = _finder(question)
    result: list[Candidate] = []
    if find is not None:
        places: list[Place] = []
        for view in task.all_pages():
            spans = find(view.page.text)
            if spans:
                places.append(Place(view, *spans[0]))
        if places:
            prefix = re.search(
                r"\[\s*[\"'“](p)\d+[\"'”]", question.text
            )  # the form of an example such as ["p1"]
            pages = [(prefix[1] if prefix else "") + _printed(p.view) for p in places]
            features = {"n_items": min(len(pages), 20) / 20, "coverage": 1.0}
            single = len(pages) == 1 and "pages" not in question.body.lower()
            answer = pages[0] if single else str(pages).replace("'", '"')
            result.append(Candidate(answer, tuple(places[:MAX_PLACES]), "pages", features))
    return result


def _printed(view: PageView) -> str:
    """The number by which a reader knows the page: its printed label, else its place in the file."""
    return view.page.label if view.page.label.isdigit() else str(view.page.page_no)


def _finder(question: Question) -> Callable[[str], Sequence[tuple[int, int]]] | None:
    """What is looked for on every page; returns the spans of it in a text."""
    if re.search(r"\b(?:websites?|urls?|web address\w*)\b", question.body, re.IGNORECASE):
        return urls
    if re.search(r"\be-?mail\b", question.body, re.IGNORECASE):
        return emails
    subjects = _subjects(question)
    return (lambda text: QuoteFinder(text).find(subjects[0]).spans) if subjects else None


def _subjects(question: Question) -> list[str]:
    """What the pages are asked of: quoted words, codes such as "P-10", then proper names."""
    codes = re.findall(r"\b[A-Z]{1,4}-?\d+(?:[.-]\d+)*\b", question.body)
    return [*question.quoted, *codes, *(t.text for t in question.entities)]
