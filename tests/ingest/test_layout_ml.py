"""PyMuPDF's bundled model through the product's own path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests import pdfs

from docrag.geometry import Box
from docrag.ingest.layout_fast import FastLayout
from docrag.ingest.layout_ml import MlLayout
from docrag.ingest.open_pdf import open_source
from docrag.ingest.page import read_page
from docrag.ingest.page_options import PageOptions
from docrag.protocols import OcrWord, RgbImage
from docrag.types import Page


@pytest.fixture(scope="module")
def layout() -> MlLayout:
    return MlLayout()


def read(path: Path, layout: MlLayout) -> Page:
    return read_page(open_source(path), 1, detector=layout, ocr=None, options=PageOptions())


def test_parts_of_an_article_are_told_apart(tmp_path: Path, layout: MlLayout) -> None:
    page = read(pdfs.article_pdf(tmp_path / "a.pdf"), layout)
    kind_of = {page.text[r.start : r.end].split("\n")[0]: r.kind for r in page.regions}
    assert kind_of["2. Findings of the Survey"] == "section-header"
    assert kind_of["River Council Yearbook"] == "page-header"
    assert kind_of["17"] == "page-footer"
    assert "list-item" in kind_of.values()


def test_a_table_is_found_and_its_cells_are_read(tmp_path: Path, layout: MlLayout) -> None:
    page = read(pdfs.table_pdf(tmp_path / "a.pdf"), layout)
    (table,) = [region.table for region in page.regions if region.kind == "table"]
    assert table is not None
    assert table.rows == pdfs.TABLE_ROWS


def test_a_picture_is_found_with_its_caption(tmp_path: Path, layout: MlLayout) -> None:
    page = read(pdfs.picture_pdf(tmp_path / "a.pdf"), layout)
    (picture,) = [region for region in page.regions if region.kind == "picture"]
    assert picture.caption_order is not None
    caption = page.regions[picture.caption_order]
    assert page.text[caption.start : caption.end] == "Figure 2: The harbour gauge"


def test_a_chart_without_any_text_is_a_picture(tmp_path: Path, layout: MlLayout) -> None:
    page = read(pdfs.outlined_chart_pdf(tmp_path / "a.pdf"), layout)
    (picture,) = [region for region in page.regions if region.kind == "picture"]
    assert picture.box.overlap_fraction(Box(100, 210, 440, 405)) > 0.95
    assert picture.box.height > 150


def test_boxes_are_those_of_the_turned_page(tmp_path: Path, layout: MlLayout) -> None:
    source = open_source(pdfs.displayed_pdf(tmp_path / "a.pdf", rotation=90))
    raw = source.read(1)
    found = layout.detect(raw, source)
    inside = [any(f.box.padded(3).contains_point(*w.box.center) for f in found) for w in raw.words]
    assert np.mean(inside) > 0.9


def test_pages_of_the_other_parser_are_left_to_geometry(tmp_path: Path, layout: MlLayout) -> None:
    source = open_source(pdfs.article_pdf(tmp_path / "a.pdf"), parser="pdfium")
    page = source.read(1)
    assert layout.detect(page, source) == FastLayout().detect(page, source)
    read_with = [
        read_page(source, 1, detector=d, ocr=None, options=PageOptions()) for d in (layout, FastLayout())
    ]
    assert [page.notes for page in read_with] == [("layout:fast",), ()]


def test_pages_read_by_ocr_get_regions_too(tmp_path: Path, layout: MlLayout) -> None:
    class Ocr:
        def read(self, image: RgbImage) -> list[OcrWord]:
            height, width = image.shape[:2]
            large = [OcrWord("MINUTES", Box(0.1 * width, 0.1 * height, 0.5 * width, 0.15 * height), 0, 0.9)]
            return large + [
                OcrWord(
                    text,
                    Box(
                        (0.1 + 0.1 * i) * width,
                        (0.3 + 0.02 * line) * height,
                        (0.19 + 0.1 * i) * width,
                        (0.315 + 0.02 * line) * height,
                    ),
                    1 + line,
                    0.9,
                )
                for line in range(5)
                for i, text in enumerate(["the", "river", "rose", "again"])
            ]

    source = open_source(pdfs.scanned_pdf(tmp_path / "a.pdf"))
    page = read_page(source, 1, detector=layout, ocr=Ocr(), options=PageOptions(ocr_dpi=50))
    assert [region.kind for region in page.regions] == ["section-header", "text"]
    assert page.text.startswith("MINUTES\n\nthe river rose again\nthe river")
