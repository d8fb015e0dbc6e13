import pickle

import pytest

from docrag.errors import Cancelled, DocragError, IngestError, MissingExtra
from docrag.geometry import Box
from docrag.types import Page, PageRef, Scope, Scored, Table, UnitRef, Word, ranked


def unit(doc: str, page_no: int, chunk_no: int = 0) -> UnitRef:
    return UnitRef(doc, page_no, chunk_no, doc_id="0" * 32)


def page(words: tuple[Word, ...], text: str) -> Page:
    return Page(1, "1", 595, 842, 0, text, text, "text-layer", words, (), ())


def test_a_table_becomes_markdown_with_escaped_pipes_and_one_line_cells():
    table = Table(rows=(("Name", "a|b"), ("two\nlines", "3")), cell_boxes=((None, None), (None, None)))
    assert table.to_markdown() == "| Name | a\\|b |\n| --- | --- |\n| two lines | 3 |"


def test_header_rows_are_joined_column_by_column():
    rows = (("", "Sales", ""), ("Region", "2024", "2025"), ("North", "1", "2"))
    table = Table(rows=rows, cell_boxes=(((None,) * 3),) * 3, n_header_rows=2)
    assert table.to_markdown().splitlines() == [
        "| Region | Sales 2024 | 2025 |",
        "| --- | --- | --- |",
        "| North | 1 | 2 |",
    ]


def test_short_rows_are_filled_up_and_an_empty_table_is_empty():
    assert Table(rows=(("a", "b"), ("c",)), cell_boxes=()).to_markdown().endswith("| c |  |")
    assert Table(rows=(), cell_boxes=()).to_markdown() == ""
    assert (
        Table(rows=(("only",),), cell_boxes=((None,),), n_header_rows=3).to_markdown() == "| only |\n| --- |"
    )


def test_a_span_has_one_box_a_line():
    words = (
        Word(0, 3, Box(10, 10, 30, 20), 0, False),
        Word(4, 7, Box(35, 10, 55, 20), 0, False),
        Word(8, 11, Box(10, 30, 30, 40), 1, True),
    )
    got = page(words, "one two six")
    assert got.boxes_of(0, 11) == (Box(10, 10, 55, 20), Box(10, 30, 30, 40))
    assert got.boxes_of(5, 6) == (Box(35, 10, 55, 20),)  # part of a word is the word
    assert got.boxes_of(3, 4) == ()  # the space between two words
    assert got.boxes_of(7, 8) == ()
    assert got.word_text(words[2]) == "six"
    assert got.size == (595, 842)


def test_rankings_break_ties_by_document_page_and_chunk():
    tied = [Scored(unit("b", 1), 1.0), Scored(unit("a", 10), 1.0), Scored(unit("a", 2, 3), 1.0)]
    best = Scored(unit("z", 9), 2.0)
    wanted = [best, Scored(unit("a", 2, 3), 1.0), Scored(unit("a", 10), 1.0), Scored(unit("b", 1), 1.0)]
    assert ranked([*tied, best]) == wanted
    assert ranked([best, *reversed(tied)]) == wanted


def test_a_unit_knows_its_page():
    assert unit("a", 7, 3).page == PageRef("0" * 32, 7)
    assert unit("a", 7, 3).as_page == unit("a", 7)


@pytest.mark.parametrize(("pages", "allowed"), [(None, [1, 5, 9]), ((), []), (((4, 5), (9, 9)), [5, 9])])
def test_page_ranges_are_inclusive_and_an_empty_one_allows_nothing(
    pages: tuple[tuple[int, int], ...] | None, allowed: list[int]
):
    assert [n for n in (1, 5, 9) if Scope(pages=pages).allows_page(n)] == allowed


def test_an_ingest_error_keeps_its_reason_between_processes():
    error = pickle.loads(pickle.dumps(IngestError("wall_limit", "a.pdf page 3: 61 s")))
    assert (type(error), error.reason, str(error)) == (IngestError, "wall_limit", "a.pdf page 3: 61 s")


def test_every_error_has_the_root_and_an_exit_code():
    def subclasses(root: type[DocragError]) -> set[type[DocragError]]:
        return {root} | {deep for child in root.__subclasses__() for deep in subclasses(child)}

    assert {kind.exit_code for kind in subclasses(DocragError)} <= {1, 2, 3, 130}
    assert Cancelled.exit_code == 130  # as for a command that Ctrl-C ends
    assert MissingExtra.exit_code == 1
