"""What a question asks for: the type of its answer, the form it wants, and what it names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from docrag.answer.extractive import question_patterns as patterns
from docrag.answer.values import years
from docrag.answer.words import Token, is_content, stem, tokens, word_set


class Kind(StrEnum):
    """Types of answer."""

    COUNT = "count"
    NUMBER = "number"
    PERCENTAGE = "percentage"
    MONEY = "money"
    DATE = "date"
    YEAR = "year"
    NAME = "name"
    LIST = "list"
    YES_NO = "yes_no"
    CHOICE = "choice"
    PAGE = "page"
    EMAIL = "email"
    URL = "url"
    PHONE = "phone"
    COLOUR = "colour"
    PHRASE = "phrase"


class Operation(StrEnum):
    """Arithmetic that a question asks for over numbers that stand in the documents."""

    DIFFERENCE = "difference"
    SUM = "sum"
    QUOTIENT = "quotient"
    AVERAGE = "average"


NUMERIC = frozenset({Kind.COUNT, Kind.NUMBER, Kind.PERCENTAGE, Kind.MONEY})
"""Kinds whose answer is one number."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question taken apart.

    `body` is the question without the clause that only says how to write the answer. `content` are the words
    of it that say what is asked about; `entities` are those of them that name something: proper names, codes,
    numbers, quoted words. `pages` are page numbers as written, `positions` places from the front (1) or the
    back (-1): "the second page", "the last page". `focus` is the noun phrase after "how many" or "which".
    """

    text: str
    body: str
    kind: Kind
    content: tuple[Token, ...]
    years: tuple[int, ...]
    pages: tuple[int, ...]
    positions: tuple[int, ...]
    entities: tuple[Token, ...]
    operation: Operation | None
    choices: tuple[str, ...]
    quoted: tuple[str, ...]
    wants_most: bool
    wants_least: bool
    decimals: int | None
    scale: float | None
    as_percent: bool
    date_pattern: str | None
    focus: tuple[str, ...]

    @property
    def stems(self) -> tuple[str, ...]:
        """Distinct stems of the content words, in order."""
        return tuple(dict.fromkeys(t.stem for t in self.content))


def analyse(text: str) -> Question:
    """Take a question apart; never fails, an unrecognised question asks for a short phrase."""
    text = " ".join(text.split())
    body = patterns.FORM_CLAUSE.sub("", text).strip(" ,.") or text
    kind = _kind(text, body)
    choices = _choices(text, body) if kind in (Kind.CHOICE, Kind.YES_NO) else ()
    if kind is Kind.CHOICE and len(choices) < 2:
        kind, choices = _kind(text, body, may_choose=False), ()
    decimals = patterns.DECIMALS.search(text)
    scale = patterns.SCALE.search(text)
    pattern = patterns.DATE_PATTERN.search(text)
    digits = (decimals[1] or decimals[2]).lower() if decimals else ""
    body_years = tuple(dict.fromkeys([*years(body), *_fiscal_years(body)]))
    return Question(
        text=text,
        body=body,
        kind=kind,
        content=tuple(t for t in tokens(body) if is_content(t)),
        years=body_years,
        pages=_pages(body),
        positions=tuple(
            dict.fromkeys(patterns.POSITIONS[(a or b).lower()] for a, b in patterns.POSITION.findall(body))
        ),
        entities=_entities(body),
        operation=_operation(body),
        choices=choices,
        quoted=tuple(a or b for a, b in patterns.QUOTED.findall(body)),
        wants_most=bool(patterns.MOST.search(body)),
        wants_least=bool(patterns.LEAST.search(body)),
        decimals=(patterns.SPELLED.get(digits) or int(digits)) if digits else None,
        scale=patterns.SCALE_VALUES[scale[1].lower()] if scale else None,
        as_percent=bool(patterns.PERCENT_TERMS.search(text)),
        date_pattern=pattern[0] if pattern else None,
        focus=_focus(body),
    )


def _kind(text: str, body: str, *, may_choose: bool = True) -> Kind:
    """Return the first kind whose wording the question has; the order settles what several would claim."""
    counts = bool(patterns.COUNT.search(body))
    superlative = bool(patterns.MOST.search(body) or patterns.LEAST.search(body))
    which = bool(re.search(r"\bwhich\b", body, re.IGNORECASE))
    lists = bool(patterns.LIST.search(text))
    chooses = may_choose and bool(patterns.OR.search(body) and patterns.COMPARES.search(body))
    tests: tuple[tuple[bool, Kind], ...] = (
        (bool(patterns.YES_OR_NO.search(text)), Kind.YES_NO),
        (bool(patterns.COLOUR.search(body)) and not counts, Kind.COLOUR),
        (bool(patterns.PAGE.search(body)), Kind.PAGE),
        (bool(patterns.LIST_ORDER.match(body)), Kind.LIST),
        (bool(patterns.ASKS_PERCENTAGE.search(body)), Kind.LIST if lists else Kind.PERCENTAGE),
        (chooses and not counts, Kind.CHOICE),
        (lists, Kind.LIST),
        (bool(patterns.EMAIL.search(body)), Kind.EMAIL),
        (bool(patterns.URL.search(body)) and not counts, Kind.URL),
        (bool(patterns.PHONE.search(body)), Kind.PHONE),
        (bool(patterns.YEAR.search(body)), Kind.YEAR),
        (bool(patterns.DATE.search(body) and patterns.ASKS.search(text)), Kind.DATE),
        (bool(patterns.WHEN.search(body)) and not counts, Kind.DATE),
        (counts, Kind.COUNT),
        (bool(patterns.YES_NO.search(body)), Kind.YES_NO),
        (bool(patterns.NAME.search(body)) or (which and superlative), Kind.NAME),
        (bool(patterns.PERCENTAGE.search(body) or patterns.PERCENT_TERMS.search(text)), Kind.PERCENTAGE),
        (bool(patterns.MONEY.search(body)), Kind.MONEY),
        (bool(patterns.MEASURE.search(text)) and not patterns.NOT_MEASURED.search(text), Kind.NUMBER),
        (which, Kind.NAME),
    )
    return next((kind for holds, kind in tests if holds), Kind.PHRASE)


def _operation(body: str) -> Operation | None:
    for operation, pattern in (
        (Operation.DIFFERENCE, patterns.DIFFERENCE),
        (Operation.QUOTIENT, patterns.QUOTIENT),
        (Operation.AVERAGE, patterns.AVERAGE),
        (Operation.SUM, patterns.SUM),
    ):
        if pattern.search(body):
            return operation
    return None


def _choices(text: str, body: str) -> tuple[str, ...]:
    """Return the two things between which a question asks to choose."""
    quoted = re.search(
        r"answer\s+['\"‘“]([^'\"’”]+)['\"’”]\s+or\s+['\"‘“]([^'\"’”]+)['\"’”]", text, re.IGNORECASE
    )
    if quoted and quoted[1].lower() not in ("yes", "no"):
        return quoted[1], quoted[2]
    opposites = patterns.OPPOSITES.search(body)
    if opposites:
        first, second = (word for word in opposites.groups() if word)
        return first, second
    # The last clause that has an "or" holds the options: ", A or B?", ": A, or B?", "between A or B".
    sides = re.split(r"\s*,?\s+or\s+", body.strip(" ?."), flags=re.IGNORECASE)
    if len(sides) != 2:
        return ()
    left, right = sides
    left = re.split(
        r"[,:?;]\s+|\b(?:between|whether|is it|step|areas|the|on|than a|a)\s+(?=\S+(?:\s+\S+){0,6}$)", left
    )[-1]
    right = re.split(
        r"[,:?;]\s*"
        r"|\s+(?:side|part|than|of the|considered|has|have|is|are|was|were|when|in the|the step|which)\b",
        right,
    )[0]
    left, right = (
        re.sub(r"^(?:the|a|an|to)\s+", "", s.strip(" '\"“”‘’`"), flags=re.IGNORECASE) for s in (left, right)
    )
    return (left, right) if left and right and len(left) < 80 and len(right) < 80 else ()


def _pages(body: str) -> tuple[int, ...]:
    pages: list[int] = []
    for m in patterns.PAGES.finditer(body):
        first, last = int(m[1]), int(m[2] or m[1])
        pages += range(first, last + 1) if first <= last <= first + 20 else [first, last]
    for m in patterns.SPELLED_PAGES.finditer(body):
        pages += [patterns.SPELLED[word.lower()] for word in m.groups() if word]
    return tuple(dict.fromkeys(pages))


_NOT_NAMES = word_set(
    """
    page pages slide slides figure figures fig table tables faq document fy cy int i a.m p.m yes no
    """
)


def _entities(body: str) -> tuple[Token, ...]:
    """Content words that name something: capitalised inside the question, with digits, or quoted."""
    quoted = [m.span() for m in patterns.QUOTED.finditer(body)]
    pages = [m.span() for m in (*patterns.PAGES.finditer(body), *patterns.SPELLED_PAGES.finditer(body))]
    found: list[Token] = []
    for token in tokens(body):
        word = token.text
        fiscal = re.fullmatch(r"(?:FY|CY|F)'?\d+", word)
        if (
            not is_content(token)
            or word.casefold() in _NOT_NAMES
            or fiscal
            or any(a <= token.start < b for a, b in pages)
        ):
            continue
        named = (
            word[0].isupper()
            and token.start > 0
            and body[max(0, token.start - 2) : token.start] not in (". ", "? ")
        )
        has_digit = any(c.isdigit() for c in word) and not re.fullmatch(r"\d+(?:st|nd|rd|th)", word)
        if named or has_digit or any(a <= token.start < b for a, b in quoted):
            found.append(token)
    return tuple(found)


def _fiscal_years(body: str) -> list[int]:
    """Years in fiscal notation: FY15, FY2015, F2019."""
    return [int(m) if len(m) == 4 else 2000 + int(m) for m in patterns.FISCAL_YEAR.findall(body)]


_FOCUS = re.compile(
    r"\b(?:how many|number of|count of|which|what|whose)\s+(?:of (?:the|them|these)\s+)?"
    r"((?:[\w'’&/-]+\s*){1,6})",
    re.IGNORECASE,
)
_FOCUS_END = word_set(
    """
    is are was were do does did has have had can could will would should in on of from for to that which
    with by at there show shows shown list lists listed used given provided included contained mentioned
    appear illustrated as among being
    """
)


def _focus(body: str) -> tuple[str, ...]:
    m = _FOCUS.search(body)
    if m is None:
        return ()
    words: list[str] = []
    for word in m[1].split():
        if word.lower() in _FOCUS_END:
            break
        words.append(stem(word))
    return tuple(words)
