"""Pages, captions and sections that a question names: "page 17", "slides 3-5", "Table 3", "Section 2.1"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from docrag.retrieve.numerals import CARDINAL, ORDINAL, ROMAN, value_of

MAX_RANGE = 100
"""A range of more pages than this is taken as its two ends."""

_MAX_CAPTION_RANGE = 20

_LETTERED = r"[A-Z]{1,2}-\d{1,4}"
_NUMBER = rf"(?:{_LETTERED}|{CARDINAL}|{ROMAN})"
_PAGES = re.compile(
    rf"\b(?:pages?|slides?|pp?\.)\s*(?:numbers?|nos?\.?|\#)?\s*\(?\s*"
    rf"(?P<list>{_NUMBER}\b(?:\s*(?:-|–|—|to|through|and|,\s*and|,|&|or)\s*(?:page\s+|slide\s+)?{_NUMBER}\b)*)",
    re.IGNORECASE,
)
_RANGE = re.compile(rf"({_NUMBER})\s*(?:-|–|—|to|through)\s*(?:page\s+|slide\s+)?({_NUMBER})$", re.IGNORECASE)
_NTH = re.compile(
    rf"\b(?P<nth>{ORDINAL}|last|final|(?:second|next)[- ]to[- ]last|penultimate)\s+"
    r"(?:(?:cover|content)\s+)?(?:page|slide)\b(?!\s*\d)",
    re.IGNORECASE,
)
_COVER = re.compile(
    r"\b(?:(?P<back>back)\s+cover|front\s+(?:cover|page)|(?:cover|title)\s+(?:page|slide|photo|image|picture)"
    r"|(?:on|of|in|at)\s+(?:the|its)\s+cover(?!\s+letter)|(?:the|its)\s+cover\s+of)\b",
    re.IGNORECASE,
)
_CAPTION = re.compile(
    r"\b(?P<kind>fig(?:ure)?|table|chart|exhibit|box|diagram|graph|plate|map|photo|algorithm|equation)s?\.?\s*"
    r"(?P<list>#?\d{1,3}(?:[.-]\d{1,3})*\b(?:\s*(?:and|,|&|or)\s*(?:fig(?:ure)?|table|chart)?s?\.?\s*"
    r"\d{1,3}(?:[.-]\d{1,3})*\b)*)",
    re.IGNORECASE,
)
_SECTION = re.compile(
    r"\b(?P<kind>(?i:section|chapter|part|appendix|annex))\s+(?P<number>\d{1,3}(?:\.\d{1,3})*|[A-Z](?:\.\d{1,3})*)\b"
)


@dataclass(frozen=True, slots=True)
class References:
    """What a question names.

    `numbers` are page numbers, which may mean the printed or the physical ones; `labels` are printed labels
    in lower case; `from_end` counts pages from the end, the last being 1. `captions` are pairs such as
    ("figure", "3-1"), `sections` numbers such as "2.1" or "A". `rest` is the question without
    page references.
    """

    numbers: frozenset[int]
    labels: frozenset[str]
    from_end: frozenset[int]
    captions: frozenset[tuple[str, str]]
    sections: frozenset[str]
    rest: str

    @property
    def names_pages(self) -> bool:
        """Whether any page is named by number, label or place."""
        return bool(self.numbers or self.labels or self.from_end)


def references_in(question: str) -> References:
    """Find the references in `question`.

    Examples
    --------
    >>> found = references_in("What do Table 2 and the chart on pages 3-5 show?")
    >>> sorted(found.numbers), sorted(found.captions), found.rest
    ([3, 4, 5], [('table', '2')], 'What do Table 2 and the chart on   show?')
    """
    numbers: set[int] = set()
    labels: set[str] = set()
    from_end: set[int] = set()
    for match in _PAGES.finditer(question):
        _read_pages(match["list"], numbers, labels)
    for match in _NTH.finditer(question):
        nth = match["nth"].lower()
        if nth in ("last", "final"):
            from_end.add(1)
        elif nth == "penultimate" or nth.endswith("last"):
            from_end.add(2)
        else:
            numbers.add(value_of(nth))
    for match in _COVER.finditer(_NTH.sub(" ", question)):
        if match["back"]:
            from_end.add(1)
        else:
            numbers.add(1)
    captions = {
        (caption_kind(match["kind"]), number)
        for match in _CAPTION.finditer(question)
        for number in _caption_numbers(match["list"])
    }
    sections = {match["number"] for match in _SECTION.finditer(question)}
    rest = _NTH.sub(" ", _PAGES.sub(" ", question))
    return References(
        frozenset(numbers),
        frozenset(labels),
        frozenset(from_end),
        frozenset(captions),
        frozenset(sections),
        rest,
    )


def caption_kind(word: str) -> str:
    """One name for the words that captions open with: "Fig." and "Figure" are the same.

    Examples
    --------
    >>> caption_kind("Fig.")
    'figure'
    """
    word = word.lower().rstrip(".s")
    return "figure" if word == "fig" else word


def _caption_numbers(listed: str) -> set[str]:
    """Numbers in "5 and 6" or "1-4"; the latter may be one number of a chapter, or a range: both count."""
    found = set(re.findall(r"\d{1,3}(?:[.-]\d{1,3})*", listed))
    for number in list(found):
        first, _, last = number.partition("-")
        if first.isdigit() and last.isdigit() and int(first) < int(last) <= int(first) + _MAX_CAPTION_RANGE:
            found.update(str(n) for n in range(int(first), int(last) + 1))
    return found


def _read_pages(listed: str, numbers: set[int], labels: set[str]) -> None:
    """Read "3", "iv", "A-2", "3, 4 and 7" or "3-5" into `numbers` and `labels`."""
    for item in re.split(r"\s*(?:,\s*and\b|,|&|\band\b|\bor\b)\s*", listed, flags=re.IGNORECASE):
        item = re.sub(r"^(?:page|slide)\s+", "", item.strip(), flags=re.IGNORECASE)
        if re.fullmatch(_LETTERED, item, re.IGNORECASE):
            labels.add(item.lower())
            continue
        # "twenty-one" is one number.
        ends = None if re.fullmatch(CARDINAL, item, re.IGNORECASE) else _RANGE.match(item)
        words = [ends[1], ends[2]] if ends else [item]
        for word in words:
            if re.fullmatch(CARDINAL, word, re.IGNORECASE):
                numbers.add(value_of(word))
            elif word != "I":  # "the pages I read"
                labels.add(word.lower())
        if ends and all(re.fullmatch(CARDINAL, word, re.IGNORECASE) for word in words):
            first, last = (value_of(word) for word in words)
            if first < last <= first + MAX_RANGE:
                numbers.update(range(first, last))
