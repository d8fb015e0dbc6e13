from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import pdfs

from docrag.errors import IngestError
from docrag.geometry import Box
from docrag.ingest.layout_fast import FastLayout
from docrag.ingest.open_pdf import Parser, open_source
from docrag.ingest.page import read_page
from docrag.ingest.page_options import PageOptions
from docrag.protocols import LayoutBox, OcrWord, PageSource, RawPage, RawWord, RgbImage
from docrag.types import OutlineEntry, Page, Reason, RegionKind

WIDTH, HEIGHT = 600.0, 800.0


class FakeOcr:
    """Returns the same words, placed as fractions of the image, one line each, and keeps the images."""

    def __init__(self, *words: tuple[str, tuple[float, float, float, float]], fails: bool = False) -> None:
        self.words = words
        self.fails = fails
        self.images: list[RgbImage] = []

    def read(self, image: RgbImage) -> list[OcrWord]:
        self.images.append(image)
        if self.fails:
            raise RuntimeError("the model gave up")
        height, width = image.shape[:2]
        return [
            OcrWord(text, Box(x0 * width, y0 * height, x1 * width, y1 * height), i, 0.9)
            for i, (text, (x0, y0, x1, y1)) in enumerate(self.words)
        ]


class FakeSource:
    """One page given as data; renders noise, so that no part of it is blank."""

    parser = "fake"
    n_pages = 1
    title = ""
    outline: Sequence[OutlineEntry] = ()
    metadata: Mapping[str, str] = {}
    notes: Sequence[str] = ()

    def __init__(self, page: RawPage) -> None:
        self.page = page

    def read(self, page_no: int) -> RawPage:
        return self.page

    def render(self, page_no: int, *, dpi: float, clip: Box | None = None) -> RgbImage:
        area = clip or Box(0, 0, self.page.width_pt, self.page.height_pt)
        shape = (max(1, round(area.height)), max(1, round(area.width)), 3)
        return np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)

    def close(self) -> None:
        pass


class GivenLayout:
    """Detects what it is told to."""

    def __init__(self, boxes: list[LayoutBox]) -> None:
        self.boxes = boxes

    def detect(self, page: RawPage, source: PageSource) -> list[LayoutBox]:
        return self.boxes


def read(path: Path, engine: FakeOcr | None = None, *, parser: Parser = "auto", **options: object) -> Page:
    source = open_source(path, parser=parser)
    return read_page(source, 1, detector=FastLayout(), ocr=engine, options=PageOptions(**options))


def kinds(page: Page) -> dict[RegionKind, list[str]]:
    found: dict[RegionKind, list[str]] = {}
    for region in page.regions:
        found.setdefault(region.kind, []).append(page.text[region.start : region.end])
    return found


def check_page(page: Page) -> None:
    """What holds for every page."""
    assert [region.order for region in page.regions] == list(range(len(page.regions)))
    position = 0
    for region in page.regions:
        assert position <= region.start <= region.end <= len(page.text)
        position = region.end
        assert region.box == region.box.clipped(page.width_pt, page.height_pt)
    ends = [(region.start, region.end) for region in page.regions]
    position = line_no = 0
    for word in page.words:
        assert position <= word.start < word.end
        position = word.end
        assert page.word_text(word).strip() == page.word_text(word) != ""
        assert word.line_no >= line_no
        line_no = word.line_no
        assert word.box == word.box.clipped(page.width_pt, page.height_pt)
        assert sum(start <= word.start and word.end <= end for start, end in ends) == 1
    assert "".join(page.text.split()) == "".join("".join(page.word_text(w).split()) for w in page.words)
    covered: set[int] = set()
    position = 0
    for number, chunk in enumerate(page.chunks, start=1):
        assert chunk.chunk_no == number
        assert position <= chunk.start <= chunk.end <= len(page.text)
        assert bool(chunk.text) == (chunk.start < chunk.end)
        assert chunk.text or chunk.kind in ("picture", "table", "formula")
        position = chunk.end
        assert len(chunk.boxes) == len(chunk.region_orders)
        covered.update(chunk.region_orders)
    furniture = ("page-header", "page-footer")
    for region in page.regions:
        if region.start < region.end:
            assert (region.order in covered) == (region.kind not in furniture)
        if region.caption_order is not None:
            assert page.regions[region.caption_order].caption_order == region.order
    text_in_chunks = sum(len("".join(page.text[c.start : c.end].split())) for c in page.chunks)
    text_in_body = sum(
        len("".join(page.text[r.start : r.end].split())) for r in page.regions if r.kind not in furniture
    )
    assert text_in_chunks == text_in_body


