"""The part of a page or chunk that fits a question best, and where it stands."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

from docrag.geometry import Box
from docrag.retrieve.question import words_query
from docrag.types import Page

MAX_CHARS = 300
"""Longest snippet; about three lines of a terminal."""

MIN_CHARS = 80
"""As much is shown, where there is as much, when nothing says which part of a page is meant."""

_SAYS_NOTHING_CHARS = 10
"""A shorter part, such as an initial or a bare number, is shown with what stands around it, too."""

PAIR_BONUS = 0.5
"""What two neighbouring words of the question that are neighbours here add, relative to a word."""

_WORD = re.compile(r"[^\W_]+")
_BREAK = re.compile(r"(?<=[.!?。！？])[\"”’)\]]*\s+|\n")
_ENDINGS = ("ing", "ed", "es", "s")


class Snippet(NamedTuple):
    """A span ``[start, end)`` of `Page.text`, its words on one line, and its boxes, one per line."""

    start: int
    end: int
    text: str
    boxes: tuple[Box, ...]


def best_snippet(page: Page, question: str, *, start: int = 0, end: int | None = None) -> Snippet:
    """Return the sentences in a row, inside ``[start, end)``, that hold most of the question's words.

    A word counts once, and less the more often the page has it. Without any of them it is the beginning. What
    is too short to be of use is shown with the sentences after it, then those before it.
    """
    end = len(page.text) if end is None else end
    pieces = _pieces(page.text, start, end)
    if not pieces:
        return Snippet(start, start, "", ())
    asked = [_stem(word) for word in _WORD.findall(words_query(question))]
    stems = [[_stem(word) for word in _WORD.findall(page.text[a:b])] for a, b in pieces]
    frequency = Counter(itertools.chain.from_iterable(stems))
    worth = {word: (1 + math.log(frequency[word])) ** -2 for word in asked if word in frequency}
    for pair in itertools.pairwise(asked):
        if pair[0] in worth and pair[1] in worth:
            worth[" ".join(pair)] = PAIR_BONUS * min(worth[pair[0]], worth[pair[1]])
    found = [_found(words, worth) for words in stems]

    best, best_key = (0, 1), (0.0, 0)
    for i in range(len(pieces)):
        held: set[str] = set()
        for j in range(i, len(pieces)):
            if j > i and pieces[j - 1][1] - pieces[i][0] > MAX_CHARS:
                break
            if found[j] <= held:
                continue  # a longer window that holds no more
            held |= found[j]
            # Among windows that hold the same, the shortest and first.
            key = (round(sum(worth[term] for term in held), 6), pieces[i][0] - pieces[j][1])
            if key > best_key:
                best, best_key = (i, j + 1), key
    first, last = pieces[best[0]][0], pieces[best[1] - 1][1]
    if not best_key[0] or last - first < _SAYS_NOTHING_CHARS:
        first, last = _grown(pieces, *best)
    return Snippet(first, last, " ".join(page.text[first:last].split()), page.boxes_of(first, last))


def _grown(pieces: list[tuple[int, int]], i: int, j: int) -> tuple[int, int]:
    """Span of ``pieces[i:j]`` and of as many after, then before, as `MIN_CHARS` needs."""
    first, last = pieces[i][0], pieces[j - 1][1]
    for _, end in pieces[j:]:
        if last - first >= MIN_CHARS or end - first > MAX_CHARS:
            break
        last = end
    for start, _ in reversed(pieces[:i]):
        if last - first >= MIN_CHARS or last - start > MAX_CHARS:
            break
        first = start
    return first, last


def _found(words: list[str], worth: dict[str, float]) -> set[str]:
    """Words and pairs of words that are worth something."""
    terms = itertools.chain(words, map(" ".join, itertools.pairwise(words)))
    return {term for term in terms if term in worth}


def _pieces(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Spans of sentences and lines in ``[start, end)``; longer ones are cut at blanks."""
    cuts = [start, *(start + m.end() for m in _BREAK.finditer(text[start:end])), end]
    pieces: list[tuple[int, int]] = []
    for a, b in itertools.pairwise(cuts):
        while b - a > MAX_CHARS:
            blank = text.rfind(" ", a + 1, a + MAX_CHARS)
            cut = blank if blank > a else a + MAX_CHARS
            pieces.append((a, cut))
            a = cut
        pieces.append((a, b))
    return [
        (a + len(part) - len(part.lstrip()), b - len(part) + len(part.rstrip()))
        for a, b in pieces
        if (part := text[a:b]).strip()
    ]


@lru_cache(maxsize=1 << 15)
def _stem(word: str) -> str:
    """The word in lower case without common English endings; both sides are cut alike, so it may be rough."""
    word = word.casefold()
    if word.isalpha():
        for ending in _ENDINGS:
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                return word[: -len(ending)]
    return word
