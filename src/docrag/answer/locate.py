"""The passage of a page that a sentence rests on, where the model cited the page and quoted nothing."""

from __future__ import annotations

from docrag.answer.quote_match import QuoteFinder
from docrag.answer.values import numbers
from docrag.answer.words import NEGATIONS, is_content, tokens
from docrag.types import Page

MIN_COVERAGE = 0.6
"""Share of the sentence's content words that the passage must hold."""
MAX_PASSAGE_CHARS = 400
_MAX_LINES = 3


def passage_for(sentence: str, page: Page, finder: QuoteFinder) -> tuple[int, int] | None:
    """``[start, end)`` of the one to three lines that hold the sentence's numbers and most of its words.

    None when no passage does: the same words on a page do not make the statement.
    """
    match = finder.find(sentence)
    if match.spans:
        return match.spans[0][0], match.spans[-1][1]
    words = {token.stem for token in tokens(sentence) if is_content(token)}
    wanted = {number.value for number in numbers(sentence)}
    denies = any(token.text.casefold() in NEGATIONS for token in tokens(sentence))
    if not words:
        return None
    lines = _lines(page)
    best: tuple[float, int, int, int] | None = None
    for n_lines in range(1, _MAX_LINES + 1):
        for first in range(len(lines) - n_lines + 1):
            start, end = lines[first][0], lines[first + n_lines - 1][1]
            text = page.text[start:end]
            if len(text) > MAX_PASSAGE_CHARS:
                continue
            found = tokens(text)
            coverage = len(words & {token.stem for token in found}) / len(words)
            if coverage < MIN_COVERAGE or (best is not None and coverage <= best[0]):
                continue
            if not wanted <= {number.value for number in numbers(text)}:
                continue
            if denies != any(token.text.casefold() in NEGATIONS for token in found):
                continue
            best = coverage, n_lines, start, end
    return (best[2], best[3]) if best is not None else None


def _lines(page: Page) -> list[tuple[int, int]]:
    """Spans of the page's lines, in text order."""
    spans: dict[int, tuple[int, int]] = {}
    for word in page.words:
        first, last = spans.get(word.line_no, (word.start, word.end))
        spans[word.line_no] = (min(first, word.start), max(last, word.end))
    return sorted(spans.values())