WRITERS: list[Callable[[Path], Path]] = [
    pdfs.text_pdf,
    pdfs.titled_pdf,
    pdfs.displayed_pdf,
    pdfs.two_columns_pdf,
    pdfs.article_pdf,
    pdfs.table_pdf,
    pdfs.picture_pdf,
    pdfs.scanned_pdf,
    pdfs.blank_image_pdf,
    pdfs.unmapped_font_pdf,
    pdfs.huge_page_pdf,
]


@pytest.mark.parametrize("parser", ["pymupdf", "pdfium"])
@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_every_kind_of_page_holds_together(
    tmp_path: Path, write: Callable[[Path], Path], parser: Parser
) -> None:
    ocr = FakeOcr(("Harbour", (0.1, 0.1, 0.4, 0.2)), ("depth", (0.1, 0.3, 0.4, 0.4)))
    check_page(read(write(tmp_path / "a.pdf"), ocr, parser=parser, ocr_dpi=50))


x = st.floats(-20, WIDTH, allow_nan=False)
y = st.floats(-20, HEIGHT, allow_nan=False)


def boxes(max_side: float) -> st.SearchStrategy[Box]:
    side = st.floats(0.5, max_side)
    made = st.builds(
        lambda x0, y0, w, h: Box(x0, y0, x0 + w, y0 + h).clipped(WIDTH, HEIGHT), x, y, side, side
    )
    return made.filter(lambda box: box.area > 0)


text = st.sampled_from(
    ["The", "river", "rose.", "120", "$", "•", "Figure", "Table", "2:", "שלום", "infor-", "–"]
)
raw_words = st.builds(
    RawWord,
    text,
    boxes(60),
    st.integers(0, 3),
    st.integers(0, 12),
    st.sampled_from([0.0, 8.0, 10.0, 20.0]),
    st.booleans(),
)
raw_pages = st.builds(
    lambda words, images, drawings: RawPage(
        1, "", WIDTH, HEIGHT, 0, tuple(sorted(words, key=lambda w: w.line_no)), tuple(images), tuple(drawings)
    ),
    st.lists(raw_words, max_size=40),
    st.lists(boxes(600), max_size=4),
    st.lists(boxes(300), max_size=12),
)
region_kinds = st.sampled_from(
    [
        "text",
        "section-header",
        "list-item",
        "table",
        "picture",
        "formula",
        "caption",
        "footnote",
        "page-header",
        "page-footer",
    ]
)
layouts = st.one_of(
    st.just(FastLayout()),
    st.builds(
        GivenLayout, st.lists(st.builds(LayoutBox, region_kinds, boxes(600), st.just(1.0)), max_size=8)
    ),
)


@settings(max_examples=120, deadline=None)
@given(raw_pages, layouts, st.sampled_from(["auto", "always", "never"]))
def test_any_page_and_any_layout_hold_together(
    raw: RawPage, layout: FastLayout | GivenLayout, mode: str
) -> None:
    ocr = FakeOcr(
        ("Harbour", (0.1, 0.1, 0.4, 0.2)), ("Table", (0.1, 0.3, 0.4, 0.4)), ("2:", (0.5, 0.3, 0.6, 0.4))
    )
    page = read_page(FakeSource(raw), 1, detector=layout, ocr=ocr, options=PageOptions(ocr=mode))
    check_page(page)
    own = sorted("".join(w.text.split()) for w in raw.words)
    if mode == "never":
        assert sorted("".join(page.word_text(w).split()) for w in page.words) == own
        assert page.text_source in ("text-layer", "none")


