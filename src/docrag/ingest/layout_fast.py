"""Layout regions from geometry alone: font sizes, gaps, rules and images; no model."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.geometry import Box, union_box
from docrag.ingest.lines import Line, lines_of
from docrag.protocols import LayoutBox, PageSource, RawPage

_MAX_LINE_GAP = 0.75
_SIZE_RATIO = 1.2
_MIN_IMAGE_SHARE = 0.01
_BACKGROUND_SHARE = 0.9


class FastLayout:
    """Finds regions by geometry."""

    def detect(self, page: RawPage, source: PageSource) -> list[LayoutBox]:
        """Regions of the page; `source` is not read."""
        lines = lines_of(page.words)
        page_area = page.width_pt * page.height_pt
        found = [
            LayoutBox("picture", image, 1.0)
            for image in page.images
            if _MIN_IMAGE_SHARE * page_area < image.area < _BACKGROUND_SHARE * page_area
        ]
        blocks = blocks_of(
            [line for line in lines if not any(p.box.contains_point(*line.box.center) for p in found)]
        )
        found.extend(LayoutBox("text", union_box(line.box for line in block), 1.0) for block in blocks)
        return found


def blocks_of(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines that stand under one another, alike in size and close together."""
    blocks: list[list[Line]] = []
    boxes: list[Box] = []
    for line in sorted(lines, key=lambda item: (item.box.y0, item.box.x0)):
        for index in range(len(blocks) - 1, -1, -1):
            if _continues(blocks[index][-1], boxes[index], line):
                blocks[index].append(line)
                boxes[index] = union_box((boxes[index], line.box))
                break
        else:
            blocks.append([line])
            boxes.append(line.box)
    return blocks


def _continues(last: Line, block: Box, line: Line) -> bool:
    gap = line.box.y0 - last.box.y1
    height = min(last.box.height, line.box.height)
    if gap > _MAX_LINE_GAP * height or line.box.y0 <= last.box.y0:
        return False
    if not 1 / _SIZE_RATIO <= line.size_pt / max(last.size_pt, 0.1) <= _SIZE_RATIO:
        return False
    if last.is_bold != line.is_bold:
        return False
    return min(line.box.x1, block.x1) - max(line.box.x0, block.x0) > 0.5 * min(line.box.width, block.width)
