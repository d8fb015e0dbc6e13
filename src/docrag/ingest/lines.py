"""Lines of words, and the visual rows that lines form."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from docrag.geometry import Box, union_box
from docrag.protocols import RawWord

# A gap wider than this many font sizes ends a line: justified text stays below 1, a column gutter is 1.5
# or more of the type it separates, a table's columns stand further apart still.
COLUMN_GAP_EM = 1.6
_WORD_GAP_EM = 0.8
_WORD_SIZE_RATIO = 1.6  # OCR layers set each word in a size of its own
# Fragments belong to one visual row when they share this much of the lower one's height.
_ROW_OVERLAP = 0.5
# A line this much taller than wide runs up or down the page.
_VERTICAL_RATIO = 2.0


@dataclass(frozen=True, slots=True)
class Line:
    """A run of words on one base line without a wide gap. `words` are indices, in logical order."""

    words: tuple[int, ...]
    box: Box
    text: str
    size_pt: float
    is_bold: bool
    line_no: int

    @property
    def is_vertical(self) -> bool:
        """Whether the line runs up or down the page."""
        return len(self.text) > 2 and self.box.height > _VERTICAL_RATIO * self.box.width


def lines_of(words: Sequence[RawWord], *, gap_em: float = COLUMN_GAP_EM) -> list[Line]:
    """Group words by the parser's line, and cut each line at gaps of `gap_em` font sizes."""
    groups: list[list[int]] = []
    previous: RawWord | None = None
    for index, word in enumerate(words):
        if previous is None or word.line_no != previous.line_no or _is_far(previous, word, gap_em):
            groups.append([])
        groups[-1].append(index)
        previous = word
    return [_line([words[i] for i in group], group) for group in groups]


def _is_far(previous: RawWord, word: RawWord, gap_em: float) -> bool:
    size_pt = word.font_size_pt or min(word.box.height, word.box.width)
    gap_x = max(word.box.x0 - previous.box.x1, previous.box.x0 - word.box.x1)
    gap_y = max(word.box.y0 - previous.box.y1, previous.box.y0 - word.box.y1)
    return max(gap_x, gap_y) > gap_em * size_pt


def _line(words: Sequence[RawWord], indices: Sequence[int]) -> Line:
    n_bold = sum(len(w.text) for w in words if w.is_bold)
    n_chars = sum(len(w.text) for w in words)
    return Line(
        words=tuple(indices),
        box=union_box(w.box for w in words),
        text=" ".join(w.text for w in words),
        size_pt=median(w.font_size_pt or w.box.height * 0.75 for w in words),
        is_bold=2 * n_bold > n_chars,
        line_no=words[0].line_no,
    )


def joined_fragments(lines: Sequence[Line]) -> list[Line]:
    """`lines` with neighbours on a row joined where only a word gap is between them, as in OCR layers."""
    out: list[Line] = []
    for row in rows_of(lines):
        for index, line in enumerate(row):
            last = out[-1] if index else None
            if last is None or line.is_vertical or not _is_next_word(last, line):
                out.append(line)
                continue
            words = last.words + line.words
            out[-1] = replace(
                last,
                words=words,
                box=union_box((last.box, line.box)),
                text=f"{last.text} {line.text}",
                size_pt=max(last, line, key=lambda part: len(part.text)).size_pt,
            )
    return out


def _is_next_word(last: Line, line: Line) -> bool:
    gap = max(line.box.x0 - last.box.x1, last.box.x0 - line.box.x1)
    common = min(line.box.y1, last.box.y1) - max(line.box.y0, last.box.y0)
    return (
        gap <= _WORD_GAP_EM * min(last.size_pt, line.size_pt)
        and common >= _ROW_OVERLAP * min(last.box.height, line.box.height)
        and max(last.size_pt, line.size_pt) <= _WORD_SIZE_RATIO * min(last.size_pt, line.size_pt)
    )


def is_right_to_left(text: str) -> bool:
    """Whether most letters of `text` are Arabic, Hebrew or of another right-to-left script."""
    if text.isascii():
        return False
    n_rtl = n_ltr = 0
    for char in text:
        direction = unicodedata.bidirectional(char)
        n_rtl += direction in ("R", "AL")
        n_ltr += direction == "L"
    return n_rtl > n_ltr


def rows_of(lines: Sequence[Line]) -> list[list[Line]]:
    """Visual rows from top to bottom; fragments of a row in reading direction, vertical lines alone."""
    rows: list[list[Line]] = []
    boxes: list[Box] = []
    for line in sorted(lines, key=lambda item: (item.box.center[1], item.box.x0)):
        if rows and not line.is_vertical and not rows[-1][0].is_vertical:
            common = min(line.box.y1, boxes[-1].y1) - max(line.box.y0, boxes[-1].y0)
            if common >= _ROW_OVERLAP * min(line.box.height, boxes[-1].height):
                rows[-1].append(line)
                boxes[-1] = union_box((boxes[-1], line.box))
                continue
        rows.append([line])
        boxes.append(line.box)
    for row in rows:
        sign = -1 if is_right_to_left("".join(line.text for line in row)) else 1
        row.sort(key=lambda item: sign * item.box.center[0])
    return rows
