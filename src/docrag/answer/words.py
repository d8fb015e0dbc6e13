"""Words of questions and passages: tokens with offsets, stop words, and a light stemmer."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text, for lists that are easier to read as one."""
    return frozenset(text.split())


NEGATIONS = frozenset({"no", "not", "nor", "none", "never", "without", "cannot", "neither", "n't", "except"})

STOP_WORDS = word_set(
    """
    a about after all also an and any are as at be because been being both but by can could did do does
    doing during each for from had has have having he her hers here him his how i if in into is it its
    itself just may many me might more most much must my of on once only or other our out over own same she
    should so some such than that the their theirs them then there these they this those through to too
    under until up upon us very was we were what when where which while who whom whose why will with would
    you your yours
    """
)
"""English function words; negations are not among them, since they carry meaning."""

QUESTION_WORDS = word_set(
    """
    according answer answers ask asked based brief briefly called contain contained contains describe
    described directly document documents enumerate find following format give given identify include
    included including introduced list listed mention mentioned mentions name named names paper please
    present presented provide provided question refer refers related report reported respectively return
    round say says section show showed shown shows slide slides specify state stated tell text use used
    using value various write written integer float string decimal decimals places
    """
)
"""Words by which questions ask, which seldom stand in the passage that answers."""

_TOKEN = re.compile(r"\w+(?:[.,:]\d+)*(?:['’]s\b)?")


class Token(NamedTuple):
    """A word as it stands, its stem, and its ``[start, end)`` in the text."""

    text: str
    stem: str
    start: int
    end: int


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Fold case and take off English plural and verb endings ("S-stemmer" of Harman 1991, and -ed, -ing)."""
    word = unicodedata.normalize("NFKC", word).casefold().replace("’", "'").removesuffix("'s")
    if len(word) <= 3 or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            return word.removesuffix("e")
    return word.removesuffix("e") if len(word) > 4 else word


def tokens(text: str) -> list[Token]:
    """Words and numbers of a text in order, with stems and offsets."""
    return [Token(m[0], stem(m[0]), m.start(), m.end()) for m in _TOKEN.finditer(text)]


def stems(text: str) -> list[str]:
    """Stems of all words of a text."""
    return [stem(m[0]) for m in _TOKEN.finditer(text)]


def is_content(token: Token) -> bool:
    """Whether a word of a question says what is asked about, not how."""
    word = token.text.casefold()
    return word not in STOP_WORDS and word not in QUESTION_WORDS and (len(word) > 1 or word.isdigit())
