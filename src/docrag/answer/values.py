"""Typed values in text: numbers with sign, unit and scale, dates, addresses of mail and web, years."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SCALES = {
    "thousand": 1e3,
    "k": 1e3,
    "lakh": 1e5,
    "lac": 1e5,
    "million": 1e6,
    "mn": 1e6,
    "mm": 1e6,
    "m": 1e6,
    "crore": 1e7,
    "billion": 1e9,
    "bn": 1e9,
    "b": 1e9,
    "trillion": 1e12,
    "tn": 1e12,
}
"""Words and letters after a number that scale it."""

MAX_DIGITS = 24
"""Longer runs of digits are codes, not numbers."""
_NUMBER = re.compile(
    r"""(?P<open>\()?\s?(?P<currency>US\$|Rs\.?|[$€£¥₹])?\s?(?P<sign>[-−–](?=\d|\.\d))?
    (?P<digits>\d{1,3}(?:,\d{2,3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)
    (?:\s?(?P<percent>%|percent\b|per\ cent\b|percentage\ points?\b)
    |\s?(?P<scale>thousand|lakhs?|lacs?|million|mn|mm|crores?|billion|bn|trillion|tn)\b|(?P<short>[kKmMbB])(?![\w]))?
    (?P<close>\s?\))?""",
    re.VERBOSE | re.IGNORECASE,
)
_SPELLED = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "thirteen": 13,
    "fourteen": 14,
    "fifteen": 15,
    "sixteen": 16,
    "seventeen": 17,
    "eighteen": 18,
    "nineteen": 19,
    "twenty": 20,
}
_SPELLED_RE = re.compile(rf"\b(?:{'|'.join(_SPELLED)})\b", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DATE = re.compile(
    rf"""\b(?:
    (?P<y1>(?:19|20)\d\d)[-/.](?P<m1>\d{{1,2}})(?:[-/.](?P<d1>\d{{1,2}}))?
    |(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH.format("m2")},?\s+(?P<y2>(?:1[6-9]|20)\d\d)
    |{_MONTH.format("m3")}\s*(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?,?\s*(?P<y3>(?:1[6-9]|20)\d\d)
    |{_MONTH.format("m4")},?\s+(?P<y4>(?:1[6-9]|20)\d\d)
    |(?P<a5>\d{{1,2}})[-/.](?P<b5>\d{{1,2}})[-/.](?P<y5>(?:19|20)\d\d)
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
_URL = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]{}\"']+[\w/]", re.IGNORECASE)
_PHONE = re.compile(r"(?<!\w)\+?\(?\d{2,4}\)?[-.\s]\d{2,4}[-.\s]\d{3,5}(?:[-.\s]\d{2,5})?(?!\w)")
_YEAR = re.compile(r"\b(?:1[6-9]|20)\d\d\b")


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written, at ``[start, end)``; `value` has sign and written scale applied.

    `digits` are the digits as printed. `is_year` marks a bare four-digit number that may be a year.
    """

    start: int
    end: int
    value: float
    digits: str
    is_percent: bool
    is_money: bool
    scale: float
    is_year: bool


def numbers(text: str, *, spelled: bool = False) -> list[Number]:
    """Return all numbers of a text in order; with `spelled`, also "one" to "twenty"."""
    found: list[Number] = []
    for m in _NUMBER.finditer(text):
        digits = m["digits"]
        if len(digits) > MAX_DIGITS:
            continue
        start = m.start("currency") if m["currency"] else m.start("sign") if m["sign"] else m.start("digits")
        before = text[start - 1 : start]
        after = text[m.end("digits") : m.end("digits") + 1]
        if (
            before.isalpha()
            or (before in "_" and before)
            or (after.isalpha() and not m["short"] and not m["scale"] and not m["percent"])
        ):
            continue  # part of a name such as "Q3", "B12" or "3D"
        unit_end = max(m.end(g) for g in ("digits", "percent", "scale", "short"))
        negative = (bool(m["sign"]) and not before.isdigit()) or bool(m["open"] and m["close"])
        scale_word = (m["scale"] or m["short"] or "").lower().removesuffix("s")
        scale = _SCALES.get(scale_word, 1.0)
        value = float(digits.replace(",", "")) * scale * (-1 if negative else 1)
        is_year = bool(_YEAR.fullmatch(digits)) and not (m["currency"] or m["percent"] or scale_word)
        found.append(
            Number(start, unit_end, value, digits, bool(m["percent"]), bool(m["currency"]), scale, is_year)
        )
    if spelled:
        found += [
            Number(m.start(), m.end(), float(_SPELLED[m[0].lower()]), m[0], False, False, 1.0, False)
            for m in _SPELLED_RE.finditer(text)
        ]
        found.sort(key=lambda n: n.start)
    return found


@dataclass(frozen=True, slots=True)
class Date:
    """A calendar date at ``[start, end)``; `day` is 0 when only the month is written."""

    start: int
    end: int
    year: int
    month: int
    day: int

    def as_pattern(self, pattern: str) -> str:
        """Write the date by a pattern of YYYY, MM and DD; parts that are unknown are left out."""
        text = pattern.replace("YYYY", f"{self.year:04d}").replace("MM", f"{self.month:02d}")
        return text.replace("DD", f"{self.day:02d}") if self.day else re.sub(r"[-/. ]?DD[-/. ]?", "", text)


def dates(text: str) -> list[Date]:
    """Return all dates with at least year and month. ``a/b/yyyy`` is month first unless that cannot be."""
    return list(_dates(text))


def _dates(text: str) -> Iterator[Date]:
    for m in _DATE.finditer(text):
        if m["y1"]:
            year, month, day = int(m["y1"]), int(m["m1"]), int(m["d1"] or 0)
        elif m["y2"]:
            year, month, day = int(m["y2"]), _month(m["m2"]), int(m["d2"])
        elif m["y3"]:
            year, month, day = int(m["y3"]), _month(m["m3"]), int(m["d3"])
        elif m["y4"]:
            year, month, day = int(m["y4"]), _month(m["m4"]), 0
        else:
            a, b = int(m["a5"]), int(m["b5"])
            year, (month, day) = int(m["y5"]), (b, a) if a > 12 else (a, b)
        if 1 <= month <= 12 and 0 <= day <= 31:
            yield Date(m.start(), m.end(), year, month, day)


def _month(name: str) -> int:
    return 1 + _MONTHS.index(name[:3].lower())


def years(text: str) -> list[int]:
    """Return the four-digit years that a text names, in order."""
    return [int(m[0]) for m in _YEAR.finditer(text)]


def emails(text: str) -> list[tuple[int, int]]:
    """Return spans of mail addresses."""
    return [m.span() for m in _EMAIL.finditer(text)]


def urls(text: str) -> list[tuple[int, int]]:
    """Return spans of web addresses."""
    return [m.span() for m in _URL.finditer(text)]


def phones(text: str) -> list[tuple[int, int]]:
    """Return spans of telephone-like numbers."""
    return [m.span() for m in _PHONE.finditer(text)]


def plain(value: float, *, decimals: int | None = None) -> str:
    """Write a number without grouping; `decimals` None keeps what is needed, integers without a point."""
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value == int(value):
        return str(int(value))
    return f"{value:.6f}".rstrip("0").rstrip(".")
