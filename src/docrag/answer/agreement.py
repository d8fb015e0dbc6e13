"""How far two short answers say the same: numbers compared as numbers, the rest by its words.

HM-RAG (arXiv 2504.12330) votes by a weighted sum of ROUGE-L and BLEU, to which "12.5 %" and "12.6 %" look
nearly alike and "1.2 million" and "1,200,000" look different. Here a number that contradicts decides.

Two questions are asked. `agreement` weighs answers for a vote: rounding, a share written as a percentage and
more words on one side leave them in agreement to a degree. `answers_agree` says whether a disagreement is out
of the question, so that nobody needs to look again: all numbers must be equal as written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from docrag.answer.quote_match import fold
from docrag.answer.values import Number, numbers
from docrag.answer.words import NEGATIONS, STOP_WORDS, tokens

SAME_WITHIN = 1e-9
"""Relative difference that floating point makes."""
_WORDS_SHARE = 0.3
"""How much of the agreement of two texts with equal numbers rests on their words."""
_OPENS_WITH_YES = re.compile(r"\W*(yes|true|correct)\b", re.IGNORECASE)
_OPENS_WITH_NO = re.compile(r"\W*(no|false|incorrect)\b", re.IGNORECASE)
_REL_TOLERANCE = 1e-6
"""Numbers are equal as written ("1,200" and "1200.0"), not as rounded: 46.3 does not confirm 46.298."""
_MIN_SHARED = 0.8
"""Share of the words of both that must be common where no number decides."""
_SAYS_NO = frozenset({"no", "false", "none"}) | NEGATIONS
_SAYS_YES = frozenset({"yes", "true"})

Semantic = Callable[[str, str], float]
"""Likeness of two texts by meaning, at most 1; such as the cosine of their embeddings."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two texts agree, 0 to 1, and why."""

    score: float
    why: str


def agreement(first: str, second: str, *, question: str = "", semantic: Semantic | None = None) -> Agreement:
    """Return how far two answers to one question agree; symmetric.

    Numbers that `question` names say nothing, unless they are all there is. Every number of the text with
    fewer of them must equal one of the other, or the score is 0; so it is when one text says yes and the
    other no. `semantic` can find words alike that are spelled differently; it never outweighs a number.

    Examples
    --------
    >>> agreement("12.5 %", "0.125").score
    1.0
    >>> agreement("12.5 % of staff", "12.6 % of staff").score
    0.0
    """
    if _polarity(first) * _polarity(second) < 0:
        return Agreement(0.0, "one says yes, the other no")
    ours, theirs = _telling(numbers(first, spelled=True), numbers(second, spelled=True), question)
    words = _likeness(first, second, semantic)
    if not ours and not theirs:
        return Agreement(words, "words alone")
    if not ours or not theirs:
        return Agreement(0.0, "only one has a number")
    n_equal = _n_equal(ours, theirs)
    if n_equal < min(len(ours), len(theirs)):
        return Agreement(0.0, "their numbers differ")
    share = 2 * n_equal / (len(ours) + len(theirs))
    return Agreement(share * (1 - _WORDS_SHARE + _WORDS_SHARE * words), "their numbers are equal")


def same_number(a: Number, b: Number) -> bool:
    """Whether two numbers can stand for the same: equal, or equal as far as the coarser one is written.

    A share may be written as a percentage or a fraction, and a unit may be left out, but a percentage is
    never a sum of money.
    """
    if (a.is_percent and b.is_money) or (a.is_money and b.is_percent):
        return False
    if _close(a.value, a, b.value, b):
        return True
    if a.is_percent and not b.is_percent:
        return _close(a.value / 100, a, b.value, b, shrink_a=100)
    if b.is_percent and not a.is_percent:
        return _close(a.value, a, b.value / 100, b, shrink_b=100)
    return False


def new_numbers(text: str, known: Sequence[str]) -> list[Number]:
    """Numbers of a text that stand in none of the known ones; rounding makes a number new."""
    values = [n.value for other in known for n in numbers(other, spelled=True)]
    allowed = [scaled for value in values for scaled in (value, value / 100, value * 100)]
    return [
        n
        for n in numbers(text, spelled=True)
        if not any(abs(n.value - value) <= SAME_WITHIN * max(abs(n.value), abs(value)) for value in allowed)
    ]


def _close(x: float, a: Number, y: float, b: Number, *, shrink_a: float = 1.0, shrink_b: float = 1.0) -> bool:
    """Whether two values are equal, or one is the other rounded to the places it is written with.

    An integer without a scale is exact: it was counted, not rounded.
    """
    if abs(x - y) <= SAME_WITHIN * max(abs(x), abs(y)):
        return True
    steps = [step for step in (_step(a) / shrink_a, _step(b) / shrink_b) if step > 0]
    coarser = max(steps, default=0.0)
    return abs(x - y) <= coarser / 2 * (1 + 1e-6)


