"""Page numbers as printed on the pages, for documents whose file does not declare them.

A bare number at the top or bottom edge may be a page number, a year or a figure. What tells them apart is
that page numbers keep one distance to the physical page numbers over many pages.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from docrag.types import Page

N_EDGE_LINES = 2
"""Lines looked at from the top and from the bottom."""

MIN_PAGES = 3
MIN_SHARE = 0.25
"""A distance counts when at least this many pages, and this share of those looked at, show it."""

SHORT_LINE = 6
"""In a line of up to this many words every number counts ("Page 12 of 40"), in a longer one the outer two."""

_BARE = re.compile(r"\W*(\d{1,4})\W*")
_GAP = re.compile(r"[\s/|]+")


def edge_numbers(page: Page) -> frozenset[int]:
    """Numbers in a short line, or first or last in a long one, at the top or bottom of the page."""
    lines = [
        words
        for line in page.text.splitlines()
        if (words := [word for word in _GAP.split(line) if any(map(str.isalnum, word))])
    ]
    found: set[int] = set()
    for words in [*lines[:N_EDGE_LINES], *lines[-N_EDGE_LINES:]]:
        for word in words if len(words) <= SHORT_LINE else (words[0], words[-1]):
            if match := _BARE.fullmatch(word):
                found.add(int(match[1]))
    return frozenset(found)


def number_offsets(edges: Mapping[int, frozenset[int]]) -> tuple[int, ...]:
    """Distances ``printed - physical`` that many pages agree on, most pages first.

    `edges` maps physical page numbers to what `edge_numbers` found there.

    Examples
    --------
    >>> number_offsets({4: frozenset({2}), 7: frozenset({5, 1999}), 9: frozenset({7}), 10: frozenset()})
    (-2,)
    """
    votes = Counter(number - page_no for page_no, numbers in edges.items() for number in numbers)
    enough = max(MIN_PAGES, MIN_SHARE * len(edges))
    agreed = [(-n, abs(offset), offset) for offset, n in votes.items() if n >= enough]
    return tuple(offset for _, _, offset in sorted(agreed))
