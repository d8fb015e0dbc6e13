"""Where on a page a question found what it looks for: similarities of its words to the patches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from docrag.geometry import Box

HOT_SHARE = 0.5
"""A patch is hot when it lies above this share of the way from the median patch to the best one."""


def similarity_maps(
    query: NDArray[np.float32], vectors: NDArray[np.float32], grid: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Similarity of every query vector to every patch, ``(n_query_vectors, n_rows, n_columns)``.

    NaN where no vector stands for the patch. `vectors` are those of the unit that `grid` points into.
    """
    maps = (query @ vectors.T)[:, np.maximum(grid, 0)].astype(np.float32)
    maps[:, grid < 0] = np.nan
    return maps


def heat(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """One map for the whole question, ``(n_rows, n_columns)`` from 0 to 1.

    Each word says how far above its median patch a patch lies, as a share of its best one, and the words are
    averaged: a word that is at home everywhere or nowhere says little, as in the score.
    """
    flat = maps.reshape(len(maps), -1)
    above = np.maximum(flat - np.nanmedian(flat, axis=1, keepdims=True), 0)
    total = np.nansum(above, axis=0).reshape(maps.shape[1:])
    peak = total.max(initial=0)
    return np.asarray(total / peak if peak > 0 else total, np.float32)


def hot_boxes(heat_map: NDArray[np.float32], width_pt: float, height_pt: float) -> list[Box]:
    """Boxes around connected hot patches, the one with the most heat first; none on an even map.

    Patches touch by a side or a corner. The grid divides the page evenly.
    """
    hot = heat_map > HOT_SHARE
    n_rows, n_columns = hot.shape
    boxes: list[tuple[float, Box]] = []
    for cells in _components(hot):
        rows, columns = [row for row, _ in cells], [column for _, column in cells]
        box = Box(
            min(columns) * width_pt / n_columns,
            min(rows) * height_pt / n_rows,
            (max(columns) + 1) * width_pt / n_columns,
            (max(rows) + 1) * height_pt / n_rows,
        )
        boxes.append((float(sum(heat_map[cell] for cell in cells)), box))
    if hot.all():
        return []
    return [box for _, box in sorted(boxes, key=lambda item: (-item[0], item[1]))]


def snapped(boxes: Sequence[Box], regions: Sequence[Box]) -> list[Box]:
    """Every box, or the region that holds at least half of it; each region once, in order."""
    found: list[Box] = []
    for box in boxes:
        best = max(regions, key=lambda region: _overlap(box, region), default=None)
        chosen = best if best is not None and _overlap(box, best) >= box.area / 2 else box
        if chosen not in found:
            found.append(chosen)
    return found


def _overlap(a: Box, b: Box) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(width, 0.0) * max(height, 0.0)


def _components(hot: NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """Groups of touching cells, in reading order of their first cells."""
    left = {(int(row), int(column)) for row, column in np.argwhere(hot)}
    groups: list[list[tuple[int, int]]] = []
    for start in sorted(left):
        if start not in left:
            continue
        left.discard(start)
        group, frontier = [start], [start]
        while frontier:
            row, column = frontier.pop()
            for cell in [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                if cell in left:
                    left.discard(cell)
                    group.append(cell)
                    frontier.append(cell)
        groups.append(group)
    return groups
