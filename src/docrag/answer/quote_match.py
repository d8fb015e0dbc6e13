"""Where a quote stands in a text: exact after normalisation, then tolerant, with offsets into the text.

Normalisation folds what typesetting changes and meaning does not: case, white space, ligatures and other
compatibility forms, kinds of dash and quotation mark, soft hyphens, hyphenation at line ends. The tolerant
search (Sellers 1980, approximate substring matching) then admits small slips of OCR, but never a changed
number, a lost negation or a word put in the place of another.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from docrag.answer.words import NEGATIONS, STOP_WORDS
from docrag.types import Support

MAX_SLIP_FRACTION = 0.2
"""Edits per character up to which a place is looked at; what the edits are is judged word by word."""
MIN_WORDS_KEPT = 0.8
"""Share of the quote's words that a partial match must keep."""
MIN_TOLERANT_CHARS = 6
"""Shorter quotes are found exactly or not at all: one slip in five characters makes another word."""
MAX_QUOTE_CHARS = 4000
"""Longer quotes are matched exactly only; the tolerant search takes time in proportion to both lengths."""

_DASHES = dict.fromkeys("‐‑‒–—―−﹘﹣－", "-")
_SINGLE = dict.fromkeys("‘’‚‛′`´ʼ", "'")
_DOUBLE = dict.fromkeys("“”„‟″«»", '"')
_FOLDED = {**_DASHES, **_SINGLE, **_DOUBLE, "…": "..."}
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff\x02")
# \x02 is what some parsers give for a hyphen at a line end.
_ELLIPSIS = re.compile(r"\s*(?:\[\s*(?:…|\.{3,})\s*\]|…|\.{3,})\s*")
_WORD = re.compile(r"\w+(?:[.,]\d+)*%?")
_CONFUSED_WITH_DIGITS = str.maketrans("olizsb", "011258")


@dataclass(frozen=True, slots=True)
class QuoteMatch:
    """How a quote was found: `spans` are ``[start, end)`` offsets into the text, empty for "none"."""

    support: Support
    spans: tuple[tuple[int, int], ...] = ()


NOT_FOUND = QuoteMatch("none")


@dataclass(frozen=True, slots=True)
class _Folded:
    """A folded text; ``source[i]`` is where character ``i`` came from, ``ends[i]`` where that ended."""

    text: str
    source: list[int]
    ends: list[int]


def fold(text: str) -> str:
    """Return `text` as it is compared: folded case, white space, dashes, quotation marks, hyphenation."""
    return _fold(text).text


def _fold(text: str) -> _Folded:
    chars: list[str] = []
    source: list[int] = []
    ends: list[int] = []

    def put(char: str, start: int, end: int) -> None:
        chars.append(char)
        source.append(start)
        ends.append(end)

    length = len(text)
    i = 0
    while i < length:
        char = text[i]
        if char in _INVISIBLE:
            i += 1
            continue
        if char.isspace():
            end = i + 1
            while end < length and (text[end].isspace() or text[end] in _INVISIBLE):
                end += 1
            if chars and chars[-1] != " ":
                put(" ", i, end)
            i = end
            continue
        folded = _FOLDED.get(char) or unicodedata.normalize("NFKD", char).casefold()
        if folded == "-" and chars and chars[-1].isalnum():
            # A hyphen inside a word or at a line end is dropped on both sides of the comparison, since
            # "exam-⏎ple" and "state-of-⏎the-art" look alike; between digits it stands.
            end = i + 1
            while end < length and (text[end].isspace() or text[end] in _INVISIBLE):
                end += 1
            if end < length and text[end].isalnum():
                if not (chars[-1].isalpha() and text[end].isalpha()):
                    put("-", i, i + 1)
                i = end
                continue
        for part in folded:
            if part == " ":
                if chars and chars[-1] != " ":
                    put(" ", i, i + 1)
            else:
                put(part, i, i + 1)
        i += 1
    while chars and chars[-1] == " ":
        chars.pop()
        source.pop()
        ends.pop()
    return _Folded("".join(chars), source, ends)


def carries_content(quote: str) -> bool:
    """Whether the quote holds a word or number other than stop words, so that finding it means something."""
    return any(word not in STOP_WORDS for word in _WORD.findall(fold(quote)))


