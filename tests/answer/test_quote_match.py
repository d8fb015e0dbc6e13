import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docrag.answer.quote_match import QuoteFinder, fold, match_quote

TEXT = (
    "The revenue of the group rose to 1,234 million euros in 2015, which is not allowed by the state-of-\n"
    "the-art policy. An eﬃcient exam-\nple “quoted” here – with a dash.\nThe revenue fell in 2016."
)


def found(text: str, quote: str, **options: int) -> tuple[str, list[str]]:
    match = match_quote(text, quote, **options)
    return match.support, [text[start:end] for start, end in match.spans]


def test_a_quote_as_it_stands_has_full_support_and_its_own_span():
    assert found(TEXT, "rose to 1,234 million") == ("full", ["rose to 1,234 million"])


@pytest.mark.parametrize(
    ("quote", "standing"),
    [
        ("ROSE TO 1,234 MILLION", "rose to 1,234 million"),
        ("rose   to\n1,234", "rose to 1,234"),
        ("An efficient example", "An eﬃcient exam-\nple"),
        ("state-of-the-art policy", "state-of-\nthe-art policy"),
        ('"quoted" here - with', "“quoted” here – with"),
        ("exam\u00adple", "exam-\nple"),
    ],
)
def test_typesetting_does_not_stand_in_the_way_of_full_support(quote, standing):
    assert found(TEXT, quote) == ("full", [standing])


@pytest.mark.parametrize(
    "quote", ["rose to l,234 million euros", "The revenuc of the group rose", "ofthe group rose to 1,234"]
)
def test_small_slips_of_ocr_give_partial_support(quote):
    assert match_quote(TEXT, quote).support == "partial"


@pytest.mark.parametrize(
    "quote",
    [
        "rose to 1,235 million euros in 2015",  # another number
        "which is allowed by the state-of-the-art policy",  # the negation is lost
        "revenue of the group fell to 1,234 million",  # another word in the place of one
        "evenue of the gro" + "x" * 40,
        "",
        "   \n ",
        "of the",
        "... … ...",
        "\u200b\u00ad",
        "profits of the competitors",
    ],
)
def test_what_the_text_does_not_say_has_no_support_and_no_place(quote):
    match = match_quote(TEXT, quote)
    assert (match.support, match.spans) == ("none", ())


def test_a_number_inside_a_longer_number_is_not_found():
    assert match_quote("In 2015 there were 1,234 of them.", "234").support == "none"


def test_pieces_between_ellipses_are_found_in_order_with_partial_support():
    assert found(TEXT, "The revenue of the group … in 2015") == (
        "partial",
        ["The revenue of the group", "in 2015"],
    )
    assert match_quote(TEXT, "in 2016 ... rose to 1,234").support == "none"


def test_of_equal_places_the_nearest_to_the_hint_is_taken():
    second = TEXT.rindex("The revenue")
    assert match_quote(TEXT, "the revenue").spans == ((0, 11),)
    assert match_quote(TEXT, "the revenue", near=second + 3).spans == ((second, second + 11),)


def test_composed_and_decomposed_letters_are_the_same():
    assert match_quote("un cafe\u0301 noir", "café noir").support == "full"
    assert match_quote("un cafe\u0301s noir", "café").support == "none"


def test_folding_is_stable_under_itself():
    assert fold(fold(TEXT)) == fold(TEXT)


WORDS = st.text(string.ascii_letters + string.digits + "äéﬁ-–’%.,", min_size=1, max_size=9).filter(
    lambda word: (
        not {word[0], word[-1]} & {"-", "–"}
    )  # a quote that ends inside a hyphenated word is no quote of it
)


@settings(deadline=None, max_examples=150)
@given(st.lists(WORDS, min_size=1, max_size=40), st.data())
def test_any_run_of_words_of_a_text_is_found_in_full_or_holds_nothing_to_find(words, data):
    text = " ".join(words)
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    quote = " ".join(words[first : last + 1])
    finder = QuoteFinder(text)
    match = finder.find(quote, near=len(" ".join(words[:first])) + (first > 0))
    if match.support == "none":
        assert match_quote(quote, quote).support == "none"  # punctuation or stop words alone
    else:
        assert match.support == "full"
        ((start, end),) = match.spans
        assert fold(text[start:end]) == fold(quote)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32))
def test_random_letters_are_not_found(seed):
    rng = random.Random(seed)
    quote = " ".join("".join(rng.choices("qxzjvkw", k=7)) for _ in range(4))
    assert match_quote(TEXT * 3, quote).support == "none"
