"""What of a question is searched for: instructions, references, numerals and financial terms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.retrieve.glossary import FINANCE, line_items
from docrag.retrieve.instructions import without_instructions
from docrag.retrieve.numerals import value_of
from docrag.retrieve.question import QUESTION_WORDS, meaning_query, words_query
from docrag.retrieve.references import references_in


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ("How deep is the lake? Write the answer in float format.", "How deep is the lake?"),
        ("How deep is the lake?Please answer with an integer.", "How deep is the lake?"),
        ("How deep is it in May? Round your answer to two decimals.", "How deep is it in May?"),
        ("Is the lake frozen? Directly answer 'yes' or 'no'.", "Is the lake frozen?"),
        ("Which fish live there? Return a list, e.g., ['carp', 'eel'].", "Which fish live there?"),
        ("When did it freeze? Format the date as YYYY-MM-DD", "When did it freeze?"),
        ("Which share froze, round to 1 decimal place", "Which share froze"),
        ("Name the lakes. The output should be a list of names.", "Name the lakes."),
        (
            "List all answers that the survey offers in question 5.",
            "List all answers that the survey offers in question 5.",
        ),
    ],
)
def test_instructions_on_the_answer_are_left_out(asked: str, left: str):
    assert without_instructions(asked) == left


@pytest.mark.parametrize(
    "asked",
    [
        "What format does the camera save pictures in?",
        "How is the answer to question 3 scored?",
        "Give the example that the author uses for drift.",
        "Show me the list of members in alphabetical order?",
        "Answer in French.",
        "",
        "revenue 2015",
    ],
)
def test_questions_about_forms_and_lists_stay_whole(asked: str):
    assert without_instructions(asked) == asked


@given(st.text(max_size=200))
def test_leaving_out_adds_nothing_and_never_empties(asked: str):
    left = without_instructions(asked)
    assert set(left.split()) <= set(asked.split()) | {w for w in left.split() if w in asked}
    assert bool(left.strip()) == bool(asked.strip())


@pytest.mark.parametrize(
    ("text", "value"),
    [("17", 17), ("one", 1), ("Twenty", 20), ("first", 1), ("twelfth", 12), ("22nd", 22), ("forty", 40),
     ("Ninety-Nine", 99), ("thirty two", 32), ("fortieth", 40), ("fifty-third", 53), ("i", 1), ("iv", 4),
     ("ix", 9), ("xiv", 14), ("XL", 40), ("xcix", 99), ("cxi", 111)],
)  # fmt: skip
def test_numerals(text: str, value: int):
    assert value_of(text) == value


@pytest.mark.parametrize("text", ["", "iiii", "vx", "twelvty", "1a"])
def test_what_is_no_numeral_is_refused(text: str):
    with pytest.raises(ValueError, match="expected a number"):
        value_of(text)


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ("What is on page 17?", {17}),
        ("What does slide 5 show?", {5}),
        ("the text on p. 9", {9}),
        ("pp. 3–5", {3, 4, 5}),
        ("pages 3-5 and 8", {3, 4, 5, 8}),
        ("slides 2, 4 and 7", {2, 4, 7}),
        ("pages 10 and page 11", {10, 11}),
        ("page(3)", {3}),
        ("page no. 12", {12}),
        ("page number three", {3}),
        ("on the third page", {3}),
        ("the 21st slide", {21}),
        ("the twenty-first page", {21}),  # not the first
        ("page twenty-one", {21}),  # not pages 20 and 1
        ("page thirty two", {32}),
        ("slides twenty to twenty-three", {20, 21, 22, 23}),
        ("pages ninety-nine and forty", {99, 40}),
        ("the fiftieth slide", {50}),
        ("from page 12 to 14", {12, 13, 14}),
        ("page 5 to 2000", {5, 2000}),
        ("the title page", {1}),
        ("on the cover of the brochure", {1}),
        ("the second cover page", {2}),
        ("How many pages were printed in 2015?", set()),
        ("What does the report cover?", set()),
        ("homepage 5", set()),
        ("the cover letter of 3 pages", set()),
    ],
)
def test_page_numbers_in_questions(asked: str, numbers: set[int]):
    assert references_in(asked).numbers == numbers


def test_labels_and_places_from_the_end():
    assert references_in("page iv and pages A-2, A-3").labels == {"iv", "a-2", "a-3"}
    assert references_in("Who signed the last page?").from_end == {1}
    assert references_in("the second-to-last slide").from_end == {2}
    assert references_in("the back cover").from_end == {1}
    assert not references_in("a page in the file").names_pages
    assert not references_in("the pages I read").names_pages


@pytest.mark.parametrize(
    ("asked", "captions"),
    [
        ("What is in Table 3?", {("table", "3")}),
        ("Fig. 2 and Figure 7", {("figure", "2"), ("figure", "7")}),
        ("Figures 5 and 6", {("figure", "5"), ("figure", "6")}),
        ("Table2-1", {("table", "2-1"), }),
        ("Figures 2-4", {("figure", n) for n in ("2-4", "2", "3", "4")}),
        ("Exhibit 3.2", {("exhibit", "3.2")}),
        ("How many tables are on 3 pages?", set()),
    ],
)  # fmt: skip
def test_captions_in_questions(asked: str, captions: set[tuple[str, str]]):
    assert references_in(asked).captions == captions


def test_sections_in_questions():
    assert references_in("Section 2.1, chapter 4 and Appendix B").sections == {"2.1", "4", "B"}
    assert not references_in("in section a of the form").sections


def test_page_references_are_no_search_words_but_captions_are():
    assert words_query("What does the map on page 12 of the atlas show?") == "the map on of the atlas show?"
    assert "Table 4" in words_query("What is the mean in Table 4?")
    assert words_query("page 12") == ""


def test_what_a_question_calls_its_document_is_no_search_word():
    assert words_query("Does this report cite the annual report?") == "cite the annual report?"
    assert words_query("fonts in the slides") == "fonts in"
    assert words_query("the paper") == "the paper"


def test_question_words_alone_are_searched_for():
    assert words_query("Who has what?") == "Who has what?"
    assert words_query("which") == "which"


def test_a_financial_ratio_is_searched_by_its_line_items():
    assert words_query("current ratio in 2019?") == (
        "current ratio in 2019? total current assets total current liabilities"
    )
    assert words_query("current ratio in 2019?", with_glossary=False) == "current ratio in 2019?"
    assert line_items("the gross-margin trend") == line_items("Gross Margins")
    assert line_items("R&D and EBITDA") == (
        "operating income depreciation amortization research and development"
    )
    assert line_items("the asset of a current, in ratio") == ""


def test_every_glossary_entry_can_be_reached_by_its_first_name():
    for names, items in FINANCE.items():
        first = names.split("|")[0]
        for pattern, plain in (("(?:average )?", ""), ("(?:common )?", ""), ("(?:profit )?", ""),
                               ("(?:of )?", ""), (r"\s*", " "), ("[sz]", "z"), ("s?", "s")):  # fmt: skip
            first = first.replace(pattern, plain)
        assert items in line_items(f"What is the {first} of the firm?")


def test_meaning_keeps_question_words_and_drops_instructions():
    assert meaning_query("How deep is the lake? Answer in metres.") == "How deep is the lake?"


def test_question_words_are_lower_case():
    assert all(word == word.lower() for word in QUESTION_WORDS)
