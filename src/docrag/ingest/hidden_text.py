"""Text that a page holds and a person looking at it does not see.

Such text can carry instructions to a model or words that lift a page in a ranking. It is named, not removed:
the text layer under a scan is invisible, too, and wanted. What a kind means:

invisible
    Painted neither filled nor stroked (text rendering mode 3), or nearly transparent; not over an image,
    where it is what OCR read in a scan.
no_contrast
    White or nearly white, and nothing can be told from what lies under it.
covered
    Painted over later, and nothing of it shows.
tiny
    Smaller than `TINY_PT`.
off_page
    Outside the sheet. Parsers drop it; the name remains.
layer_off
    On a layer (optional content) that is switched off. PyMuPDF drops it, PDFium reads it.
zero_width, bidi, tags
    Characters inside words that show nothing, change the direction of reading, or exist for tagging only.
annotation
    The contents of an annotation that is not shown. Never read; the name remains.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from docrag.errors import IngestError
from docrag.geometry import Box, union_box
from docrag.ingest.words import is_tag

HiddenKind = Literal[
    "invisible", "no_contrast", "covered", "tiny", "off_page", "layer_off", "zero_width", "bidi", "tags",
    "annotation",
]  # fmt: skip

MIN_LETTERS = 16
"""Letters of one kind from which on a page is said to hide text: a stray mark hides nothing."""
MIN_ODD_CHARS = 3
"""Odd characters of one kind from which on they are no accident of typesetting."""
TINY_PT = 1.2
"""Smaller letters cannot be read at any sensible enlargement."""
LIGHT = 0xE6
"""Least value of red, green and blue of a colour that is not seen on white paper."""
OPAQUE = 0x1A
"""Alpha, of 255, below which nothing is seen."""
_MIN_CONTRAST = 12
_CHECK_DPI = 40.0
_MAX_CHECKED = 400
_MAX_PAIRS = 4_000_000
_MIN_COVER_PT = 4.0

_SCAN_COVER = 0.5
"""Share of the page from which an image is taken for a scan of it."""

_ZERO_WIDTH = frozenset("\u200b\u2060\u2061\u2062\u2063\u2064\ufeff\u180e")
_OVERRIDES = frozenset("\u202d\u202e")  # embeddings and isolates are ordinary in Hebrew and Arabic
_JOINERS = frozenset("\u200c\u200d")  # ordinary where letters join
_ODD = re.compile("[\u180e\u200b-\u200d\u202d\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_FLAG = "\U0001f3f4"  # emoji flags of regions are spelled with tag characters

Render = Callable[[Box, float], NDArray[np.uint8]]
"""Renders a box of the page at a resolution."""


class Suspicion(NamedTuple):
    """Some text that may be hidden, where it stands, and how many letters it has."""

    kind: HiddenKind
    box: Box
    n_letters: int


class Mark(NamedTuple):
    """Something painted, in the order of painting; "paint" is a path or a shading."""

    what: Literal["text", "image", "paint"]
    box: Box


def odd_characters(text: str) -> Counter[HiddenKind]:
    """Count characters inside a text that serve to hide something, by kind."""
    found: Counter[HiddenKind] = Counter()
    if _ODD.search(text) is None:
        return found
    for i, char in enumerate(text):
        if char in _ZERO_WIDTH:
            found["zero_width"] += 0 < i < len(text) - 1 and _is_latin(text[i - 1]) and _is_latin(text[i + 1])
        elif char in _JOINERS:
            found["zero_width"] += i > 0 and _is_latin(text[i - 1])
        elif char in _OVERRIDES:
            found["bidi"] += 1
        elif is_tag(char):
            found["tags"] += _FLAG not in text
    return +found


def _is_latin(char: str) -> bool:
    return char.isascii() and char.isalpha()


def is_light(red: int, green: int, blue: int) -> bool:
    """Whether a colour (0 to 255 each) cannot be told from white paper."""
    return min(red, green, blue) >= LIGHT


def covered_text(marks: Sequence[Mark], *, page_area: float) -> list[Suspicion]:
    """Texts that something painted later covers wholly; what covers may be transparent, so only suspicions.

    The image of a whole page covers nothing: text under a scan is what OCR read in it.
    """
    first = next((i for i, mark in enumerate(marks) if mark.what == "text"), len(marks))
    covers = [
        (i, mark.box)
        for i, mark in enumerate(marks)
        if i > first
        and mark.what != "text"
        and min(mark.box.width, mark.box.height) >= _MIN_COVER_PT
        and mark.box.area >= 16 * _MIN_COVER_PT**2
        and not (mark.what == "image" and mark.box.area > _SCAN_COVER * page_area)
    ]
    if not covers:
        return []
    last = covers[-1][0]
    texts = [(i, mark.box) for i, mark in enumerate(marks[:last]) if mark.what == "text"]
    covers = sorted(covers, key=lambda c: -c[1].area)[: max(1, _MAX_PAIRS // len(texts))]
    over = np.array([box for _, box in covers], dtype=np.float32)
    over_at = np.array([i for i, _ in covers])
    boxes = np.array([box for _, box in texts], dtype=np.float32)
    text_at = np.array([i for i, _ in texts])
    slack_pt = 1.0
    is_covered = (
        (over_at[None, :] > text_at[:, None])
        & (over[None, :, 0] <= boxes[:, None, 0] + slack_pt)
        & (over[None, :, 1] <= boxes[:, None, 1] + slack_pt)
        & (over[None, :, 2] >= boxes[:, None, 2] - slack_pt)
        & (over[None, :, 3] >= boxes[:, None, 3] - slack_pt)
    ).any(axis=1)
    return [Suspicion("covered", texts[i][1], letters_in(texts[i][1])) for i in np.flatnonzero(is_covered)]


def off_page_text(marks: Sequence[Mark], sheet: Box) -> list[Suspicion]:
    """Texts that lie wholly outside `sheet`, the media box in the page's own coordinates."""
    return [
        Suspicion("off_page", mark.box, letters_in(mark.box))
        for mark in marks
        if mark.what == "text"
        and (
            mark.box.x1 <= sheet.x0
            or mark.box.y1 <= sheet.y0
            or mark.box.x0 >= sheet.x1
            or mark.box.y0 >= sheet.y1
        )
    ]


