"""Reading order on a page with columns (Breuel, "High Performance Document Layout Analysis", 2003)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from docrag.geometry import Box

# Boxes that overlap by less than this share of the narrower one count as side by side: detected boxes of
# neighbouring columns may touch. A heading set out to the left still overlaps its text by more.
_TOUCHING = 0.05


def reading_order(boxes: Sequence[Box], *, right_to_left: bool = False) -> list[int]:
    """Indices of `boxes` in reading order: down a column, then the next column; what spans them divides.

    Box a comes before b when it stands above b in the same column, or when it stands to the left of b and
    no box between them in height reaches over both. Where these rules contradict each other, the upper
    left box goes first.
    """
    n = len(boxes)
    if n < 2:
        return list(range(n))
    edges = np.asarray(boxes, dtype=np.float64)
    x0, y0, x1, y1 = edges.T
    if right_to_left:
        x0, x1 = -x1, -x0
    width = np.maximum(x1 - x0, 1e-6)
    middle_y = (y0 + y1) / 2
    shared = np.minimum(x1[:, None], x1) - np.maximum(x0[:, None], x0)
    overlaps = shared > _TOUCHING * np.minimum(width[:, None], width)
    above = middle_y[:, None] < middle_y
    left = (x0 + x1)[:, None] < (x0 + x1)
    # divided[a, b]: some c lies between a and b in height and overlaps both of them in x.
    divided = np.zeros((n, n), dtype=bool)
    for c in range(n):
        higher = np.flatnonzero(overlaps[c] & (middle_y < middle_y[c]))
        lower = np.flatnonzero(overlaps[c] & (middle_y > middle_y[c]))
        divided[np.ix_(higher, lower)] = True
        divided[np.ix_(lower, higher)] = True
    before = np.where(overlaps | divided, above, left)
    np.fill_diagonal(before, False)
    waiting = before.sum(axis=0)
    order: list[int] = []
    open_ = np.ones(n, dtype=bool)
    for _ in range(n):
        candidates = np.flatnonzero(open_)
        best = int(candidates[np.lexsort((x0[candidates], middle_y[candidates], waiting[candidates]))[0]])
        order.append(best)
        open_[best] = False
        waiting -= before[best]
    return order