def test_an_article_has_its_parts(tmp_path: Path) -> None:
    found = kinds(read(pdfs.article_pdf(tmp_path / "a.pdf")))
    assert found["page-header"] == ["River Council Yearbook"]
    assert found["section-header"] == ["2. Findings of the Survey"]
    assert [item.split()[1] for item in found["list-item"]] == ["Raise", "Open", "Dredge"]
    assert found["footnote"] == ["1 Prices of the year before last."]
    assert found["page-footer"] == ["17"]
    assert len(found["text"]) == 2


def test_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    page = read(pdfs.two_columns_pdf(tmp_path / "a.pdf", n_lines=10))
    marks = [word for word in page.text.split() if word.startswith(("left-", "right-"))]
    assert marks == [f"left-{i}" for i in range(10)] + [f"right-{i}" for i in range(10)]
    assert page.text.startswith("A Study of Rivers")


def test_a_caption_and_its_table_are_one_chunk(tmp_path: Path) -> None:
    page = read(pdfs.table_pdf(tmp_path / "a.pdf"))
    (chunk,) = [c for c in page.chunks if c.kind == "table"]
    assert chunk.text.startswith("Table 3: Rain and snow by station\n| Station | Rain | Snow | Total |")
    assert page.boxes_of(page.text.index("Dogwood"), page.text.index("Dogwood") + 7)[0].y0 > 300


def test_words_of_a_raster_picture_are_found_and_marked(tmp_path: Path) -> None:
    ocr = FakeOcr(("Harbour", (0.1, 0.1, 0.4, 0.2)), ("depth", (0.1, 0.3, 0.4, 0.4)))
    page = read(pdfs.picture_pdf(tmp_path / "a.pdf"), ocr, ocr_dpi=72)
    assert len(ocr.images) == 1
    (picture,) = [region for region in page.regions if region.kind == "picture"]
    assert page.text[picture.start : picture.end] == "Harbour\ndepth"
    read_words = [word for word in page.words if word.is_ocr]
    assert [page.word_text(word) for word in read_words] == ["Harbour", "depth"]
    assert picture.box.contains_point(*read_words[0].box.center)
    assert read_words[0].box.width == pytest.approx(0.3 * ocr.images[0].shape[1], abs=1)
    assert (page.text_source, page.notes) == ("mixed", ("ocr:pictures",))
    (chunk,) = [c for c in page.chunks if c.kind == "picture"]
    assert "Figure 2: The harbour gauge" in chunk.text
    assert "Harbour" in page.search_text


def test_a_scan_is_read_in_whole(tmp_path: Path) -> None:
    ocr = FakeOcr(("Minutes", (0.1, 0.1, 0.4, 0.15)), ("Agreed", (0.1, 0.3, 0.4, 0.35)))
    page = read(pdfs.scanned_pdf(tmp_path / "a.pdf"), ocr, ocr_dpi=72)
    assert ocr.images[0].shape == (842, 595, 3)
    assert page.text == "Minutes\n\nAgreed"
    assert (page.text_source, page.notes) == ("ocr", ("ocr:no_text_layer",))
    assert page.words[0].box == pytest.approx((59.5, 84.2, 238, 126.3), abs=0.5)


def test_a_stamp_on_a_scan_stays_beside_the_ocr(tmp_path: Path) -> None:
    ocr = FakeOcr(("Minutes", (0.1, 0.3, 0.4, 0.35)))
    page = read(pdfs.scanned_pdf(tmp_path / "a.pdf", stamp="RECEIVED"), ocr, ocr_dpi=72)
    assert {(page.word_text(w), w.is_ocr) for w in page.words} == {("RECEIVED", False), ("Minutes", True)}
    assert page.notes == ("ocr:scan_with_stamp",)


def test_text_without_unicode_is_replaced_by_ocr(tmp_path: Path) -> None:
    ocr = FakeOcr(("Secret", (0.1, 0.1, 0.4, 0.2)))
    page = read(pdfs.unmapped_font_pdf(tmp_path / "a.pdf"), ocr, ocr_dpi=72)
    assert page.text == "Secret"
    assert page.notes == ("ocr:unmapped_text",)


