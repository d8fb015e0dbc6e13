from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.ingest.search_text import joined_lines, search_text_of
from docrag.ingest.words import clean_text


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("infor-\nmation", "information"),
        ("Anglo-\nSaxon", "Anglo-Saxon"),
        ("2014-\n2015", "2014- 2015"),
        ("a list -\nof things", "a list - of things"),
        ("the ﬁrst oﬃce", "the first office"),
        ("end-\n\nnext region", "end- next region"),
    ],
)
def test_broken_words_are_joined_within_a_region(text: str, joined: str) -> None:
    assert joined_lines(text) == joined


def test_search_text_has_one_form_for_every_character() -> None:
    assert search_text_of("ＡＢＣ １２ m²") == "ABC 12 m2"


@given(st.text())
def test_search_text_is_one_line_and_does_not_change_twice(text: str) -> None:
    once = search_text_of(text)
    assert "\n" not in once
    assert once == once.strip()
    assert search_text_of(once) == once


@given(st.text())
def test_clean_text_has_no_control_characters_and_fits_utf_8(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode("utf-8")
    assert all(c.isprintable() or ord(c) >= 0xA0 for c in cleaned)
    assert clean_text(cleaned) == cleaned


def test_marks_that_turn_text_around_are_removed() -> None:
    assert clean_text("invoice\u202efdp.exe") == "invoicefdp.exe"


def test_a_soft_hyphen_at_the_end_is_a_hyphen() -> None:
    assert clean_text("infor\u00ad") == "infor-"
    assert clean_text("in\u00adfor") == "infor"
