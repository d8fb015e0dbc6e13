from __future__ import annotations

from pathlib import Path

import pytest
from tests import pdfs

from docrag.geometry import Box
from docrag.ingest.layout_fast import FastLayout
from docrag.ingest.lines import lines_of
from docrag.ingest.open_pdf import Parser, open_source
from docrag.ingest.table_finder import aligned_tables, grid_boxes, ruled_tables
from docrag.ingest.tables import table_of
from docrag.protocols import RawPage, RawWord
from docrag.types import Table


def page_of(rows: list[list[tuple[float, str]]], drawings: tuple[Box, ...] = ()) -> RawPage:
    """Words at (x, text), 14 pt from row to row, 5 pt per character; words of a cell share its x."""
    words: list[RawWord] = []
    for i, row in enumerate(rows):
        for x, cell in row:
            for text in cell.split():
                words.append(RawWord(text, Box(x, 14 * i, x + 5 * len(text), 14 * i + 10), 0, i, 10, False))
                x += 5 * len(text) + 3
    return RawPage(1, "", 600, 800, 0, tuple(words), (), drawings)


PAGE_BOX = Box(0, 0, 600, 800)


def built(page: RawPage, box: Box = PAGE_BOX) -> Table:
    table = table_of(page, box, range(len(page.words)))
    assert table is not None
    return table


def test_columns_come_from_alignment() -> None:
    table = built(
        page_of(
            [
                [(200, "2014"), (300, "2015")],
                [(0, "Net sales ........"), (200, "$"), (210, "409"), (300, "335")],
                [(0, "Cost of all goods"), (210, "90"), (300, "(7)"), (318, "%")],
                [(0, "Total"), (205, "1,245"), (300, "189")],
            ]
        )
    )
    assert table.rows == (
        ("", "2014", "2015"),
        ("Net sales", "$ 409", "335"),
        ("Cost of all goods", "90", "(7) %"),
        ("Total", "1,245", "189"),
    )
    assert table.n_header_rows == 1
    assert table.cell_boxes[0][0] is None
    assert table.cell_boxes[3][1] == Box(205, 42, 230, 52)


def test_a_cell_of_two_lines_is_one_row() -> None:
    table = built(
        page_of(
            [
                [(0, "Item"), (200, "Remark"), (400, "Price")],
                [(0, "Gate"), (200, "of oak, painted"), (400, "120")],
                [(200, "in green")],
                [(0, "Bank"), (200, "of clay"), (400, "95")],
            ]
        )
    )
    assert table.rows[1:] == (("Gate", "of oak, painted in green", "120"), ("Bank", "of clay", "95"))


def test_a_ruled_grid_says_what_a_row_is() -> None:
    h_rules = [Box(0, y, 500, y + 0.5) for y in (-2, 12, 40, 54)]
    v_rules = [Box(x, -2, x + 0.5, 54) for x in (0, 190, 390, 500)]
    table = built(
        page_of(
            [
                [(5, "Item"), (200, "Remark"), (400, "Price")],
                [(5, "Gate in"), (200, "painted"), (400, "120")],
                [(5, "the west"), (200, "green"), (400, "net")],
                [(5, "Bank"), (200, "of clay"), (400, "95")],
            ],
            (*h_rules, *v_rules),
        ),
        Box(0, -2, 500, 54),
    )
    assert table.rows[1] == ("Gate in the west", "painted green", "120 net")
    assert len(table.rows) == 3


def test_two_header_rows_are_counted() -> None:
    table = built(
        page_of(
            [
                [(200, "Rain"), (300, "Snow")],
                [(0, "Station"), (200, "in mm"), (300, "in mm")],
                [(0, "Alder"), (200, "120"), (300, "30")],
                [(0, "Birch"), (200, "95"), (300, "41")],
            ]
        )
    )
    assert table.n_header_rows == 2
    assert table.to_markdown().splitlines()[0] == "| Station | Rain in mm | Snow in mm |"


def test_prose_is_no_table() -> None:
    page = page_of([[(0, "The river council met in spring and agreed on a plan")]] * 3)
    assert table_of(page, Box(0, 0, 600, 800), range(len(page.words))) is None


@pytest.mark.parametrize("parser", ["pymupdf", "pdfium"])
@pytest.mark.parametrize("ruled", [True, False])
def test_a_printed_table_is_found_and_read(tmp_path: Path, parser: Parser, ruled: bool) -> None:
    source = open_source(pdfs.table_pdf(tmp_path / "a.pdf", ruled=ruled), parser=parser)
    page = source.read(1)
    (found,) = [f for f in FastLayout().detect(page, source) if f.kind == "table"]
    inside = [i for i, w in enumerate(page.words) if found.box.contains_point(*w.box.center)]
    table = table_of(page, found.box, inside)
    assert table is not None
    assert table.rows == pdfs.TABLE_ROWS


def test_two_columns_of_prose_are_no_table(tmp_path: Path) -> None:
    source = open_source(pdfs.two_columns_pdf(tmp_path / "a.pdf"))
    assert not [f for f in FastLayout().detect(source.read(1), source) if f.kind == "table"]


def test_the_empty_grid_behind_a_chart_is_no_table() -> None:
    rules = [Box(100, y, 400, y + 0.5) for y in range(100, 301, 50)]
    rules += [Box(x, 100, x + 0.5, 300) for x in range(100, 401, 50)]
    ((box, n_cells),) = grid_boxes(rules)
    assert box == Box(100, 100, 400.5, 300.5)
    assert n_cells == 24
    labels = page_of([[(110, "a")], [(160, "b")], [(110, "c")], [(160, "d")], [(210, "e")]])
    assert ruled_tables(rules, lines_of(labels.words)) == []


def test_rows_that_do_not_line_up_are_no_table() -> None:
    page = page_of([[(0, "a"), (100, "b")], [(37, "c"), (211, "d")], [(70, "e"), (333, "f")]])
    assert aligned_tables(lines_of(page.words)) == []
