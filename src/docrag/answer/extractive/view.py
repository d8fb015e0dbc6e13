"""What an extractive method sees of a retrieved page: cells, sentences, and what stands around a place."""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from docrag.answer.extractive.grid import Cell, Grid, build_grid
from docrag.answer.values import numbers, years
from docrag.answer.words import STOP_WORDS, Token, tokens
from docrag.types import Evidence, Page, PageRef

NEAR_CHARS = 70
"""How far around a place in prose its words count as standing next to it."""
TIGHT_CHARS = 25
"""How far around a place words count as standing right beside it."""
MAX_HEADER_ROWS = 60
"""How many rows above a cell its column header is looked for."""
MAX_SENTENCE_CHARS = 500

_SENTENCE_END = re.compile(r"(?<=[.?!])[\s]+(?=[A-Z0-9“\"(•])|\n(?=[•▪◦●○–*-]\s)|(?<=[:;])\n")

CHANNEL_WEIGHTS = {"row": 1.0, "column": 1.0, "near": 0.9, "sentence": 0.75, "title": 0.6, "page": 0.35}
"""How much a question word counts that stands in the row, the column header, … of a value.

A word counts once, in its best place; the weights order the places from "labels this value" to "somewhere on
this page".
"""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Stems of the words that stand around a place, by channel; `row_label` is what labels its row."""

    channels: Mapping[str, frozenset[str]]
    row_label: str = ""
    column_label: str = ""
    sentence: tuple[int, int] = (0, 0)
    tight: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()


class PageView:
    """A retrieved page with its evidence and rank (1-based) in the ranking."""

    def __init__(self, page: Page, evidence: Evidence, *, rank: int) -> None:
        self.page = page
        self.evidence = evidence
        self.rank = rank
        self.is_named = False
        """Whether the question names this page."""

    @property
    def page_ref(self) -> PageRef:
        """Key of the page."""
        return self.evidence.hit.unit.page

    @cached_property
    def grid(self) -> Grid:
        """The page's cells."""
        return build_grid(self.page)

    @cached_property
    def tokens(self) -> list[Token]:
        """All words of the page, in text order."""
        return tokens(self.page.text)

    @cached_property
    def _token_starts(self) -> list[int]:
        return [t.start for t in self.tokens]

    @cached_property
    def stems(self) -> frozenset[str]:
        """Stems of all words of the page."""
        return frozenset(t.stem for t in self.tokens)

    @cached_property
    def title(self) -> frozenset[str]:
        """Stems of the first two rows, where slides and charts carry their title, and of all headings."""
        words = [cell.text for row in self.grid.rows[:3] for cell in row]
        words += [
            self.page.text[r.start : r.end]
            for r in self.page.regions
            if r.kind in ("section-header", "caption")
        ]
        return stem_set(" ".join(words))

    @cached_property
    def sentences(self) -> list[tuple[int, int]]:
        """Spans of sentences; none crosses a region."""
        spans: list[tuple[int, int]] = []
        edges = [(r.start, r.end) for r in self.page.regions] or [(0, len(self.page.text))]
        for start, end in edges:
            text = self.page.text[start:end]
            position = 0
            for m in [*_SENTENCE_END.finditer(text), None]:
                stop = m.start() if m else len(text)
                a, b = _trim(text, position, stop)
                if b > a:
                    spans.append((start + a, start + b))
                position = m.end() if m else stop
        return sorted(set(spans))

    def words_in(self, start: int, end: int) -> list[Token]:
        """Words that begin in ``[start, end)``."""
        return self.tokens[
            bisect.bisect_left(self._token_starts, start) : bisect.bisect_left(self._token_starts, end)
        ]

    def sentence_at(self, offset: int) -> tuple[int, int]:
        """Span of the sentence around an offset, at most `MAX_SENTENCE_CHARS` each way."""
        i = bisect.bisect_right(self.sentences, (offset, math.inf)) - 1
        if i < 0 or self.sentences[i][1] <= offset:
            return offset, offset
        start, end = self.sentences[i]
        return max(start, offset - MAX_SENTENCE_CHARS), min(end, offset + MAX_SENTENCE_CHARS)

    def around(self, start: int, end: int) -> Surroundings:
        """What stands around ``[start, end)``: its row, its column header, its neighbours, its sentence."""
        cell = self.grid.cell_at(start)
        row_label = column_label = beside = ""
        if cell is not None:
            row_label, parent = self.row_label(cell)
            column_label = " ".join(c.text for c in self.column_headers(cell))
            beside = " ".join(c.text for c in self.neighbours(cell)) + " " + parent
        s0, s1 = self.sentence_at(start)
        sentence = frozenset(t.stem for t in self.words_in(s0, s1))
        near = {t.stem for t in self.words_in(max(s0, start - NEAR_CHARS), min(s1, end + NEAR_CHARS))}
        own = cell.text if cell is not None else ""
        return Surroundings(
            {
                "row": stem_set(row_label),
                "column": stem_set(column_label),
                "near": frozenset(near) | stem_set(beside) | stem_set(own),
                "sentence": sentence,
                "title": self.title,
                "page": self.stems,
            },
            row_label,
            column_label,
            (s0, s1),
            frozenset(t.stem for t in self.words_in(max(s0, start - TIGHT_CHARS), start))
            | frozenset(t.stem for t in self.words_in(end, min(s1, end + TIGHT_CHARS))),
            stem_set(beside),
        )

    def row_label(self, cell: Cell) -> tuple[str, str]:
        """Text cells to the left in the same row, and the label above that an indented row belongs to.

        A label that wraps is read together with the row above.
        """
        row = self.grid.rows[cell.row_no]
        left = [c for c in row[: cell.column_no] if not is_numeric(c.text)]
        if not left:
            return "", ""
        label, parent = left[0], ""
        own = " ".join(c.text for c in left)
        for above in range(cell.row_no - 1, max(-1, cell.row_no - 8), -1):
            upper = self.grid.rows[above]
            first = upper[0]
            if (
                len(upper) == 1
                and own[:1].islower()
                and above == cell.row_no - 1
                and not is_numeric(first.text)
            ):
                own = f"{first.text} {own}"
            elif first.box.x0 < label.box.x0 - 4 or first.text.endswith(":"):
                if len(upper) == 1 and not is_numeric(first.text):
                    parent = first.text
                break
        return own, parent

    def column_headers(self, cell: Cell) -> list[Cell]:
        """Text or year cells above that overlap the cell's column, nearest first, at most three.

        Where no year stands right above, a row of years with as many cells as this row has numbers counts
        in order: printed headers are often not aligned with their columns.
        """
        found: list[Cell] = []
        margin, widest = 0.25 * cell.box.height, 0.5 * self.page.width_pt
        # What begins at the left edge of a row of several cells heads the table, not this column.
        left = self.grid.rows[cell.row_no][0].box.x0 + cell.box.height if cell.column_no else -1.0
        for row_no in range(cell.row_no - 1, max(-1, cell.row_no - MAX_HEADER_ROWS), -1):
            if len(found) >= 3 or (found and found[-1].row_no - row_no > 2):
                break
            for other in self.grid.rows[row_no]:
                if other.box.x0 < cell.box.x1 + margin and other.box.x1 > cell.box.x0 - margin:
                    if is_heading_cell(other.text) and other.box.x0 > left and other.box.width < widest:
                        found.append(other)
                    break
        if not any(years(c.text) for c in found):
            found += self._year_in_order(cell)
        return found

    def _year_in_order(self, cell: Cell) -> list[Cell]:
        values = [
            c
            for c in self.grid.rows[cell.row_no]
            if is_numeric(c.text) and any(ch.isdigit() for ch in c.text)
        ]
        if cell not in values:
            return []
        for row_no in range(cell.row_no - 1, max(-1, cell.row_no - MAX_HEADER_ROWS), -1):
            heads = [c for c in self.grid.rows[row_no] if years(c.text) and is_heading_cell(c.text)]
            if len(heads) >= 2:
                return [heads[values.index(cell)]] if len(heads) == len(values) else []
        return []

    def neighbours(self, cell: Cell) -> list[Cell]:
        """Text cells right above and below that overlap the cell's column, and to its left and right."""
        row = self.grid.rows[cell.row_no]
        found = [row[i] for i in (cell.column_no - 1, cell.column_no + 1) if 0 <= i < len(row)]
        for direction in (-1, 1):
            row_no = cell.row_no + direction
            if 0 <= row_no < len(self.grid.rows):
                for other in self.grid.rows[row_no]:
                    gap = max(other.box.y0 - cell.box.y1, cell.box.y0 - other.box.y1)
                    if (
                        other.box.x0 < cell.box.x1
                        and other.box.x1 > cell.box.x0
                        and gap < 2 * cell.box.height
                    ):
                        found.append(other)
        return [c for c in found if not is_numeric(c.text)]


