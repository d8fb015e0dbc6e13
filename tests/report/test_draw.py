"""Boxes are drawn where they are on the page, at the picture's scale."""

from dataclasses import replace

import numpy as np
from PIL import Image

from docrag.geometry import Box
from docrag.report.draw import draw_page
from docrag.types import Page, Region, Word

BLUE, RED = (0x25, 0x63, 0xEB), (0xDC, 0x26, 0x26)


def make_page() -> Page:
    words = (
        Word(0, 1, Box(10, 10, 30, 20), 0, False),
        Word(2, 3, Box(50, 10, 70, 20), 0, True),
    )
    return Page(
        page_no=1, label="1", width_pt=100, height_pt=80, rotation=0, text="a b", search_text="a b",
        text_source="mixed", words=words, regions=(Region(0, "table", Box(5, 40, 95, 70), 0, 3),), chunks=(),
    )  # fmt: skip


def drawn(**options) -> Image.Image:
    white = np.full((160, 200, 3), 255, np.uint8)
    return draw_page(white, make_page(), dpi=144, **options)  # two pixels a point


def test_words_of_the_text_layer_are_blue_and_words_of_ocr_red():
    picture = drawn(regions=False)
    assert picture.getpixel((20, 30)) == BLUE
    assert picture.getpixel((100, 30)) == RED
    assert picture.getpixel((80, 30)) == (255, 255, 255)


def test_a_region_is_outlined_and_tinted():
    picture = drawn(words=False)
    assert picture.getpixel((100, 140)) == (0x16, 0xA3, 0x4A)
    red, green, blue = picture.getpixel((100, 120))
    assert green > red
    assert green > blue
    assert picture.getpixel((20, 30)) == (255, 255, 255)


def test_words_stay_visible_inside_regions():
    page = replace(make_page(), regions=(Region(0, "table", Box(0, 0, 100, 80), 0, 3),))
    picture = draw_page(np.full((160, 200, 3), 255, np.uint8), page, dpi=144)
    assert picture.getpixel((100, 30)) == RED
