"""The contract of page sources, over both parsers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests import pdfs

from docrag.errors import IngestError
from docrag.geometry import Box
from docrag.ingest.open_pdf import Parser, open_source
from docrag.protocols import PageSource
from docrag.types import OutlineEntry, Reason

PARSERS: tuple[Parser, ...] = ("pymupdf", "pdfium")
CROP = (40.0, 60.0, 560.0, 780.0)


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest) -> Parser:
    return request.param


def share_of_boxes_with_ink(source: PageSource, dpi: float = 72) -> float:
    page = source.read(1)
    image = source.render(1, dpi=dpi)
    scale_x, scale_y = image.shape[1] / page.width_pt, image.shape[0] / page.height_pt
    dark = image.min(axis=2) < 128
    hits = 0
    for word in page.words:
        x0, y0, x1, y1 = word.box
        part = dark[int(y0 * scale_y) : int(y1 * scale_y) + 1, int(x0 * scale_x) : int(x1 * scale_x) + 1]
        hits += bool(part.any())
    return hits / len(page.words)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [None, CROP])
@pytest.mark.parametrize("user_unit", [1.0, 1.5])
def test_word_boxes_cover_ink_on_the_page_as_displayed(
    tmp_path: Path,
    parser: Parser,
    rotation: int,
    crop: tuple[float, float, float, float] | None,
    user_unit: float,
) -> None:
    path = pdfs.displayed_pdf(tmp_path / "a.pdf", rotation=rotation, crop=crop, user_unit=user_unit)
    source = open_source(path, parser=parser)
    page = source.read(1)
    assert share_of_boxes_with_ink(source) >= 0.99
    width, height = (595.0, 842.0) if crop is None else (520.0, 720.0)
    if rotation in (90, 270):
        width, height = height, width
    assert page.width_pt == pytest.approx(width * user_unit, abs=0.1)
    assert page.height_pt == pytest.approx(height * user_unit, abs=0.1)
    assert page.rotation == rotation
    source.close()


def test_first_word_stands_where_it_was_drawn(tmp_path: Path, parser: Parser) -> None:
    # Drawn at (90, 120), base line, 10 pt, on a page cropped by (40, 60) and then turned by 90 degrees:
    # upright it starts at (50, 60); clockwise, x becomes y and the distance from the bottom becomes x.
    path = pdfs.displayed_pdf(tmp_path / "a.pdf", rotation=90, crop=CROP)
    (word,) = (w for w in open_source(path, parser=parser).read(1).words if w.text == "Row0")
    assert word.box.y0 == pytest.approx(50, abs=1)
    assert word.box.x0 < 720 - 60 < word.box.x1
    assert word.box.height > word.box.width  # it runs down the page


def test_images_and_drawings_are_turned_with_the_page(tmp_path: Path, parser: Parser) -> None:
    import pymupdf

    path = pdfs.picture_pdf(tmp_path / "a.pdf")
    doc = pymupdf.open(path)
    doc[0].draw_line((60, 600), (360, 600), width=1)
    doc[0].set_rotation(90)
    pdfs.save(doc, tmp_path / "b.pdf")
    page = open_source(tmp_path / "b.pdf", parser=parser).read(1)
    (image,) = page.images
    # The image, kept in proportion, is centred on (300, 270) upright: (842 - 270, 300) when turned.
    assert image.center == pytest.approx((842 - 270, 300), abs=1)
    (rule,) = page.drawings
    assert rule.height == pytest.approx(300, abs=3)
    assert rule.center == pytest.approx((842 - 600, 210), abs=1)


def test_a_clip_is_the_same_part_of_the_whole_picture(tmp_path: Path, parser: Parser) -> None:
    source = open_source(pdfs.displayed_pdf(tmp_path / "a.pdf", user_unit=2.0), parser=parser)
    whole = source.render(1, dpi=72).astype(int)
    clip = source.render(1, dpi=72, clip=Box(150, 200, 650, 500)).astype(int)
    assert clip.shape == (300, 500, 3)
    assert np.abs(whole[200:500, 150:650] - clip).mean() < 2
    assert (clip < 128).any()


def test_labels_outline_title_and_metadata_are_read(tmp_path: Path, parser: Parser) -> None:
    source = open_source(pdfs.titled_pdf(tmp_path / "a.pdf"), parser=parser)
    assert [source.read(n).label for n in (1, 2, 3)] == ["i", "ii", "A-1"]
    assert list(source.outline) == [
        OutlineEntry(1, "Front matter", 1),
        OutlineEntry(2, "Opening", 2),
        OutlineEntry(1, "Annex", 3),
    ]
    assert source.title == "Valley Plan"
    assert source.metadata["author"] == "River Council"
    assert source.parser == parser
    assert source.n_pages == 3


def test_sizes_and_weights_of_type_are_known(tmp_path: Path, parser: Parser) -> None:
    page = open_source(pdfs.article_pdf(tmp_path / "a.pdf"), parser=parser).read(1)
    by_text = {word.text: word for word in page.words}
    assert by_text["Findings"].is_bold
    assert by_text["Findings"].font_size_pt == pytest.approx(18, abs=0.5)
    assert not by_text["river"].is_bold
    assert by_text["river"].font_size_pt == pytest.approx(11, abs=0.5)


def test_words_of_one_line_share_its_number(tmp_path: Path, parser: Parser) -> None:
    page = open_source(pdfs.displayed_pdf(tmp_path / "a.pdf"), parser=parser).read(1)
    rows: dict[int, list[str]] = {}
    for word in page.words:
        rows.setdefault(word.line_no, []).append(word.text)
    assert [row[0] for row in rows.values()] == [f"Row{i}" for i in range(12)]
    assert all(row[1:] == ["carries", "some", "printed", "words"] for row in rows.values())


def test_characters_without_unicode_are_counted(tmp_path: Path, parser: Parser) -> None:
    page = open_source(
        pdfs.unmapped_font_pdf(tmp_path / "a.pdf", lines=("abcde fghij",)), parser=parser
    ).read(1)
    assert page.n_unmapped >= 10


def test_a_password_is_asked_for_and_checked(tmp_path: Path, parser: Parser) -> None:
    path = pdfs.encrypted_pdf(tmp_path / "a.pdf", password="sesame")
    for password in (None, "barley"):
        with pytest.raises(IngestError) as caught:
            open_source(path, parser=parser, password=password)
        assert caught.value.reason == Reason.ENCRYPTED
        assert "barley" not in str(caught.value)
    source = open_source(path, parser=parser, password="sesame")
    assert "treasure" in {word.text for word in source.read(1).words}


def test_an_owner_password_alone_opens_silently(tmp_path: Path, parser: Parser) -> None:
    path = pdfs.encrypted_pdf(tmp_path / "a.pdf", user_password=False)
    assert open_source(path, parser=parser).read(1).words


def test_a_page_of_200_inches_is_rendered_within_the_budget(tmp_path: Path, parser: Parser) -> None:
    source = open_source(pdfs.huge_page_pdf(tmp_path / "a.pdf"), parser=parser)
    assert source.read(1).width_pt == pytest.approx(14_400)
    image = source.render(1, dpi=300)  # 60,000 pixels a side as asked for
    assert 30_000_000 < image.shape[0] * image.shape[1] <= 41_000_000


def test_an_image_beyond_the_budget_is_refused_before_it_is_decoded(tmp_path: Path, parser: Parser) -> None:
    source = open_source(pdfs.huge_image_pdf(tmp_path / "a.pdf", text="Still readable"), parser=parser)
    assert [word.text for word in source.read(1).words] == ["Still", "readable"]
    with pytest.raises(IngestError) as caught:
        source.render(1, dpi=72)
    assert caught.value.reason == Reason.IMAGE_TOO_LARGE
    assert "30000 x 30000" in str(caught.value)


def test_a_page_number_that_does_not_exist_is_an_error_of_the_caller(tmp_path: Path, parser: Parser) -> None:
    source = open_source(pdfs.text_pdf(tmp_path / "a.pdf"), parser=parser)
    for page_no in (0, 2):
        with pytest.raises(ValueError, match=f"page {page_no} of 1"):
            source.read(page_no)