def is_numeric(text: str) -> bool:
    """Whether a cell holds numbers and signs alone: "1,874", "$", "(34)", "12 %", "–"."""
    return not any(c.isalpha() for c in text) or bool(
        re.fullmatch(r"[\W\d]*\d[\W\d]*(?:m|bn|k|x|pts?)?", text, re.I)
    )


def is_heading_cell(text: str) -> bool:
    """Whether a cell may head a column: words, or years alone."""
    found = numbers(text)
    return any(c.isalpha() for c in text) or (bool(found) and all(n.is_year for n in found))


def stem_set(text: str) -> frozenset[str]:
    """Stems of all words but stop words."""
    return frozenset(t.stem for t in tokens(text) if t.text.casefold() not in STOP_WORDS)


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


class TermWeights:
    """Weight of each stem of a question: rare words weigh more; words that no document has are `missing`."""

    def __init__(self, n_pages: int, page_counts: Mapping[str, int]) -> None:
        self._weights = {
            term: math.log(1 + (n_pages - n + 0.5) / (n + 0.5)) for term, n in page_counts.items()
        }
        self.missing = frozenset(term for term, n in page_counts.items() if n == 0)

    def total(self, terms: Iterable[str]) -> float:
        """Sum of the weights."""
        return sum(self._weights.get(term, 0.0) for term in terms)

    def coverage(self, terms: Iterable[str], channels: Mapping[str, frozenset[str]]) -> float:
        """Weighted share, 0 to 1, of `terms` that stand in the channels, each counted in its best channel."""
        terms = list(terms)
        total = self.total(terms)
        if total <= 0:
            return 0.0
        got = sum(
            self._weights.get(term, 0.0)
            * max((CHANNEL_WEIGHTS[name] for name, found in channels.items() if term in found), default=0.0)
            for term in terms
        )
        return got / total
