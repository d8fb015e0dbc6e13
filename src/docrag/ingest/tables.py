"""The rows and columns of a table: from rules where it has them, else from the alignment of its words."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from statistics import median

from docrag.geometry import Box, union_box
from docrag.ingest.lines import Line, lines_of, rows_of
from docrag.protocols import RawPage, RawWord
from docrag.types import Table

# Words closer than this many font sizes belong to one cell, whatever the column.
_CELL_GAP_EM = 0.75
# A gap between columns may be bridged by headers that span them: by this share of the rows.
_MAX_BRIDGED = 0.15
_MIN_GUTTER_EM = 0.35
_MAX_RULE_PT = 2.5  # thicker drawings are bars and fills
_MAX_LINE_GAP = 0.5  # between lines of one cell, in line heights
_MIN_RULED_SHARE = 0.6  # of the table's width or height, for a rule to divide it
_MAX_ROWS, _MAX_COLUMNS = 400, 60
_MAX_HEADER_ROWS = 3
_NUMBER = re.compile(r"[$€£¥(+\-\u2212\u2013~<>≈]*\d[\d.,\s]*[%)]*\*?")
_LEADERS = re.compile(r"(?:[.\u2026\u00b7_]\s?){4,}")  # rows of dots that lead the eye to a number
_YEAR = re.compile(r"(19|20)\d\d")
_PREFIX_CELLS = frozenset({"$", "€", "£", "¥", "("})
_SUFFIX_CELLS = frozenset({"%", ")", ")%", "*"})


def table_of(page: RawPage, box: Box, indices: Sequence[int]) -> Table | None:
    """The table that the words `indices` inside `box` form, or None when they are no grid."""
    words = [page.words[i] for i in indices]
    if len(words) < 2:
        return None
    em = median(word.font_size_pt or word.box.height * 0.75 for word in words)
    h_rules, v_rules = _rules(page.drawings, box, em)
    fragments = lines_of(words, gap_em=_CELL_GAP_EM)
    visual_rows = rows_of(fragments)
    if len(visual_rows) > _MAX_ROWS:
        return None
    columns = _columns(visual_rows, box, v_rules, em)
    if not 2 <= len(columns) + 1 <= _MAX_COLUMNS:
        return None
    grid = [_cells(row, columns, words) for row in visual_rows]
    grid = _joined_rows(grid, visual_rows, h_rules, is_gridded=len(v_rules) > 2)
    grid = _joined_columns(grid, words)
    if len(grid) < 2 or max(sum(bool(cell) for cell in row) for row in grid) < 2:
        return None
    texts = tuple(tuple(_cell_text(words, cell) for cell in row) for row in grid)
    boxes = tuple(
        tuple(union_box(words[i].box for i in cell) if cell else None for cell in row) for row in grid
    )
    return Table(texts, boxes, _header_rows(texts))


_Cell = list[int]
_Grid = list[list[_Cell]]


def _rules(drawings: Sequence[Box], box: Box, em: float) -> tuple[list[float], list[float]]:
    """Heights of horizontal rules and positions of vertical rules that divide the table."""
    area = box.padded(em)
    horizontal: list[tuple[float, float, float]] = []
    vertical: list[tuple[float, float, float]] = []
    for drawing in drawings:
        if drawing.x1 < area.x0 or drawing.x0 > area.x1 or drawing.y1 < area.y0 or drawing.y0 > area.y1:
            continue
        x0, x1 = max(drawing.x0, area.x0), min(drawing.x1, area.x1)
        y0, y1 = max(drawing.y0, area.y0), min(drawing.y1, area.y1)
        if drawing.height <= _MAX_RULE_PT:
            horizontal.append(((y0 + y1) / 2, x0, x1))
        elif drawing.width <= _MAX_RULE_PT:
            vertical.append(((x0 + x1) / 2, y0, y1))
        elif drawing.height < 0.9 * box.height or drawing.width < 0.9 * box.width:
            # A filled cell or band: its edges divide like rules.
            horizontal += [(y0, x0, x1), (y1, x0, x1)]
            vertical += [(x0, y0, y1), (x1, y0, y1)]
    return (
        _long_rules(horizontal, _MIN_RULED_SHARE * box.width, em),
        _long_rules(vertical, _MIN_RULED_SHARE * box.height, em),
    )


def _long_rules(pieces: list[tuple[float, float, float]], min_length: float, em: float) -> list[float]:
    """Positions of collinear pieces that are `min_length` long together; half an em apart is one position."""
    found: list[float] = []
    group: list[tuple[float, float, float]] = []
    for piece in [*sorted(pieces), (float("inf"), 0.0, 0.0)]:
        if group and piece[0] - group[0][0] > 0.5 * em:
            covered, reach = 0.0, float("-inf")
            for _, start, end in sorted(group, key=lambda p: p[1]):
                covered += max(0.0, end - max(start, reach))
                reach = max(reach, end)
            if covered >= min_length:
                found.append(median(p[0] for p in group))
            group = []
        group.append(piece)
    return found


def _columns(rows: Sequence[Sequence[Line]], box: Box, v_rules: Sequence[float], em: float) -> list[float]:
    """Positions between columns, from left to right: the rules of a ruled grid, else empty gutters."""
    inner = [x for x in v_rules if box.x0 + em < x < box.x1 - em]
    if len(inner) >= 2:
        return inner
    # Rows of one fragment are titles or wrapped text and say nothing about columns.
    telling = [row for row in rows if len(row) > 1]
    edges = sorted(edge for row in telling for line in row for edge in ((line.box.x0, 1), (line.box.x1, -1)))
    allowed = int(_MAX_BRIDGED * len(telling))
    gutters = list(inner)
    depth = 0
    gutter_start: float | None = None
    for x, step in edges:
        depth += step
        if depth > allowed:
            if gutter_start is not None and x - gutter_start >= _MIN_GUTTER_EM * em:
                gutters.append((gutter_start + x) / 2)
            gutter_start = None
        elif step < 0 and gutter_start is None:
            gutter_start = x
    gutters.sort()
    return [x for i, x in enumerate(gutters) if i == 0 or x - gutters[i - 1] > 0.5 * em]


def _cells(row: Sequence[Line], columns: Sequence[float], words: Sequence[RawWord]) -> list[_Cell]:
    """Words of a visual row by column; a fragment alone in its row stands in the first column it touches."""
    cells: list[_Cell] = [[] for _ in range(len(columns) + 1)]
    for line in row:
        if len(row) == 1:
            cells[bisect_right(columns, line.box.x0)].extend(line.words)
            continue
        for i in line.words:
            cells[bisect_right(columns, words[i].box.center[0])].append(i)
    return cells


def _joined_rows(
    grid: _Grid, rows: Sequence[Sequence[Line]], h_rules: Sequence[float], *, is_gridded: bool
) -> _Grid:
    """Visual rows that are lines of the same table row, joined.

    In a grid with rules on both sides, what stands between two rules is one row. Elsewhere a line without
    a first cell goes on with the row above when it stands close below and fills no other column.
    """
    boxes = [union_box(line.box for line in row) for row in rows]
    bands = [bisect_right(h_rules, box.center[1]) for box in boxes]
    is_banded = is_gridded and len(set(bands)) >= 2
    out: _Grid = []
    for i, cells in enumerate(grid):
        if not out or bands[i] != bands[i - 1]:
            joins = False
        elif is_banded:
            joins = True
        else:
            gap = boxes[i].y0 - boxes[i - 1].y1
            joins = (
                not cells[0]
                and gap < _MAX_LINE_GAP * boxes[i].height
                and all(above or not cell for cell, above in zip(cells, out[-1], strict=True))
                and sum(map(bool, cells)) < sum(map(bool, out[-1]))
            )
        if joins:
            out[-1] = [above + cell for above, cell in zip(out[-1], cells, strict=True)]
        else:
            out.append([list(cell) for cell in cells])
    return out


def _joined_columns(grid: _Grid, words: Sequence[RawWord]) -> _Grid:
    """Join columns that are parts of one.

    Columns of nothing but currency signs go with the next, of percent signs with the one before, and a
    header that stands beside the body of its column with that; the first column's labels stay alone.
    """
    column = 0
    while grid and column < len(grid[0]):
        texts = {" ".join(words[i].text for i in row[column]) for row in grid if row[column]}
        target = column
        has_next = column + 1 < len(grid[0])
        if has_next and (texts <= _PREFIX_CELLS or (column and _is_header_beside_body(grid, column))):
            target = column + 1
        elif texts <= _SUFFIX_CELLS and column > 0:
            target = column - 1
        if target == column:
            column += 1
            continue
        for row in grid:
            first, second = min(column, target), max(column, target)
            row[first : second + 1] = [row[first] + row[second]]
    return grid


def _cell_text(words: Sequence[RawWord], cell: _Cell) -> str:
    return _LEADERS.sub(" ", " ".join(words[i].text for i in cell)).strip()


def _is_header_beside_body(grid: _Grid, column: int) -> bool:
    """Whether of this column and the next one is filled in the header rows only, the other below only."""
    filled = [[i for i, row in enumerate(grid) if row[column + side]] for side in (0, 1)]
    upper, lower = sorted(filled)
    return bool(upper) and upper[-1] < min(lower[0], _MAX_HEADER_ROWS) if lower else False


def _header_rows(texts: Sequence[Sequence[str]]) -> int:
    """Number of rows before the first that has a number beside its first cell; at least 1."""
    for row_index, row in enumerate(texts[: _MAX_HEADER_ROWS + 1]):
        numbers = [cell for cell in row[1:] if _NUMBER.fullmatch(cell) and not _YEAR.fullmatch(cell)]
        if numbers:
            return max(1, row_index)
    return 1
