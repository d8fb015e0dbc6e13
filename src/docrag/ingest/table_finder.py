"""Tables found by geometry: grids of rules, and rows of short fragments that stand in columns."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from statistics import median

import numpy as np

from docrag.geometry import Box, union_box
from docrag.ingest.blocks import blocks_of
from docrag.ingest.lines import Line, rows_of

_MAX_RULE_PT = 2.5
_JOIN_PT = 3.0  # rules this close to each other touch
_MIN_GRID_RULES = 3  # horizontal and vertical ones each: a grid of four cells or more
_MAX_COLUMN_GAP_PT = 30.0
_MIN_FILLED = 0.25  # of a grid's cells, also those for spacing; the grid behind a chart is empty
_MAX_RULES = 3000

# Prose: several lines of several words that fill the block's width; label columns are ragged or dotted.
_PROSE_LINES, _PROSE_WORDS, _PROSE_WIDTH, _PROSE_FULL = 4, 3.5, 0.75, 0.6
_SHORT_WORDS = 4
_MIN_ROWS = 3
_WIDE, _MIN_WIDE_ROWS = 4, 2  # with so many cells in a row, two rows are enough
_MAX_PLAIN_ROWS = 2  # titles, wrapped labels and group headings between two rows of cells
_MAX_ROW_GAP_EM = 3.5
_ALIGNED_EM = 0.7
_MIN_ALIGNED = 0.6
_LEADER = re.compile(r"(?:[.\u2026_]\s?){4,}$")
_NUMERIC = re.compile(r"[^A-Za-z]*\d[^A-Za-z]*|[-\u2013\u2014]|n/?a", re.IGNORECASE)


def ruled_tables(drawings: Sequence[Box], lines: Sequence[Line]) -> list[Box]:
    """Boxes of grids of rules that are filled with text."""
    joined: list[tuple[Box, int]] = []
    for box, n_cells in sorted(grid_boxes(drawings), key=lambda grid: (round(grid[0].y0), grid[0].x0)):
        if joined and _is_beside(joined[-1][0], box):
            other, n_other = joined.pop()
            box, n_cells = union_box((other, box)), n_other + n_cells
        joined.append((box, n_cells))
    return [box for box, n_cells in joined if _n_inside(box, lines) >= max(4, _MIN_FILLED * n_cells)]


def _is_beside(left: Box, right: Box) -> bool:
    """Whether two grids are parts of one table whose columns are shaded with a gap between them."""
    common = min(left.y1, right.y1) - max(left.y0, right.y0)
    return right.x0 - left.x1 <= _MAX_COLUMN_GAP_PT and common >= 0.9 * max(left.height, right.height)


def _n_inside(box: Box, lines: Sequence[Line]) -> int:
    return sum(box.contains_point(*line.box.center) for line in lines)


def grid_boxes(drawings: Sequence[Box]) -> list[tuple[Box, int]]:
    """Boxes of grids of crossing rules, with their number of cells; filled cells' edges count as rules."""
    horizontal: list[Box] = []
    vertical: list[Box] = []
    for box in drawings[:_MAX_RULES]:
        if box.height <= _MAX_RULE_PT < box.width:
            horizontal.append(box)
        elif box.width <= _MAX_RULE_PT < box.height:
            vertical.append(box)
        elif box.height < 60 and box.width > 4 * _MAX_RULE_PT:  # cells are a few lines high
            horizontal += [Box(box.x0, y, box.x1, y) for y in (box.y0, box.y1)]
            vertical += [Box(x, box.y0, x, box.y1) for x in (box.x0, box.x1)]
    if len(horizontal) < _MIN_GRID_RULES or len(vertical) < _MIN_GRID_RULES:
        return []
    found: list[tuple[Box, int]] = []
    for group in _touching([*horizontal, *vertical]):
        box = union_box(group)
        heights = _distinct([b.y0 for b in group if b.height <= _MAX_RULE_PT])
        widths = _distinct([b.x0 for b in group if b.width <= _MAX_RULE_PT])
        if heights >= _MIN_GRID_RULES and widths >= _MIN_GRID_RULES and box.height > 20 and box.width > 60:
            found.append((box, (heights - 1) * (widths - 1)))
    return found


def _distinct(values: Sequence[float]) -> int:
    ordered = sorted(values)
    return sum(i == 0 or v - ordered[i - 1] > _JOIN_PT for i, v in enumerate(ordered))


