"""Numbers as people write them in a question: digits, words, ordinals, Roman numerals."""

from __future__ import annotations

import re

_CARDINALS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_ORDINALS = (
    "zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth",
    "nineteenth", "twentieth",
)  # fmt: skip
_VALUE_OF = {word: value for words in (_CARDINALS, _ORDINALS) for value, word in enumerate(words)}
_ROMAN_DIGITS = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}

CARDINAL = r"\d{1,5}|" + "|".join(_CARDINALS[:0:-1])
"""Pattern of a number in digits or words, one to twenty."""

ORDINAL = r"\d{1,4}(?:st|nd|rd|th)|" + "|".join(_ORDINALS[:0:-1])
"""Pattern of an ordinal."""

ROMAN = r"(?=[ivxlc]+\b)c{0,3}(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})"
"""Pattern of a Roman numeral below 400, as front matter is numbered."""


def value_of(text: str) -> int:
    """Value of what `CARDINAL`, `ORDINAL` or `ROMAN` matches; ValueError for anything else.

    Examples
    --------
    >>> [value_of(t) for t in ("17", "Three", "3rd", "twelfth", "xiv")]
    [17, 3, 3, 12, 14]
    """
    word = text.strip().lower()
    if word in _VALUE_OF:
        return _VALUE_OF[word]
    if digits := re.fullmatch(r"(\d+)(?:st|nd|rd|th)?", word):
        return int(digits[1])
    if word and re.fullmatch(ROMAN, word):
        values = [_ROMAN_DIGITS[letter] for letter in word]
        following = [*values[1:], 0]
        return sum(-v if v < after else v for v, after in zip(values, following, strict=True))
    raise ValueError(f"got {text!r}, expected a number in digits, words or Roman numerals")
