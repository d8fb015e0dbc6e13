"""Pictures drawn as vectors: places where many paths lie close together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from docrag.geometry import Box, union_box
from docrag.ingest.lines import Line
from docrag.protocols import RawPage

_CELL_PT = 12.0  # paths in neighbouring cells of this size belong together
_REACH_PT = 4.0  # on every side: bars of a chart stand up to about 20 points apart
_MIN_PATHS = 4
_MIN_SIDE_PT = 50.0
_MIN_SHARE = 0.015  # of the page
_MAX_PATH_SHARE = 0.08  # of the page; larger paths are backgrounds and frames around something else
_MAX_TEXT_COVER = 0.3  # a box with more text is a text box with ornaments
_MAX_PATHS = 5000
_LABEL_GAP_PT = 8.0
_MAX_LABEL_WORDS = 3
_RULE_PT = 2.5
_MIN_FILL_PT = 9.0  # smaller paths on one line are letters drawn as outlines
# The fills and rules of a table repeat the same left and right, or upper and lower, edges.
_REPEATED = 3
_MAX_REGULAR_SHARE = 0.8


def vector_pictures(page: RawPage, lines: Sequence[Line], excluded: Sequence[Box]) -> list[Box]:
    """Boxes of clusters of vector paths; paths inside `excluded` (tables) do not count, nor do long rules."""
    page_area = page.width_pt * page.height_pt
    paths = [
        box
        for box in page.drawings[:_MAX_PATHS]
        if box.width * box.height <= _MAX_PATH_SHARE * page_area
        and not (box.height <= _RULE_PT and box.width > 0.4 * page.width_pt)
        and not any(table.contains_point(*box.center) for table in excluded)
    ]
    if len(paths) < _MIN_PATHS:
        return []
    found: list[Box] = []
    for box, members in _clusters(paths, page.width_pt, page.height_pt):
        if len(members) < _MIN_PATHS or min(box.width, box.height) < _MIN_SIDE_PT:
            continue
        if box.area < _MIN_SHARE * page_area or _is_regular(members):
            continue
        text_area = sum(c.area for line in lines if (c := line.box.intersection(box)) is not None)
        if text_area <= _MAX_TEXT_COVER * box.area:
            found.append(_with_labels(box, lines))
    return found


def _with_labels(picture: Box, lines: Sequence[Line]) -> Box:
    """`picture` grown by the short texts that touch it: what stands on the axes of a chart."""
    reach = picture.padded(_LABEL_GAP_PT)
    labels = [
        line.box
        for line in lines
        if len(line.words) <= _MAX_LABEL_WORDS
        and not line.is_bold
        and reach.intersection(line.box) is not None
    ]
    return union_box([picture, *labels])


def _is_regular(paths: Sequence[Box]) -> bool:
    """Whether nearly all paths are rules, or fills of the same rows or columns."""
    columns = Counter((round(box.x0), round(box.x1)) for box in paths)
    rows = Counter((round(box.y0), round(box.y1)) for box in paths)
    n_regular = sum(
        min(box.width, box.height) <= _RULE_PT
        or (
            max(box.width, box.height) >= _MIN_FILL_PT
            and (
                columns[round(box.x0), round(box.x1)] >= _REPEATED
                or rows[round(box.y0), round(box.y1)] >= _REPEATED
            )
        )
        for box in paths
    )
    return n_regular > _MAX_REGULAR_SHARE * len(paths)


def _clusters(paths: Sequence[Box], width_pt: float, height_pt: float) -> list[tuple[Box, list[Box]]]:
    """Groups of paths that lie in neighbouring cells of a grid, each with the box around it."""
    n_x, n_y = int(width_pt / _CELL_PT) + 2, int(height_pt / _CELL_PT) + 2
    if n_x * n_y > 200_000:
        return []
    filled = np.zeros((n_y, n_x), dtype=bool)
    spans: list[tuple[int, int, int, int]] = []
    for box in paths:
        near = box.padded(_REACH_PT).clipped(width_pt, height_pt)
        span = (
            int(near.x0 / _CELL_PT),
            int(near.y0 / _CELL_PT),
            int(near.x1 / _CELL_PT) + 1,
            int(near.y1 / _CELL_PT) + 1,
        )
        filled[span[1] : span[3], span[0] : span[2]] = True
        spans.append(span)
    label = np.zeros((n_y, n_x), dtype=np.int32)
    n_labels = 0
    for start_y, start_x in np.argwhere(filled).tolist():
        if label[start_y, start_x]:
            continue
        n_labels += 1
        label[start_y, start_x] = n_labels
        stack = [(start_y, start_x)]
        while stack:
            y, x = stack.pop()
            for near_y in range(max(0, y - 1), min(n_y, y + 2)):
                for near_x in range(max(0, x - 1), min(n_x, x + 2)):
                    if filled[near_y, near_x] and not label[near_y, near_x]:
                        label[near_y, near_x] = n_labels
                        stack.append((near_y, near_x))
    groups: dict[int, list[Box]] = {}
    for box, span in zip(paths, spans, strict=True):
        groups.setdefault(int(label[span[1], span[0]]), []).append(box)
    return [(union_box(group), group) for group in groups.values()]