class QuoteFinder:
    """Finds quotes in one text. The text is folded once, so many quotes of a page cost little."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _folded(self) -> _Folded:
        return _fold(self._text)

    @cached_property
    def _codes(self) -> NDArray[np.uint32]:
        return _codes(self._folded.text)

    def find(self, quote: str, *, near: int | None = None) -> QuoteMatch:
        """Find `quote`; of several equal places take the one closest to the offset `near`, else the first.

        Support is "full" when the whole quote stands in the text after normalisation, beginning and ending
        with whole words; "partial" when it stands there with small slips, or in pieces between ellipses;
        "none" when it does not, or when the quote is empty or made of stop words alone.
        """
        if not carries_content(quote):
            return NOT_FOUND
        span = self._exact(fold(quote), near)
        if span is not None:
            return QuoteMatch("full", (span,))
        parts = [part for part in _ELLIPSIS.split(quote) if part.strip()]
        spans: list[tuple[int, int]] = []
        position = -1
        for part in parts:
            folded = fold(part)
            found = self._exact(folded, near if len(parts) == 1 else None, after=position)
            if found is None:
                found = self._tolerant(folded)
            if found is None or found[0] < position:
                return NOT_FOUND
            spans.append(found)
            position = found[1]
        return QuoteMatch("partial", tuple(spans)) if spans else NOT_FOUND

    def _span(self, start: int, end: int) -> tuple[int, int]:
        return self._folded.source[start], self._folded.ends[end - 1]

    def _exact(self, quote: str, near: int | None, *, after: int = -1) -> tuple[int, int] | None:
        """Place of the folded quote between word boundaries, in offsets of the text."""
        text, best = self._folded.text, None
        start = text.find(quote) if quote else -1
        while start >= 0:
            end = start + len(quote)
            if _is_boundary(text, start) and _is_boundary(text, end):
                span = self._span(start, end)
                if span[0] >= after:
                    if near is None:
                        return span
                    if best is None or abs(span[0] - near) < abs(best[0] - near):
                        best = span
            start = text.find(quote, start + 1)
        return best

    def _tolerant(self, quote: str) -> tuple[int, int] | None:
        """Best place of the folded quote with slips that `_same_reading` accepts."""
        if not MIN_TOLERANT_CHARS <= len(quote) <= MAX_QUOTE_CHARS or not self._folded.text:
            return None
        pattern = _codes(quote)
        bound = int(MAX_SLIP_FRACTION * len(quote))
        row = _edits(pattern, self._codes, anywhere=True)
        end = int(row.argmin())
        if row[end] > bound or end == 0:
            return None
        first = max(0, end - len(quote) - bound)
        back = _edits(pattern[::-1], self._codes[first:end][::-1], anywhere=False)
        start = end - int(back.argmin())
        start, end = _whole_words(self._folded.text, start, end)
        if not _same_reading(quote, self._folded.text[start:end]):
            return None
        return self._span(start, end)


def match_quote(text: str, quote: str, *, near: int | None = None) -> QuoteMatch:
    r"""Find one quote in one text; see `QuoteFinder.find`.

    Examples
    --------
    >>> match_quote("The eﬃcient exam-\nple costs 12 €.", "the efficient example")
    QuoteMatch(support='full', spans=((0, 21),))
    """
    return QuoteFinder(text).find(quote, near=near)


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _edits(pattern: NDArray[np.uint32], text: NDArray[np.uint32], *, anywhere: bool) -> NDArray[np.int32]:
    """Edits between `pattern` and the prefix of `text` (or, `anywhere`, its best part) up to each position.

    ``(len(text) + 1,) int32``: one row per character of the pattern, as in Sellers (1980); the running
    minimum along the row stands for insertions.
    """
    steps = np.arange(len(text) + 1, dtype=np.int32)
    row = np.zeros_like(steps) if anywhere else steps
    for i, code in enumerate(pattern, 1):
        new = np.empty_like(row)
        new[0] = i
        np.minimum(row[1:] + 1, row[:-1] + (text != code), out=new[1:])
        row = np.minimum.accumulate(new - steps) + steps
    return row


def _is_letter(char: str) -> bool:
    return char.isalnum() or unicodedata.combining(char) > 0


def _is_boundary(text: str, i: int) -> bool:
    """Whether no word and no number ("1,234", "0.5") runs across the place before character `i`."""
    if i <= 0 or i >= len(text):
        return True
    if _is_letter(text[i - 1]) and _is_letter(text[i]):
        return False
    return not (_splits_number(text, i - 1) or _splits_number(text, i))


def _splits_number(text: str, i: int) -> bool:
    """Whether character `i` is a point or comma between digits."""
    return text[i] in ".," and 0 < i < len(text) - 1 and text[i - 1].isdigit() and text[i + 1].isdigit()


def _whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    while not _is_boundary(text, start):
        start -= 1
    while not _is_boundary(text, end):
        end += 1
    while start < end and text[start] == " ":
        start += 1
    while end > start and text[end - 1] == " ":
        end -= 1
    return start, end


def _same_reading(quote: str, found: str) -> bool:
    """Whether `found` reads like `quote`: words alike in spelling and order, same numbers and negations.

    A few words may be missing on either side, but none may stand in the place of another.
    """
    ours, theirs = _WORD.findall(quote), _WORD.findall(found)
    kept = 0
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    for tag, a0, a1, b0, b1 in matcher.get_opcodes():
        if tag == "equal" or _reads_as("".join(ours[a0:a1]), "".join(theirs[b0:b1])):
            kept += a1 - a0
        elif any(_is_decisive(word) for word in (*ours[a0:a1], *theirs[b0:b1])) or (
            tag == "replace" and any(word not in STOP_WORDS for word in ours[a0:a1])
        ):
            return False
    return kept >= MIN_WORDS_KEPT * max(1, len(ours))


def _reads_as(a: str, b: str) -> bool:
    """Whether two words differ only as OCR misreads, also when run together or torn apart."""
    if not a or not b or a in NEGATIONS or b in NEGATIONS:
        return False
    if any(char.isdigit() for char in a + b):
        return a.translate(_CONFUSED_WITH_DIGITS) == b.translate(_CONFUSED_WITH_DIGITS)
    return int(_edits(_codes(a), _codes(b), anywhere=False)[-1]) <= max(len(a), len(b)) // 5 or (
        a.translate(_CONFUSED_WITH_DIGITS) == b.translate(_CONFUSED_WITH_DIGITS)
    )


def _is_decisive(word: str) -> bool:
    """Whether a sentence says something else without this word."""
    return word in NEGATIONS or any(char.isdigit() for char in word)
