"""A crop shows what it is about, inside the page, and marks it where it stands."""

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from docrag.geometry import Box, union_box
from docrag.report.crops import CROP_WIDTH_PX, crop_box, cut
from docrag.types import Citation

PAGE = (600.0, 800.0)
fractions = st.floats(0, 1, allow_nan=False)


class DrawnSource:
    """A white page of 600 x 800 pt with one black box, rendered without any PDF."""

    def __init__(self, black: Box):
        self.black = black

    def render(self, page_no, *, dpi, clip=None):
        scale = dpi / 72
        image = np.full((round(PAGE[1] * scale), round(PAGE[0] * scale), 3), 255, np.uint8)
        box = self.black.scaled(scale)
        image[round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)] = 0
        part = clip.scaled(scale)
        return image[round(part.y0) : round(part.y1), round(part.x0) : round(part.x1)]


def citation(*boxes: Box) -> Citation:
    return Citation(1, "E1", "a.pdf", "0" * 32, 3, "3", boxes, PAGE, "quote", "full")


@given(st.lists(st.tuples(fractions, fractions, fractions, fractions), min_size=1, max_size=4))
def test_a_crop_lies_on_the_page_and_holds_every_box(corners):
    boxes = tuple(
        Box(min(a, c) * 600, min(b, d) * 800, max(a, c) * 600, max(b, d) * 800) for a, b, c, d in corners
    )
    crop, around, slack = crop_box(boxes, PAGE), union_box(boxes), 1e-6
    assert -slack <= crop.x0 <= around.x0 + slack
    assert -slack <= crop.y0 <= around.y0 + slack
    assert around.x1 - slack <= crop.x1 <= 600 + slack
    assert around.y1 - slack <= crop.y1 <= 800 + slack


def test_a_small_box_keeps_some_of_its_surroundings():
    crop = crop_box((Box(300, 400, 301, 401),), PAGE)
    assert crop.width == 0.65 * 600
    assert crop.height == 0.22 * 800
    assert crop.center == (300.5, 400.5)


def test_a_citation_without_boxes_shows_the_whole_page():
    assert crop_box((), PAGE) == Box(0, 0, 600, 800)


def test_the_marked_part_of_the_picture_is_what_was_cited():
    box = Box(100, 200, 200, 220)
    crop = cut(DrawnSource(box), citation(box))
    picture = np.asarray(Image.open(io.BytesIO(crop.jpeg)).convert("L"))
    scale = picture.shape[1] / crop.box.width
    mark = crop.marks[0]
    inside = picture[
        round((mark.y0 - crop.box.y0) * scale) + 3 : round((mark.y1 - crop.box.y0) * scale) - 3,
        round((mark.x0 - crop.box.x0) * scale) + 3 : round((mark.x1 - crop.box.x0) * scale) - 3,
    ]
    assert abs(picture.shape[1] - CROP_WIDTH_PX) <= 1
    assert inside.max() < 30  # the black box, give or take JPEG's noise
    assert (picture < 128).sum() < 1.1 * inside.size + 12 * sum(inside.shape)  # and nothing else is black
