"""The OCR on pictures drawn here: words, boxes, order, four ways up; conftest blocks the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from docrag.geometry import Box
from docrag.ingest.rapid_ocr import RapidOcr

LINES = ["Quarterly revenue rose 12.5%", "to $4,310 million in 2023"]


@pytest.fixture(scope="module")
def ocr() -> RapidOcr:
    return RapidOcr()


def font() -> ImageFont.FreeTypeFont:
    found = ImageFont.load_default(28)
    assert isinstance(found, ImageFont.FreeTypeFont)
    return found


def picture() -> tuple[np.ndarray, dict[str, Box]]:
    """Two lines of text, and the box of every word as drawn."""
    image = Image.new("RGB", (520, 160), "white")
    draw = ImageDraw.Draw(image)
    boxes: dict[str, Box] = {}
    for row, line in enumerate(LINES):
        x, y = 30.0, 30 + 60 * row
        for word in line.split():
            draw.text((x, y), word, "black", font())
            boxes[word] = Box(*draw.textbbox((x, y), word, font()))
            x += draw.textlength(word + " ", font())
    return np.asarray(image), boxes


def test_words_are_read_line_by_line_with_boxes_around_them(ocr: RapidOcr) -> None:
    image, boxes = picture()
    words = ocr.read(image)
    assert [word.text for word in words] == " ".join(LINES).split()
    assert [word.line_no for word in words] == [0] * 4 + [1] * 5
    for word in words:
        drawn = boxes[word.text]
        assert drawn.overlap_fraction(word.box) > 0.8
        assert abs(word.box.x0 - drawn.x0) < 4
        assert abs(word.box.x1 - drawn.x1) < 4
        assert word.confidence > 0.8


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_sideways_and_upside_down_text_is_read_in_place(ocr: RapidOcr, quarter_turns: int) -> None:
    image, _ = picture()
    turned = np.ascontiguousarray(np.rot90(image, quarter_turns))
    words = ocr.read(turned)
    assert sorted(word.text for word in words) == sorted(" ".join(LINES).split())
    dark = turned.mean(axis=2) < 128
    for word in words:
        x0, y0, x1, y1 = (round(v) for v in word.box)
        assert dark[y0:y1, x0:x1].any()


def test_an_empty_picture_has_no_words(ocr: RapidOcr) -> None:
    assert ocr.read(np.full((200, 300, 3), 255, np.uint8)) == []
    assert ocr.read(np.zeros((0, 300, 3), np.uint8)) == []
    assert ocr.read(np.zeros((1, 1, 3), np.uint8)) == []


def test_white_text_on_dark_paper_is_read(ocr: RapidOcr) -> None:
    image, _ = picture()
    assert [word.text for word in ocr.read(255 - image)] == " ".join(LINES).split()


def test_the_models_come_from_the_installed_wheel_and_nothing_is_printed(
    ocr: RapidOcr, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ocr.read(picture()[0])
    assert capfd.readouterr() == ("", "")
