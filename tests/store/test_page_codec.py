"""Pages survive packing: everything exactly, boxes to a hundredth of a point."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.store.pages import make_page

from docrag.errors import IndexFormatError
from docrag.geometry import Box
from docrag.store.page_codec import BOX_UNIT_PT, pack_page, unpack_page
from docrag.types import Chunk, Page, Region, Table, Word

coordinates = st.floats(-20_000, 20_000)
texts = st.text(st.characters(), max_size=30)  # lone surrogates and NUL included
numbers = st.integers(0, 10_000)
boxes = st.tuples(coordinates, coordinates, coordinates, coordinates).map(
    lambda v: Box(min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
)
kinds = st.sampled_from(["text", "table", "picture", "caption", "section-header"])
word_lists = st.lists(st.builds(Word, numbers, numbers, boxes, numbers, st.booleans()), max_size=6)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    n_rows, n_columns = draw(st.integers(0, 3)), draw(st.integers(0, 3))

    def grid(cells: st.SearchStrategy) -> tuple:
        return tuple(tuple(draw(cells) for _ in range(n_columns)) for _ in range(n_rows))

    return Table(grid(texts), grid(st.none() | boxes), draw(st.integers(0, 3)))


regions = st.builds(
    Region, numbers, kinds, boxes, numbers, numbers, st.none() | tables(), st.none() | numbers
)
chunks = st.builds(
    Chunk,
    numbers,
    kinds,
    texts,
    numbers,
    numbers,
    st.lists(boxes, max_size=3).map(tuple),
    st.lists(numbers, max_size=3).map(tuple),
    texts,
)
pages = st.builds(
    Page,
    page_no=st.integers(1, 100_000),
    label=texts,
    width_pt=st.floats(1, 15_000),
    height_pt=st.floats(1, 15_000),
    rotation=st.sampled_from([0, 90, 180, 270]),
    text=texts,
    search_text=texts,
    text_source=st.sampled_from(["text-layer", "ocr", "mixed", "none"]),
    words=word_lists.map(tuple),
    regions=st.lists(regions, max_size=3).map(tuple),
    chunks=st.lists(chunks, max_size=3).map(tuple),
    notes=st.lists(texts, max_size=3).map(tuple),
)


def boxes_in(page: Page) -> list[Box]:
    cells = [
        box
        for region in page.regions
        if region.table is not None
        for row in region.table.cell_boxes
        for box in row
        if box is not None
    ]
    return [
        *(word.box for word in page.words),
        *(region.box for region in page.regions),
        *(box for chunk in page.chunks for box in chunk.boxes),
        *cells,
    ]


def without_boxes(value: object) -> object:
    """The page as nested tuples with every box left out."""
    if isinstance(value, Box):
        return "box"
    if isinstance(value, tuple):
        return tuple(without_boxes(item) for item in value)
    if hasattr(value, "__dataclass_fields__"):
        return tuple(without_boxes(getattr(value, name)) for name in value.__dataclass_fields__)
    return value


@settings(max_examples=150, deadline=None)
@given(pages)
def test_all_but_boxes_round_trips_exactly(page: Page):
    assert without_boxes(unpack_page(pack_page(page))) == without_boxes(page)


@settings(max_examples=150, deadline=None)
@given(pages)
def test_boxes_round_trip_to_half_the_box_unit(page: Page):
    before, after = boxes_in(page), boxes_in(unpack_page(pack_page(page)))
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        assert other.x0 <= other.x1
        assert other.y0 <= other.y1
        assert one == pytest.approx(other, rel=0, abs=BOX_UNIT_PT / 2 + 1e-9)


@settings(max_examples=50, deadline=None)
@given(pages)
def test_packing_again_changes_nothing(page: Page):
    once = unpack_page(pack_page(page))
    assert unpack_page(pack_page(once)) == once


def test_a_blob_of_another_encoding_or_a_damaged_one_is_a_format_error():
    blob = pack_page(make_page(1, "some words"))
    with pytest.raises(IndexFormatError, match="encoding 09"):
        unpack_page(b"\x09" + blob[1:])
    with pytest.raises(IndexFormatError, match="damaged"):
        unpack_page(blob[:-7])
    with pytest.raises(IndexFormatError, match="damaged"):
        unpack_page(blob[:1] + zlib.compress(b"no json"))
    with pytest.raises(IndexFormatError, match="encoding none"):
        unpack_page(b"")