def letters_in(box: Box) -> int:
    """Estimate how many letters stand in the box of a line: one is about half as wide as it is high."""
    short, long = sorted((box.width, box.height))
    return round(2 * long / short) if short > 0 else 0


def hidden_kinds(
    suspicions: Sequence[Suspicion],
    odd: Counter[HiddenKind],
    *,
    images: Sequence[Box],
    drawings: Sequence[Box],
    page_size: tuple[float, float],
    render: Render,
) -> tuple[HiddenKind, ...]:
    """Return the kinds of hidden text of a page of `page_size` points, sorted.

    `images` and `drawings` are what the page paints beside text. `render` is called at most once, and only
    when light text stands on something or text is painted over: whether it shows is seen in the picture.
    """
    letters: Counter[HiddenKind] = Counter()
    to_look_at: list[Suspicion] = []
    for suspicion in suspicions:
        x, y = suspicion.box.center
        if suspicion.kind == "invisible":
            if any(image.contains_point(x, y) for image in images):
                continue  # what OCR read in a scan
        elif suspicion.kind in ("covered", "layer_off") or (
            suspicion.kind == "no_contrast"
            and any(box.contains_point(x, y) for boxes in (images, drawings) for box in boxes)
        ):
            to_look_at.append(suspicion)
            continue
        letters[suspicion.kind] += suspicion.n_letters
    if sum(suspicion.n_letters for suspicion in to_look_at) >= MIN_LETTERS:
        for suspicion in _unseen(to_look_at[:_MAX_CHECKED], page_size, render):
            letters[suspicion.kind] += suspicion.n_letters
    found: set[HiddenKind] = {kind for kind in letters if letters[kind] >= MIN_LETTERS}
    found |= {kind for kind in odd if odd[kind] >= MIN_ODD_CHARS}
    return tuple(sorted(found))


def _unseen(
    suspicions: Sequence[Suspicion], page_size: tuple[float, float], render: Render
) -> list[Suspicion]:
    """Those of which nothing shows: the picture is of one colour where they stand."""
    boxes = [suspicion.box.clipped(*page_size) for suspicion in suspicions]
    area = union_box(boxes).padded(1.0).clipped(*page_size)
    try:
        picture = render(area, _CHECK_DPI)
    except (IngestError, ValueError):  # too large a picture, or outside the page: nothing to be seen in it
        return []
    brightest, darkest = picture.max(axis=2).astype(np.int16), picture.min(axis=2).astype(np.int16)
    scale_x, scale_y = picture.shape[1] / area.width, picture.shape[0] / area.height
    unseen: list[Suspicion] = []
    for suspicion, box in zip(suspicions, boxes, strict=True):
        if box.area <= 0:
            continue  # off the page
        rows = slice(int((box.y0 - area.y0) * scale_y), max(1, int(np.ceil((box.y1 - area.y0) * scale_y))))
        columns = slice(int((box.x0 - area.x0) * scale_x), max(1, int(np.ceil((box.x1 - area.x0) * scale_x))))
        bright, dark = brightest[rows, columns], darkest[rows, columns]
        if bright.size and max(np.ptp(bright), np.ptp(dark)) < _MIN_CONTRAST:
            unseen.append(suspicion)
    return unseen


def n_letters_of(text: str) -> int:
    """Count the letters of a text; digits alone, as on a hidden axis, say nothing."""
    return sum(char.isalpha() for char in text)