def test_ocr_words_that_the_text_layer_has_are_not_read_twice(tmp_path: Path) -> None:
    path = pdfs.displayed_pdf(tmp_path / "a.pdf")
    first = read(path).words[0]
    x0, y0, x1, y1 = first.box
    again = ("Row0", (x0 / 595, y0 / 842, x1 / 595, y1 / 842))
    page = read(path, FakeOcr(again, ("new", (0.1, 0.9, 0.2, 0.92))), ocr="always", ocr_dpi=72)
    assert page.text.count("Row0") == 1
    assert [page.word_text(w) for w in page.words if w.is_ocr] == ["new"]


def test_a_blank_picture_costs_no_ocr(tmp_path: Path) -> None:
    ocr = FakeOcr(("noise", (0.1, 0.1, 0.4, 0.2)))
    page = read(pdfs.blank_image_pdf(tmp_path / "a.pdf"), ocr)
    assert ocr.images == []
    assert (page.text, page.text_source, page.chunks) == ("", "none", ())


def test_a_text_page_costs_no_ocr(tmp_path: Path) -> None:
    ocr = FakeOcr()
    page = read(pdfs.article_pdf(tmp_path / "a.pdf"), ocr)
    assert ocr.images == []
    assert page.notes == ()


def test_without_ocr_a_scan_says_what_it_lacks(tmp_path: Path) -> None:
    path = pdfs.scanned_pdf(tmp_path / "a.pdf")
    assert read(path).notes == ("no_ocr:no_text_layer",)
    ocr = FakeOcr(("x", (0, 0, 1, 1)))
    source = open_source(path)
    page = read_page(source, 1, detector=FastLayout(), ocr=ocr, options=PageOptions(ocr="never"))
    assert ocr.images == []
    assert page.notes == ("no_ocr:no_text_layer",)


def test_an_image_beyond_the_budget_fails_a_page_only_when_it_has_no_text(tmp_path: Path) -> None:
    ocr = FakeOcr()
    with pytest.raises(IngestError) as caught:
        read(pdfs.huge_image_pdf(tmp_path / "a.pdf"), ocr)
    assert caught.value.reason == Reason.IMAGE_TOO_LARGE
    page = read(pdfs.huge_image_pdf(tmp_path / "b.pdf", text="Still readable words"), ocr)
    assert page.text == "Still readable words"
    assert page.notes == ("no_ocr:image_too_large",)


def test_ocr_that_fails_costs_a_page_only_when_it_has_no_text(tmp_path: Path) -> None:
    ocr = FakeOcr(fails=True)
    with pytest.raises(
        IngestError, match=r"page 1: OCR failed \(RuntimeError: the model gave up\)"
    ) as caught:
        read(pdfs.scanned_pdf(tmp_path / "a.pdf"), ocr)
    assert caught.value.reason == Reason.OCR_FAILED
    page = read(pdfs.picture_pdf(tmp_path / "b.pdf"), ocr)
    assert page.notes == ("no_ocr:ocr_failed",)
    assert "river council" in page.text


def test_a_large_page_is_rendered_for_ocr_within_the_budget(tmp_path: Path) -> None:
    ocr = FakeOcr(("plan", (0.1, 0.1, 0.4, 0.2)))
    page = read(pdfs.huge_page_pdf(tmp_path / "a.pdf"), ocr, ocr="always", max_pixels=1_000_000)
    assert ocr.images[0].shape[0] * ocr.images[0].shape[1] <= 1_001_000
    assert page.words[-1].box.width == pytest.approx(0.3 * 14_400, rel=0.01)


@pytest.mark.parametrize("parser", ["pymupdf", "pdfium"])
def test_hebrew_stays_in_logical_order(tmp_path: Path, parser: Parser) -> None:
    page = read(pdfs.hebrew_pdf(tmp_path / "a.pdf"), parser=parser)
    first, second = page.text.split("\n\n")
    assert first.replace(" ,", ",") == "שלום עולם, זהו מבחן 123 קצר"
    assert second == "Hello שלום world"