def _touching(boxes: Sequence[Box]) -> list[list[Box]]:
    """Groups of boxes that touch: a group takes in what touches the box around it."""
    members: list[list[Box]] = []
    # The box around each group, in order; NaN touches nothing, so it stands for groups that were joined.
    bounds = np.full((len(boxes), 4), np.nan)
    for box in sorted(boxes, key=lambda b: b.y0):
        n_groups = len(members)
        reach = box.padded(_JOIN_PT / 2)
        group = [box]
        at = 0
        while at < n_groups:
            x0, y0, x1, y1 = bounds[at:n_groups].T
            touches = (x0 < reach.x1) & (x1 > reach.x0) & (y0 < reach.y1) & (y1 > reach.y0)
            first = int(touches.argmax())
            if not touches[first]:
                break
            at += first
            group += members[at]
            reach = union_box((reach, Box(*bounds[at].tolist())))
            bounds[at] = np.nan
            members[at] = []
            at += 1  # groups before it were compared with a smaller reach, and stay apart
        bounds[n_groups] = reach
        members.append(group)
    return [group for group in members if group]


def aligned_tables(lines: Sequence[Line]) -> list[Box]:
    """Boxes of tables without a grid: rows with at most one long fragment, in columns that line up."""
    prose = {line.words for block in blocks_of(lines) if _is_prose(block) for line in block}
    rows = rows_of([line for line in lines if line.words not in prose and not line.is_vertical])
    found: list[Box] = []
    run: list[list[Line]] = []
    n_plain = 0
    for row in [*rows, []]:
        is_cells = len(row) > 1 and sum(_is_long(line) for line in row) <= 1
        near = not run or (
            bool(row)
            and min(line.box.y0 for line in row) - max(line.box.y1 for line in run[-1])
            <= _MAX_ROW_GAP_EM * row[0].size_pt
        )
        if is_cells and near:
            run.append(row)
            n_plain = 0
            continue
        if row and run and near and n_plain < _MAX_PLAIN_ROWS:
            run.append(row)
            n_plain += 1
            continue
        kept = run[: len(run) - n_plain]
        if _is_table(kept):
            found.append(union_box(line.box for r in kept for line in r))
        run, n_plain = ([row], 0) if is_cells else ([], 0)
    return found


def _is_long(line: Line) -> bool:
    return len(line.words) > _SHORT_WORDS and not _NUMERIC.fullmatch(line.text)


def _is_prose(block: Sequence[Line]) -> bool:
    if len(block) < _PROSE_LINES:
        return False
    width = max(line.box.width for line in block)
    full = sum(line.box.width >= _PROSE_WIDTH * width for line in block[:-1])
    dotted = sum(_LEADER.search(line.text) is not None for line in block)
    return (
        sum(len(line.words) for line in block) >= _PROSE_WORDS * len(block)
        and full >= _PROSE_FULL * (len(block) - 1)
        and dotted < 0.3 * len(block)
    )


def _is_table(rows: Sequence[Sequence[Line]]) -> bool:
    """Whether enough rows have cells whose left edges, right edges or middles line up."""
    cells = [row for row in rows if len(row) > 1]
    most = max((len(row) for row in cells), default=0)
    if len(cells) < (_MIN_ROWS if most < _WIDE else _MIN_WIDE_ROWS):
        return False
    em = median(line.size_pt for row in cells for line in row)
    n_numeric = sum(_NUMERIC.fullmatch(line.text) is not None for row in cells for line in row[1:])
    n_beside = sum(len(row) - 1 for row in cells)
    # Two columns of words are as often a form or two short paragraphs: they need numbers to be a table.
    if most < 3 and n_numeric < 0.5 * n_beside:
        return False
    aligned = _Edges([line.box for row in cells for line in row])
    n_rows = sum(
        sum(aligned.n_near(line.box, _ALIGNED_EM * em) >= min(_MIN_ROWS, len(cells)) for line in row) >= 2
        for row in cells
    )
    return n_rows >= _MIN_ALIGNED * len(cells)


class _Edges:
    """Left edges, right edges and middles of boxes, each sorted."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self._sorted = [sorted(values) for values in zip(*map(_positions, boxes), strict=True)]

    def n_near(self, box: Box, distance_pt: float) -> int:
        """Boxes within `distance_pt` of the left edge, right edge or middle of `box`: the largest number."""
        return max(
            bisect_left(values, x + distance_pt) - bisect_right(values, x - distance_pt)
            for values, x in zip(self._sorted, _positions(box), strict=True)
        )


def _positions(box: Box) -> tuple[float, float, float]:
    return box.x0, box.x1, box.center[0]
