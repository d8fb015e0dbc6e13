"""Whether two answers say the same: numbers compared as numbers, the rest as words."""

from __future__ import annotations

import math
import re

from docrag.answer.quote_match import fold
from docrag.answer.values import Number, numbers
from docrag.answer.words import NEGATIONS, STOP_WORDS, tokens

_REL_TOLERANCE = 1e-6
"""Numbers are equal as written ("1,200" and "1200.0"), not as rounded: 46.3 does not confirm 46.298."""
_MIN_SHARED = 0.8
"""Share of the words of both that must be common where no number decides."""
_NO = frozenset({"no", "false", "none"})
_YES = frozenset({"yes", "true"})


def answers_agree(first: str, second: str) -> bool:
    """Whether two short answers say the same; empty ones never do.

    They do when they are equal after folding case, accents and punctuation; when their numbers are the same,
    signs, scales and percent included; or, where there is no number, when nearly all words are. One that
    denies never agrees with one that does not.

    Examples
    --------
    >>> answers_agree("$1.2 million", "1,200,000 dollars")
    True
    >>> answers_agree("12 %", "12")
    False
    """
    a, b = _bare(first), _bare(second)
    if not a or not b:
        return False
    if a == b:
        return True
    if _says(first, _YES) != _says(second, _YES) or _says(first, _NO) != _says(second, _NO):
        return False
    ours, theirs = numbers(first, spelled=True), numbers(second, spelled=True)
    if ours or theirs:
        return _same_numbers(ours, theirs)
    left, right = _words(first), _words(second)
    return bool(left | right) and len(left & right) / len(left | right) >= _MIN_SHARED


def _bare(text: str) -> str:
    return " ".join(re.sub(r"[^\w%.,-]+", " ", fold(text)).strip(" .,").split())


def _words(text: str) -> set[str]:
    return {token.stem for token in tokens(text) if token.text.casefold() not in STOP_WORDS}


def _says(text: str, words: frozenset[str]) -> bool:
    found = {token.text.casefold() for token in tokens(text)}
    return bool(found & words) or (words is _NO and bool(found & NEGATIONS))


def _same_numbers(ours: list[Number], theirs: list[Number]) -> bool:
    def key(number: Number) -> tuple[float, bool]:
        return number.value, number.is_percent

    left, right = sorted(set(map(key, ours))), sorted(set(map(key, theirs)))
    return len(left) == len(right) and all(
        a[1] == b[1] and math.isclose(a[0], b[0], rel_tol=_REL_TOLERANCE)
        for a, b in zip(left, right, strict=True)
    )
