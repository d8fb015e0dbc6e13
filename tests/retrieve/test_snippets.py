"""The best part of a page, and its boxes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.retrieve.small_corpus import make_page

from docrag.geometry import Box
from docrag.retrieve.snippets import MAX_CHARS, MIN_CHARS, best_snippet


def test_the_sentence_that_holds_the_words_is_chosen_with_its_boxes():
    page = make_page(1, "Lakes are wet.\nThe lake froze in May. Nobody swam.\nBirds left.")
    snippet = best_snippet(page, "When did the lake freeze in May?")
    assert snippet.text == "The lake froze in May."
    # Line 1 stands at y 20 to 30; the sentence has 22 letters of 10 pt.
    assert snippet.boxes == (Box(0, 20, 220, 30),)
    assert page.text[snippet.start : snippet.end] == snippet.text


def test_a_snippet_over_two_lines_has_a_box_for_each():
    page = make_page(1, "Intro.\nThe old mill\nburned down.\nEnd.")
    snippet = best_snippet(page, "old mill burned down")
    assert snippet.text == "The old mill burned down."
    assert snippet.boxes == (Box(0, 20, 120, 30), Box(0, 40, 120, 50))


def test_rare_words_count_more_than_frequent_ones():
    page = make_page(1, "revenue revenue revenue\nrevenue again\nstock option plan")
    assert best_snippet(page, "revenue option").text == "revenue again stock option plan"
    assert best_snippet(page, "option").text == "stock option plan"


def test_words_that_stand_together_win():
    page = make_page(1, "income for the net maker\nnet income\nend")
    assert best_snippet(page, "net income").text == "net income"


def test_word_forms_match():
    page = make_page(1, "Nothing.\nThe reports ended.\nMore.")
    assert best_snippet(page, "report ending").text == "The reports ended."


def test_the_span_of_a_chunk_is_kept():
    page = make_page(1, "gold here\n\ngold there\n\nsilver")
    assert best_snippet(page, "gold", start=11, end=21).text == "gold there"


def test_without_any_word_it_is_the_beginning():
    page = make_page(1, "M.\nThe first line, which is a long one.\n" + "And more of it.\n" * 9)
    text = best_snippet(page, "zebra").text
    assert text.startswith("M. The first line, which is a long one. And more of it.")
    assert MIN_CHARS <= len(text) < MIN_CHARS + len(" And more of it.")


def test_a_word_that_says_nothing_alone_is_shown_with_what_follows_and_precedes():
    page = make_page(1, "Asked by the council.\nM.\nBaker answered.")
    assert best_snippet(page, "Who is M").text == "Asked by the council. M. Baker answered."


def test_what_follows_is_left_out_when_it_is_too_long():
    page = make_page(1, "M.\n\n" + "x" * MAX_CHARS)
    assert best_snippet(page, "zebra").text == "M."


def test_an_empty_page_gives_an_empty_snippet():
    snippet = best_snippet(make_page(1, ""), "anything")
    assert (snippet.text, snippet.boxes) == ("", ())


@given(st.text(max_size=900), st.text(max_size=60))
def test_any_text_gives_a_bounded_snippet_that_stands_on_the_page(text: str, question: str):
    page = make_page(1, " ".join(text.split()))
    snippet = best_snippet(page, question)
    assert 0 <= snippet.start <= snippet.end <= len(page.text)
    assert snippet.end - snippet.start <= 2 * MAX_CHARS + 1
    assert snippet.text == " ".join(page.text[snippet.start : snippet.end].split())
    assert bool(snippet.boxes) == bool(snippet.text)
