"""Furniture, vector pictures and the kinds of blocks, found by geometry."""

from __future__ import annotations

import dataclasses

from docrag.geometry import Box
from docrag.ingest.furniture import furniture_kind
from docrag.ingest.layout_fast import FastLayout
from docrag.ingest.lines import Line, lines_of
from docrag.ingest.picture_finder import vector_pictures
from docrag.protocols import LayoutBox, RawPage, RawWord
from docrag.types import RegionKind

BODY = [
    (f"the river rose again in the winter of year {i}", 60.0, 200.0 + 13 * i, 10.0, False) for i in range(8)
]


def page_of(lines: list[tuple[str, float, float, float, bool]], drawings: tuple[Box, ...] = ()) -> RawPage:
    """Lines given as (text, x, y, size, bold); characters are half as wide as they are high."""
    words: list[RawWord] = []
    for line_no, (text, x, y, size, bold) in enumerate(lines):
        for one in text.split():
            words.append(RawWord(one, Box(x, y, x + size / 2 * len(one), y + size), 0, line_no, size, bold))
            x += size / 2 * (len(one) + 1)
    return RawPage(1, "", 600, 800, 0, tuple(words), (), drawings)


class NoSource:
    """FastLayout reads nothing but the page."""


def detected(page: RawPage) -> list[LayoutBox]:
    return FastLayout().detect(page, NoSource())  # type: ignore[arg-type]


def kind_at(page: RawPage, y: float) -> RegionKind:
    (found,) = [f for f in detected(page) if f.box.y0 <= y < f.box.y1]
    return found.kind


def kind_of_furniture(block: list[Line], others: list[Line]) -> RegionKind | None:
    return furniture_kind(block, others, page_height_pt=800, body_size_pt=10)


def test_short_lines_at_the_edges_are_furniture() -> None:
    page = page_of([("River Council Yearbook", 60, 30, 8, False), *BODY, ("17", 300, 770, 9, False)])
    assert kind_at(page, 35) == "page-header"
    assert kind_at(page, 775) == "page-footer"


def test_a_title_at_the_top_is_no_header() -> None:
    assert kind_at(page_of([("River Report", 60, 30, 24, False), *BODY]), 40) == "section-header"


def test_a_line_of_the_text_at_the_edge_is_no_furniture() -> None:
    lines = lines_of(
        page_of([("and so it went on", 60, 55, 10, False), ("for years", 60, 67, 10, False)]).words
    )
    assert kind_of_furniture(lines[:1], lines) is None


def test_a_long_paragraph_at_the_edge_is_no_furniture() -> None:
    lines = lines_of(page_of([(" ".join(["word"] * 10), 60, 20 + 12 * i, 10, False) for i in range(3)]).words)
    assert kind_of_furniture(lines, lines) is None


def test_headings_are_larger_or_bolder_than_the_text() -> None:
    page = page_of([("Large heading", 60, 150, 14, False), *BODY, ("Bold heading", 60, 400, 10, True)])
    assert kind_at(page, 155) == "section-header"
    assert kind_at(page, 405) == "section-header"
    assert kind_at(page, 205) == "text"


def test_bold_tells_nothing_where_all_is_bold() -> None:
    page = page_of(
        [(text, x, y, size, True) for text, x, y, size, _ in BODY] + [("Another", 60, 400, 10, True)]
    )
    assert kind_at(page, 405) == "text"


def test_items_captions_and_footnotes_are_told_by_how_they_begin() -> None:
    page = page_of(
        [
            *BODY,
            ("• raise the northern bank", 60, 400, 10, False),
            ("Table 4: Rain", 60, 450, 10, False),
            ("1 Prices of last year", 60, 700, 8, False),
        ]
    )
    assert kind_at(page, 405) == "list-item"
    assert kind_at(page, 455) == "caption"
    assert kind_at(page, 705) == "footnote"


# A bar chart: bars of different heights on a base line, a frame around the whole page behind it.
BARS = tuple(Box(120 + 40 * i, 500 - 20 * i, 145 + 40 * i, 600) for i in range(6))
FRAME = Box(5, 5, 595, 795)


def test_paths_close_together_are_a_picture_and_take_their_labels() -> None:
    page = page_of([*BODY, ("2014", 150, 604, 8, False)], (*BARS, FRAME))
    (picture,) = vector_pictures(page, lines_of(page.words), [])
    assert picture == Box(120, 400, 345, 612)
    assert kind_at(page, 550) == "picture"


def test_shaded_rows_and_lone_rules_are_no_picture() -> None:
    rows = tuple(Box(60, 300 + 40 * i, 500, 320 + 40 * i) for i in range(6))
    rules = tuple(Box(60, 300 + 90 * i, 400, 300.5 + 90 * i) for i in range(5))
    page = page_of(BODY)
    for drawings in (rows, rules):
        assert vector_pictures(dataclasses.replace(page, drawings=drawings), [], []) == []


def test_letters_drawn_as_paths_are_a_picture() -> None:
    letters = tuple(
        Box(100 + 6 * i, y, 104 + 6 * i, y + 7) for i in range(40) for y in (300, 315, 330, 345, 360)
    )
    (picture,) = vector_pictures(dataclasses.replace(page_of([]), drawings=letters), [], [])
    assert picture == Box(100, 300, 338, 367)


def test_an_empty_page_has_no_regions() -> None:
    assert detected(page_of([])) == []
