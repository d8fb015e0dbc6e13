"""The cells of a page by position: words in visual rows, rows cut into cells at wide gaps.

Tables without rules, charts and slides carry meaning by place alone, and detectors miss many of them; rows
and columns of words are there on every page, OCR included.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

from docrag.geometry import Box, union_box
from docrag.types import Page, Word

GAP_HEIGHTS = 0.9
"""Gap, in heights of the words beside it, that ends a cell; a word space is about a quarter."""
_LEADER = re.compile(r"[.…·_]{3,}\s*$|^[.…·_]{3,}")
_ALONE = re.compile(r"[.…·_\s]{2,}|[$€£¥₹]|US\$|Rs\.?")
"""Dot leaders and currency signs that stand alone are no words of a cell."""
SAME_ROW_OVERLAP = 0.5
"""Share of the lower word's height that must overlap the row for a word to belong to it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Words side by side. `start` and `end` are the first and last offset of them in `Page.text`."""

    text: str
    box: Box
    words: tuple[Word, ...]
    row_no: int
    column_no: int

    @property
    def start(self) -> int:
        """Smallest offset of its words."""
        return min(w.start for w in self.words)

    @property
    def end(self) -> int:
        """Largest offset of its words."""
        return max(w.end for w in self.words)


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of cells, top to bottom, left to right."""

    rows: tuple[tuple[Cell, ...], ...]
    _by_word: dict[int, Cell] = field(default_factory=dict[int, Cell], repr=False)

    def cell_at(self, offset: int) -> Cell | None:
        """Return the cell whose word begins at or spans `offset`, None when no word does."""
        return self._by_word.get(offset)


def build_grid(page: Page) -> Grid:
    """Group the page's words into visual rows and cells."""
    rows: list[list[Word]] = []
    spans: list[list[float]] = []  # top and bottom of each row
    words = [w for w in page.words if not _ALONE.fullmatch(page.word_text(w))]
    for word in sorted(words, key=lambda w: (w.box.center[1], w.box.x0)):
        middle, height = word.box.center[1], max(word.box.height, 1e-6)
        for i in range(len(rows) - 1, max(-1, len(rows) - 4), -1):
            top, bottom = spans[i]
            overlap = min(bottom, word.box.y1) - max(top, word.box.y0)
            if overlap >= SAME_ROW_OVERLAP * min(height, bottom - top) and top <= middle <= bottom:
                rows[i].append(word)
                break
        else:
            rows.append([word])
            spans.append([word.box.y0, word.box.y1])
    by_word: dict[int, Cell] = {}
    result: list[tuple[Cell, ...]] = []
    for row_no, row in enumerate(rows):
        row.sort(key=lambda w: w.box.x0)
        groups: list[list[Word]] = [[row[0]]]
        for before, word in itertools.pairwise(row):
            gap = word.box.x0 - before.box.x1
            if gap > GAP_HEIGHTS * max(min(before.box.height, word.box.height), 1e-6):
                groups.append([word])
            else:
                groups[-1].append(word)
        cells = tuple(
            Cell(
                " ".join(_LEADER.sub("", page.word_text(w)) for w in group),
                union_box(w.box for w in group),
                tuple(group),
                row_no,
                column_no,
            )
            for column_no, group in enumerate(groups)
        )
        for cell in cells:
            for word in cell.words:
                for offset in range(word.start, word.end):
                    by_word[offset] = cell
        result.append(cells)
    return Grid(tuple(result), by_word)
