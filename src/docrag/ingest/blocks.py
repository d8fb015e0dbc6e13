"""Blocks: lines that stand under one another, alike in type, close together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from docrag.geometry import Box, union_box
from docrag.ingest.lines import Line

# Single-spaced lines stand 0.1 to 0.4 line heights apart, one-and-a-half-spaced ones up to 0.7.
_MAX_LINE_GAP = 0.75
# Lines of type that differ by more than this ratio are of different blocks.
_SIZE_RATIO = 1.2
_MIN_SHARED_WIDTH = 0.5
# Text that runs beside a picture or table and then goes on in full width: the wide lines are a new block.
_NARROW_LINES, _WIDER = 3, 1.6
# A bullet or number stands at most this many font sizes before its text.
_MAX_BULLET_GAP_EM = 4.0
_BULLET = (
    r"[\u2022\u2023\u25e6\u25aa\u25ab\u25cf\u25cb\u25a0\u25a1\u2043\u2219\u00b7\u27a2\u2794\uf0b7\uf0a7*"
    r"\u2013\u2014-]"
)
_MARKER = re.compile(rf"(?:{_BULLET}|\(?(?:\d{{1,2}}|[a-z]|[ivx]{{1,4}})[.)])")
# "1" or "4.2" before a heading; in plain type it may as well be the first cell of a table's row.
_SECTION_NUMBER = re.compile(r"\d{1,2}(?:\.\d{1,2})*|[A-Z](?:\.\d{1,2})*")
_ITEM = re.compile(rf"{_MARKER.pattern}\s+\S")
_DASHED_TEXT = re.compile(r"[\u2013\u2014*-]\s+[^A-Z\d]")  # a dash within a sentence, at the start of a line


def starts_item(text: str) -> bool:
    """Whether `text` opens with a bullet or an item's number."""
    return _ITEM.match(text) is not None and _DASHED_TEXT.match(text) is None


def joined_markers(lines: Sequence[Line]) -> list[Line]:
    """`lines` with every bullet or section number that stands alone joined to the text on its right."""
    out: list[Line] = []
    for line in lines:
        marker = out[-1] if out else None
        if marker is not None and (
            _MARKER.fullmatch(marker.text)
            or (marker.is_bold and line.is_bold and _SECTION_NUMBER.fullmatch(marker.text))
        ):
            gap = line.box.x0 - marker.box.x1
            same_row = marker.box.y0 < line.box.center[1] < marker.box.y1 or (
                line.box.y0 < marker.box.center[1] < line.box.y1
            )
            if same_row and 0 <= gap <= _MAX_BULLET_GAP_EM * line.size_pt:
                out[-1] = replace(
                    line,
                    words=marker.words + line.words,
                    box=union_box((marker.box, line.box)),
                    text=f"{marker.text} {line.text}",
                )
                continue
        out.append(line)
    return out


def blocks_of(lines: Sequence[Line]) -> list[list[Line]]:
    """Blocks from top to bottom. A line that opens a list item starts a block of its own."""
    blocks: list[list[Line]] = []
    boxes: list[Box] = []
    open_: list[int] = []  # blocks that a line further down may still continue
    for line in sorted(lines, key=lambda item: (item.box.y0, item.box.x0)):
        open_ = [i for i in open_ if _is_near(blocks[i][-1], line)]
        index = next((i for i in reversed(open_) if _continues(blocks[i], boxes[i], line)), None)
        if index is None:
            open_.append(len(blocks))
            blocks.append([line])
            boxes.append(line.box)
        else:
            blocks[index].append(line)
            boxes[index] = union_box((boxes[index], line.box))
    return blocks


def _is_near(last: Line, line: Line) -> bool:
    """Whether `line`, or one that begins below it and is as high as `last`, may be the next after `last`."""
    return line.box.y0 - last.box.y1 <= _MAX_LINE_GAP * last.box.height


def _continues(lines: Sequence[Line], block: Box, line: Line) -> bool:
    last = lines[-1]
    gap = line.box.y0 - last.box.y1
    height = min(last.box.height, line.box.height)
    if gap > _MAX_LINE_GAP * height or line.box.y0 <= last.box.y0:
        return False
    shared = min(line.box.x1, block.x1) - max(line.box.x0, block.x0)
    if shared <= _MIN_SHARED_WIDTH * min(line.box.width, block.width):
        return False
    if len(lines) >= _NARROW_LINES and line.box.width > _WIDER * block.width:
        return False
    if not 1 / _SIZE_RATIO <= line.size_pt / max(last.size_pt, 0.1) <= _SIZE_RATIO:
        return False
    if starts_item(line.text):
        return False
    # Bold type begins a heading or ends one, unless a sentence runs on over the end of the line.
    runs_on = line.text[0].islower() and not last.text.endswith((".", ":", "?", "!"))
    return last.is_bold == line.is_bold or runs_on
