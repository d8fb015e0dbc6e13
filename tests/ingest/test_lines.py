from __future__ import annotations

from docrag.geometry import Box
from docrag.ingest.blocks import blocks_of, joined_markers, starts_item
from docrag.ingest.lines import Line, is_right_to_left, joined_fragments, lines_of, rows_of
from docrag.protocols import RawWord


def word(text: str, x: float, y: float, *, line_no: int = 0, size: float = 10, bold: bool = False) -> RawWord:
    return RawWord(text, Box(x, y, x + 5 * len(text), y + size), 0, line_no, size, bold)


def line(text: str, x: float, y: float, *, line_no: int = 0, size: float = 10, bold: bool = False) -> Line:
    words = tuple(range(len(text.split())))
    return Line(words, Box(x, y, x + 5 * len(text), y + size), text, size, bold, line_no)


def test_a_wide_gap_ends_a_line() -> None:
    words = [word("Rain", 0, 0), word("fell", 23, 0), word("120", 90, 0)]
    assert [found.text for found in lines_of(words)] == ["Rain fell", "120"]


def test_a_new_line_number_ends_a_line() -> None:
    words = [word("Rain", 0, 0), word("fell", 0, 12, line_no=1)]
    assert [found.words for found in lines_of(words)] == [(0,), (1,)]


def test_rows_hold_what_stands_side_by_side() -> None:
    cells = [line("b", 100, 1), line("a", 0, 0), line("d", 100, 20), line("c", 0, 21)]
    assert [[found.text for found in row] for row in rows_of(cells)] == [["a", "b"], ["c", "d"]]


def test_rows_of_hebrew_run_from_right_to_left() -> None:
    cells = [line("שלום", 0, 0), line("עולם", 100, 0)]
    assert [found.text for found in rows_of(cells)[0]] == ["עולם", "שלום"]


def test_direction_is_that_of_most_letters() -> None:
    assert is_right_to_left("السلام abc")
    assert not is_right_to_left("abcdef من")
    assert not is_right_to_left("12:30")


def test_words_that_a_parser_put_on_lines_of_their_own_are_joined() -> None:
    cells = [line("Changing", 0, 0), line("the", 44, 0, line_no=1), line("light", 180, 0, line_no=2)]
    assert [found.text for found in joined_fragments(cells)] == ["Changing the", "light"]


def test_a_bullet_is_joined_to_its_text_and_a_bare_number_is_not() -> None:
    joined = joined_markers([line("•", 0, 0), line("Raise the bank", 20, 0)])
    assert [found.text for found in joined] == ["• Raise the bank"]
    cells = [line("4", 0, 0), line("Alder", 20, 0)]
    assert joined_markers(cells) == cells
    heading = joined_markers([line("4.2", 0, 0, bold=True), line("Results", 30, 0, bold=True)])
    assert [found.text for found in heading] == ["4.2 Results"]


def test_items_are_told_from_dashes_in_a_sentence() -> None:
    assert starts_item("• item")
    assert starts_item("(a) item")
    assert starts_item("– Item")
    assert not starts_item("– is less than")
    assert not starts_item("2015 was dry")


def test_lines_close_below_each_other_are_a_block() -> None:
    paragraph = [line("the first line of it", 0, 12 * i) for i in range(3)]
    apart = line("another paragraph here", 0, 12 * 3 + 20)
    assert blocks_of([*paragraph, apart]) == [paragraph, [apart]]


def test_headings_and_items_are_blocks_of_their_own() -> None:
    heading = line("Findings", 0, 0, size=16)
    text = line("the survey found", 0, 18)
    items = [line("• one two", 0, 30), line("• three", 0, 42)]
    assert blocks_of([heading, text, *items]) == [[heading], [text], [items[0]], [items[1]]]


def test_bold_words_within_a_sentence_do_not_cut_a_paragraph() -> None:
    lines = [
        line("you can change them and the", 0, 0),
        line("buckets and objects whenever", 0, 12, bold=True),
        line("you like to do so", 0, 24),
    ]
    assert blocks_of(lines) == [lines]


def test_columns_are_not_joined() -> None:
    left = [line("left column text", 0, 12 * i) for i in range(3)]
    right = [line("right column text", 120, 12 * i + 1) for i in range(3)]
    assert sorted(len(block) for block in blocks_of([*left, *right])) == [3, 3]
