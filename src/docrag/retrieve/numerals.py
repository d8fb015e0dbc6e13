"""Numbers as people write them in a question: digits, words, ordinals, Roman numerals."""

from __future__ import annotations

import re
from collections.abc import Iterable

_CARDINALS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_ORDINALS = (
    "zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth",
    "nineteenth",
)  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
_VALUE_OF = {
    **{word: value for words in (_CARDINALS, _ORDINALS) for value, word in enumerate(words)},
    **_TENS,
    **{f"{ten.removesuffix('y')}ieth": value for ten, value in _TENS.items()},
    **{
        f"{ten}-{word}": tens + units
        for ten, tens in _TENS.items()
        for words in (_CARDINALS, _ORDINALS)
        for units, word in enumerate(words[1:10], 1)
    },
}
_ROMAN_DIGITS = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


def _any_of(words: Iterable[str]) -> str:
    """Pattern of one of the words, with a hyphen or a blank between two; the longest is tried first."""
    return "|".join(word.replace("-", "[ -]") for word in sorted(words, key=len, reverse=True))


_IS_ORDINAL = re.compile(r".*(?:st|nd|rd|th)")

CARDINAL = r"\d{1,5}|" + _any_of(w for w, n in _VALUE_OF.items() if n and not _IS_ORDINAL.fullmatch(w))
"""Pattern of a number in digits or words, one to ninety-nine."""

ORDINAL = r"\d{1,4}(?:st|nd|rd|th)|" + _any_of(
    w for w, n in _VALUE_OF.items() if n and _IS_ORDINAL.fullmatch(w)
)
"""Pattern of an ordinal, in words up to the ninety-ninth."""

ROMAN = r"(?=[ivxlc]+\b)c{0,3}(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})"
"""Pattern of a Roman numeral below 400, as front matter is numbered."""


def value_of(text: str) -> int:
    """Value of what `CARDINAL`, `ORDINAL` or `ROMAN` matches; ValueError for anything else.

    Examples
    --------
    >>> [value_of(t) for t in ("17", "Three", "3rd", "twelfth", "forty-two", "xiv")]
    [17, 3, 3, 12, 42, 14]
    """
    word = text.strip().lower()
    if (spelled := word.replace(" ", "-")) in _VALUE_OF:
        return _VALUE_OF[spelled]
    if digits := re.fullmatch(r"(\d+)(?:st|nd|rd|th)?", word):
        return int(digits[1])
    if word and re.fullmatch(ROMAN, word):
        values = [_ROMAN_DIGITS[letter] for letter in word]
        following = [*values[1:], 0]
        return sum(-v if v < after else v for v, after in zip(values, following, strict=True))
    raise ValueError(f"got {text!r}, expected a number in digits, words or Roman numerals")
