from hypothesis import given
from hypothesis import strategies as st

from docrag.report.printable import one_line, printable


@given(st.text())
def test_no_control_character_gets_through(text):
    shown = printable(text)
    assert len(shown) == len(text)
    assert not {c for c in shown if ord(c) < 32 or 0x7F <= ord(c) < 0xA0} - {"\n", "\t"}


def test_terminal_escapes_and_direction_overrides_are_replaced():
    assert printable("a\x1b[2Jb\u202ec") == "a\ufffd[2Jb\ufffdc"


def test_ordinary_text_of_any_script_stays():
    text = "Größe 5 × 3\n\tعربي 日本語 naïve"
    assert printable(text) == text


@given(st.text(), st.integers(2, 40))
def test_one_line_is_one_line_and_short(text, limit):
    line = one_line(text, limit=limit)
    assert len(line) <= limit
    assert "\n" not in line


def test_a_cut_line_ends_in_an_ellipsis():
    assert one_line("one two  three", limit=8) == "one two…"
