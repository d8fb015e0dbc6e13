"""Where OCR is used on a page, and how its words join the page's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from docrag.errors import IngestError
from docrag.geometry import Box, union_area, union_box
from docrag.ingest.pixels import fitted_dpi
from docrag.ingest.words import clean_text
from docrag.protocols import LayoutBox, Ocr, PageSource, RawPage, RawWord, RgbImage
from docrag.types import Reason

# Smaller pictures are icons, bullets and rules; a logo with a name on it is about this large.
_MIN_SIDE_PT = 24.0
_MIN_LONG_SIDE_PT = 60.0
# Where words of the text layer cover this much of a picture, its text is in the text layer.
_MAX_WORD_COVER = 0.06
# A picture as large as the page with this many words on it is a background.
_BACKGROUND_COVER = 0.85
_MAX_BACKGROUND_WORDS = 30
# Pictures this close to each other are parts of one: producers cut images into strips and tiles.
_TILE_GAP_PT = 2.0
# Grey levels between neighbouring pixels at the edge of a letter; JPEG noise stays below 10.
_MIN_CONTRAST = 20.0
# Edges along a row of pixels: a letter makes two to six, or half of that when its strokes are a pixel or
# two wide; the two lines of a frame make at most four.
_MIN_EDGES = 5
# An OCR word that a word of the text layer covers this much has been read already.
_SAME_WORD = 0.4
_MAX_TILES = 300


def pictures_to_read(page: RawPage, detected: Sequence[LayoutBox]) -> list[Box]:
    """Boxes of raster images, and of detected pictures without any words, that OCR should look into."""
    page_box = Box(0.0, 0.0, page.width_pt, page.height_pt)
    boxes = merged_tiles([box for box in page.images[:_MAX_TILES] if box.area > 0])
    for found in detected:
        if found.kind == "picture" and not any(found.box.overlap_fraction(box) > 0.5 for box in boxes):
            boxes.append(found.box)
    chosen: list[Box] = []
    for box in boxes:
        if min(box.width, box.height) < _MIN_SIDE_PT or max(box.width, box.height) < _MIN_LONG_SIDE_PT:
            continue
        inside = [common for word in page.words if (common := word.box.intersection(box)) is not None]
        if page_box.overlap_fraction(box) >= _BACKGROUND_COVER:
            if len(inside) > _MAX_BACKGROUND_WORDS:
                continue
        elif sum(common.area for common in inside) > _MAX_WORD_COVER * box.area:
            continue
        chosen.append(box)
    return chosen


def merged_tiles(boxes: Sequence[Box]) -> list[Box]:
    """Boxes that touch or overlap, joined, as long as the joined box is mostly covered by its parts."""
    groups: list[list[Box]] = []
    for box in sorted(boxes, key=lambda b: (b.y0, b.x0)):
        group = [box]
        near = box.padded(_TILE_GAP_PT)
        rest: list[list[Box]] = []
        for other in groups:
            joined = [*group, *other]
            if any(near.intersection(part) for part in other) and (
                union_area(joined) > 0.85 * union_box(joined).area
            ):
                group = joined
                near = union_box(group).padded(_TILE_GAP_PT)
            else:
                rest.append(other)
        groups = [*rest, group]
    return [union_box(group) for group in groups]


def read_boxes(
    page: RawPage, boxes: Sequence[Box], source: PageSource, ocr: Ocr, *, dpi: float, max_pixels: int
) -> tuple[RawPage, list[Box]]:
    """`page` with the words that OCR reads inside `boxes` after its own, and the boxes that had words.

    The words' lines are numbered on from the page's own lines. Raises `docrag.errors.IngestError`: what
    rendering raises, and ``ocr_failed``.
    """
    words = list(page.words)
    next_line = 1 + max((word.line_no for word in words), default=-1)
    with_words: list[Box] = []
    for block_no, box in enumerate(boxes):
        image = source.render(
            page.page_no, dpi=fitted_dpi(box.width, box.height, dpi, max_pixels=max_pixels), clip=box
        )
        if is_blank(image):
            continue
        found = _page_words(image, box, page, ocr, first_line=next_line, block_no=-1 - block_no)
        found = [word for word in found if not _is_known(word, page.words)]
        if found:
            with_words.append(box)
            words.extend(found)
            next_line = 1 + max(word.line_no for word in found)
    return replace(page, words=tuple(words)), with_words


def is_blank(image: RgbImage) -> bool:
    """Whether no row and no column of pixels crosses as many edges as the strokes of a short word make.

    Plain areas, gradients, frames and rules are blank in this sense.
    """
    grey = image.mean(axis=2, dtype=np.float32)
    return not (_crosses_strokes(grey) or _crosses_strokes(grey.T))


def _crosses_strokes(grey: NDArray[np.float32]) -> bool:
    edges = np.abs(np.diff(grey, axis=1)) > _MIN_CONTRAST
    starts = edges[:, 1:] & ~edges[:, :-1]  # an edge over several pixels counts once
    return bool((starts.sum(axis=1) >= _MIN_EDGES).any())


def _page_words(
    image: RgbImage, box: Box, page: RawPage, ocr: Ocr, *, first_line: int, block_no: int
) -> list[RawWord]:
    """OCR words of a picture of `box`, in points of the page."""
    scale_x, scale_y = box.width / image.shape[1], box.height / image.shape[0]
    try:
        found = ocr.read(image)
    except Exception as error:  # whatever a model's runtime raises: the page's own words may do without it
        raise IngestError(
            Reason.OCR_FAILED, f"page {page.page_no}: OCR failed ({type(error).__name__}: {error})"
        ) from error
    words: list[RawWord] = []
    for word in found:
        text = clean_text(word.text)
        x0, y0, x1, y1 = word.box
        where = Box(
            box.x0 + x0 * scale_x, box.y0 + y0 * scale_y, box.x0 + x1 * scale_x, box.y0 + y1 * scale_y
        ).clipped(page.width_pt, page.height_pt)
        if text and where.area > 0:
            words.append(RawWord(text, where, block_no, first_line + word.line_no, 0.0, False))
    return words


def _is_known(word: RawWord, words: Sequence[RawWord]) -> bool:
    return any(word.box.overlap_fraction(known.box) > _SAME_WORD for known in words)