def _step(number: Number) -> float:
    """Value of the last place a number is written with; 0 for a bare integer."""
    decimals = len(number.digits.rpartition(".")[2]) if "." in number.digits else 0
    if not decimals and number.scale == 1.0 and not number.is_percent:
        return 0.0
    return float(number.scale * 10.0**-decimals)


def _telling(
    ours: Sequence[Number], theirs: Sequence[Number], question: str
) -> tuple[list[Number], list[Number]]:
    """Numbers that the question does not name; all of them where it names all of either side's."""
    named = numbers(question, spelled=True)

    def without(found: Sequence[Number]) -> list[Number]:
        return [n for n in found if not any(n.value == other.value for other in named)]

    left, right = without(ours), without(theirs)
    return (left, right) if bool(left) == bool(right) and left else (list(ours), list(theirs))


def _n_equal(ours: Sequence[Number], theirs: Sequence[Number]) -> int:
    """Size of a matching of equal numbers, each used once, the closest first."""
    pairs = sorted(
        (abs(a.value - b.value), i, j)
        for i, a in enumerate(ours)
        for j, b in enumerate(theirs)
        if same_number(a, b)
    )
    used_ours: set[int] = set()
    used_theirs: set[int] = set()
    for _, i, j in pairs:
        if i not in used_ours and j not in used_theirs:
            used_ours.add(i)
            used_theirs.add(j)
    return len(used_ours)


def _polarity(text: str) -> int:
    return 1 if _OPENS_WITH_YES.match(text) else -1 if _OPENS_WITH_NO.match(text) else 0


def _likeness(first: str, second: str, semantic: Semantic | None) -> float:
    """Dice coefficient of the stems that carry content; 1 when either side has nothing but numbers.

    A negation on one side only leaves nothing in common.
    """
    ours, theirs = _content(first), _content(second)
    if bool(ours & NEGATIONS) != bool(theirs & NEGATIONS):
        return 0.0
    if not ours or not theirs:
        has_numbers = bool(numbers(first, spelled=True)) and bool(numbers(second, spelled=True))
        return 1.0 if has_numbers or ours == theirs else 0.0
    likeness = 2 * len(ours & theirs) / (len(ours) + len(theirs))
    if semantic is not None:
        likeness = max(likeness, min(1.0, semantic(first, second)))
    return likeness


def _content(text: str) -> frozenset[str]:
    spans = [(n.start, n.end) for n in numbers(text, spelled=True)]
    return frozenset(
        token.stem
        for token in tokens(text)
        if token.text.casefold() not in STOP_WORDS
        and not any(start <= token.start < end for start, end in spans)
    )


def agreeing(
    answers: Sequence[str], *, threshold: float, question: str = "", semantic: Semantic | None = None
) -> list[tuple[int, ...]]:
    """Group answers that agree: the largest group first, ties by the earliest answer.

    Every answer is put into the first group with whose first member it agrees at `threshold` or more.
    """
    groups: list[list[int]] = []
    for i, answer in enumerate(answers):
        for group in groups:
            if agreement(answers[group[0]], answer, question=question, semantic=semantic).score >= threshold:
                group.append(i)
                break
        else:
            groups.append([i])
    return [tuple(group) for group in sorted(groups, key=lambda g: (-len(g), g[0]))]


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
    if any(_says(first, words) != _says(second, words) for words in (_SAYS_YES, _SAYS_NO)):
        return False
    ours, theirs = numbers(first, spelled=True), numbers(second, spelled=True)
    if ours or theirs:
        return _same_numbers(ours, theirs)
    left, right = _content(first), _content(second)
    return bool(left | right) and len(left & right) / len(left | right) >= _MIN_SHARED


def _bare(text: str) -> str:
    return " ".join(re.sub(r"[^\w%.,-]+", " ", fold(text)).strip(" .,").split())


def _says(text: str, words: frozenset[str]) -> bool:
    return any(token.text.casefold() in words for token in tokens(text))


def _same_numbers(ours: list[Number], theirs: list[Number]) -> bool:
    def key(number: Number) -> tuple[float, bool]:
        return number.value, number.is_percent

    left, right = sorted(set(map(key, ours))), sorted(set(map(key, theirs)))
    return len(left) == len(right) and all(
        a[1] == b[1] and math.isclose(a[0], b[0], rel_tol=_REL_TOLERANCE)
        for a, b in zip(left, right, strict=True)
    )
