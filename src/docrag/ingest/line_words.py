"""From a recogniser's output for one line to words: CTC decoding, and spaces checked against the ink.

The recogniser's time steps are coarse and it drops a space now and then, so word edges are taken from the
blank columns of the line image; the decoded characters say between which columns to look.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLANK = 0
"""Class of the CTC blank."""
WORD_GAP_SHARE = 0.5
"""A gap of this share of the line's height parts words even when no space was decoded.

On rendered pages and slides (64 pages, 8,600 words) 0.4 to 0.6 find the most words; lower shares cut spaced
capitals apart.
"""
INK_CONTRAST = 0.35
"""A pixel is ink when it departs from the paper by this share of the line's contrast."""


class Glyph(NamedTuple):
    """A decoded character, its centre as a fraction of the line's width, and its probability."""

    char: str
    x: float
    confidence: float


class LineWord(NamedTuple):
    """A word of a line; `x0` and `x1` are fractions of the line's width."""

    text: str
    x0: float
    x1: float
    confidence: float


def decode_ctc(probability: NDArray[np.float32], characters: Sequence[str]) -> list[Glyph]:
    """Characters of the best path (Graves 2006, §3.2): repeats merged, blanks dropped.

    `probability` is ``(n_steps, n_classes) float32``.
    """
    best = probability.argmax(axis=1)
    n_steps = len(best)
    starts = np.flatnonzero(np.r_[True, best[1:] != best[:-1]])
    ends = np.r_[starts[1:], n_steps]
    return [
        Glyph(
            characters[int(best[start])],
            (start + end) / 2 / n_steps,
            float(probability[start:end, best[start]].max()),
        )
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        if best[start] != BLANK
    ]


def ink_columns(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which columns of a line image ``(height, width, 3)`` hold ink, whatever is darker, text or paper.

    The rows at the very top and bottom are left out: rules and neighbouring lines reach into them.
    """
    grey = pixels.mean(axis=2)
    margin = len(grey) // 8
    grey = grey[margin : len(grey) - margin] if margin else grey
    paper = np.median(grey)
    distance = np.abs(grey - paper)
    contrast = np.percentile(distance, 98)
    return (distance > INK_CONTRAST * contrast).any(axis=0) if contrast > 0 else np.zeros(grey.shape[1], bool)


def split_words(glyphs: Sequence[Glyph], ink: NDArray[np.bool_], height_px: int) -> list[LineWord]:
    """Words of a line: parted where a space was decoded, or where the ink leaves a wide gap.

    `ink` has one entry per column of the line image, which is `height_px` high.
    """
    shown = [glyph for glyph in glyphs if not glyph.char.isspace()]
    if not shown:
        return []
    width_px = len(ink)
    after = [i for i, glyph in enumerate(glyphs) if not glyph.char.isspace()]
    is_spaced = [right - left > 1 for left, right in itertools.pairwise(after)]
    gaps = [
        _widest_gap(ink, round(left.x * width_px), round(right.x * width_px))
        for left, right in itertools.pairwise(shown)
    ]
    inked = np.flatnonzero(ink)
    x0, last = (int(inked[0]), int(inked[-1]) + 1) if len(inked) else (0, width_px)
    words: list[LineWord] = []
    begin = 0
    for i, ((start, end), spaced) in enumerate(zip(gaps, is_spaced, strict=True)):
        if spaced or (
            end - start > WORD_GAP_SHARE * height_px and _may_part(shown[i].char, shown[i + 1].char)
        ):
            words.append(_word(shown[begin : i + 1], x0, start, width_px))
            begin, x0 = i + 1, end
    words.append(_word(shown[begin:], x0, last, width_px))
    return words


def _may_part(left: str, right: str) -> bool:
    """Punctuation stays with its word, and scripts without spaces stay together, however wide the gap is."""
    return left.isalnum() and right.isalnum() and not _is_cjk(left) and not _is_cjk(right)


def _is_cjk(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"


def _widest_gap(ink: NDArray[np.bool_], start: int, end: int) -> tuple[int, int]:
    """The longest run of blank columns in ``[start, end)``; an empty run in the middle when all is ink."""
    blank = np.r_[False, ~ink[start:end], False]
    edges = np.flatnonzero(blank[1:] != blank[:-1]).reshape(-1, 2)
    if not len(edges):
        return (start + end) // 2, (start + end) // 2
    left, right = edges[np.argmax(edges[:, 1] - edges[:, 0])].tolist()
    return start + left, start + right


def _word(glyphs: Sequence[Glyph], x0: int, x1: int, width_px: int) -> LineWord:
    return LineWord(
        "".join(g.char for g in glyphs),
        x0 / width_px,
        max(x0 + 1, x1) / width_px,
        float(np.mean([g.confidence for g in glyphs])),
    )


def half_width(text: str) -> str:
    """ASCII for full-width forms, which the recogniser likes to give for Latin punctuation."""
    return "".join(chr(ord(c) - 0xFEE0) if "\uff01" <= c <= "\uff5e" else c for c in text)
