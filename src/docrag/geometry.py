"""Boxes on a page: PDF points, origin top left, y down, on the page as displayed.

Crop box and rotation are applied once, when a page is read (`docrag.ingest`); nothing after that converts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

POINTS_PER_INCH = 72.0


class Box(NamedTuple):
    """An axis-aligned box ``(x0, y0, x1, y1)`` in points, ``x0 <= x1`` and ``y0 <= y1``."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Width in points."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height in points."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Area in square points; 0 for an empty box."""
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def center(self) -> tuple[float, float]:
        """The middle of the box."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def contains_point(self, x: float, y: float) -> bool:
        """Whether the point lies inside; the left and top edges belong to the box, the others do not."""
        return self.x0 <= x < self.x1 and self.y0 <= y < self.y1

    def intersection(self, other: Box) -> Box | None:
        """Return the common part, or None when the boxes share no area."""
        box = Box(
            max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1)
        )
        return box if box.x0 < box.x1 and box.y0 < box.y1 else None

    def overlap_fraction(self, other: Box) -> float:
        """Share of this box's area that `other` covers, 0 to 1."""
        common = self.intersection(other)
        return common.area / self.area if common is not None and self.area > 0 else 0.0

    def padded(self, margin_pt: float) -> Box:
        """Return the box grown by `margin_pt` on every side (shrunk when negative)."""
        return Box(self.x0 - margin_pt, self.y0 - margin_pt, self.x1 + margin_pt, self.y1 + margin_pt)

    def clipped(self, width_pt: float, height_pt: float) -> Box:
        """Return the box cut to a page of this size."""
        if 0.0 <= self.x0 <= self.x1 <= width_pt and 0.0 <= self.y0 <= self.y1 <= height_pt:
            return self  # nearly every box, and pages have thousands
        x0, x1 = (min(max(v, 0.0), width_pt) for v in (self.x0, self.x1))
        y0, y1 = (min(max(v, 0.0), height_pt) for v in (self.y0, self.y1))
        return Box(x0, y0, x1, y1)

    def scaled(self, factor: float) -> Box:
        """Multiply every coordinate, as when points become pixels at ``dpi / 72``."""
        return Box(self.x0 * factor, self.y0 * factor, self.x1 * factor, self.y1 * factor)

    def rounded(self, digits: int = 2) -> Box:
        """Round every coordinate, for files that people read."""
        return Box(*(round(float(v), digits) for v in self))


def union_box(boxes: Iterable[Box]) -> Box:
    """Return the smallest box around all `boxes`; raise ValueError when there is none."""
    items = list(boxes)
    if not items:
        raise ValueError("union_box needs at least one box, got none")
    return Box(
        min(b.x0 for b in items), min(b.y0 for b in items), max(b.x1 for b in items), max(b.y1 for b in items)
    )


def union_area(boxes: Sequence[Box]) -> float:
    """Area covered by `boxes` together, overlaps counted once (sweep over x)."""
    edges = sorted({v for b in boxes for v in (b.x0, b.x1)})
    area = 0.0
    for left, right in itertools.pairwise(edges):
        reach = None
        covered = 0.0
        for top, bottom in sorted((b.y0, b.y1) for b in boxes if b.x0 <= left and b.x1 >= right):
            start = top if reach is None else max(top, reach)
            covered += max(0.0, bottom - start)
            reach = bottom if reach is None else max(reach, bottom)
        area += covered * (right - left)
    return area
