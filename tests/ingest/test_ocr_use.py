from __future__ import annotations

import dataclasses

import numpy as np
import pymupdf
import pytest
from tests import pdfs

from docrag.geometry import Box
from docrag.ingest.ocr_use import is_blank, merged_tiles, pictures_to_read
from docrag.ingest.pixels import fitted_dpi
from docrag.protocols import LayoutBox, RawPage, RawWord, RgbImage

PAGE = RawPage(1, "", 600, 800, 0, (), (), ())


def word(x: float, y: float, width: float = 40) -> RawWord:
    return RawWord("word", Box(x, y, x + width, y + 10), 0, 0, 10, False)


def pixels(pixmap: pymupdf.Pixmap) -> RgbImage:
    return np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.width, 3)


def test_strips_of_one_picture_are_joined_and_neighbours_are_not() -> None:
    strips = [Box(100, 100 + 50 * i, 300, 150 + 50 * i) for i in range(4)]
    other = Box(320, 100, 500, 300)
    assert sorted(merged_tiles([*strips, other])) == [Box(100, 100, 300, 300), other]


def test_touching_pictures_that_form_no_rectangle_stay_apart() -> None:
    corner = [Box(0, 0, 100, 300), Box(100, 0, 300, 100)]
    assert sorted(merged_tiles(corner)) == corner


def test_pictures_are_read_unless_small_or_covered_by_words() -> None:
    chart, icon = Box(100, 100, 400, 300), Box(50, 50, 70, 70)
    page = dataclasses.replace(PAGE, images=(chart, icon), words=(word(120, 120),))
    assert pictures_to_read(page, []) == [chart]
    labelled = dataclasses.replace(page, words=tuple(word(110, 110 + 12 * i, 280) for i in range(10)))
    assert pictures_to_read(labelled, []) == []


def test_a_background_with_text_on_it_is_not_read() -> None:
    cover = Box(0, 0, 600, 800)
    few, many = (tuple(word(50, 12.0 * i) for i in range(n)) for n in (5, 31))
    assert pictures_to_read(dataclasses.replace(PAGE, images=(cover,), words=few), []) == [cover]
    assert pictures_to_read(dataclasses.replace(PAGE, images=(cover,), words=many), []) == []


def test_drawn_pictures_are_read_when_they_have_no_words() -> None:
    drawn = LayoutBox("picture", Box(100, 100, 400, 300), 1.0)
    assert pictures_to_read(PAGE, [drawn]) == [drawn.box]
    image = dataclasses.replace(PAGE, images=(Box(110, 110, 390, 290),))
    assert pictures_to_read(image, [drawn]) == [Box(110, 110, 390, 290)]


def test_text_is_not_blank_and_plain_areas_frames_and_gradients_are() -> None:
    plain = np.full((100, 200, 3), 230, np.uint8)
    gradient = np.broadcast_to(np.linspace(0, 255, 200)[None, :, None], (100, 200, 3)).astype(np.uint8)
    assert is_blank(plain)
    assert is_blank(gradient)
    assert is_blank(pixels(pdfs.text_pixmap([""])))
    assert not is_blank(pixels(pdfs.text_pixmap(["42 m"])))
    assert not is_blank(np.rot90(pixels(pdfs.text_pixmap(["upright"]))))


@pytest.mark.parametrize("dpi", [72.0, 150.0, 300.0])
def test_the_resolution_is_lowered_to_the_budget_only_where_needed(dpi: float) -> None:
    assert fitted_dpi(612, 792, dpi) == dpi
    fitted = fitted_dpi(14_400, 14_400, dpi, max_pixels=10**6)
    assert (14_400 * fitted / 72) ** 2 == pytest.approx(10**6)
