"""Numbers are compared as numbers, whatever the words around them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.answer.agreement import agreeing, agreement, answers_agree, new_numbers

# ── for a vote ───────────────────────────────────────────────────────────────────────────────────────────

AGREE = 0.6


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("12.5%", "12.5 percent"),
        ("12.5 %", "0.125"),
        ("1.2 million", "1,200,000"),
        ("$3.5 billion", "3,500 million"),
        ("$1,200", "1200 dollars"),
        ("about 3.1 million people", "3,102,455 people"),
        ("12%", "12.3 %"),
        ("(500)", "-500"),
        ("two", "2"),
        ("The station measured 120 millimetres.", "120 millimetres"),
        ("Paris", "paris"),
        ("the northern bank", "Northern banks"),
        ("Yes", "Yes, it was."),
        ("2019: 4 gates", "4"),
        ("alder and birch", "birch, alder"),
    ],
)
def test_answers_that_mean_the_same_agree(first: str, second: str):
    question = "How many gates were there in 2019?"
    assert agreement(first, second, question=question).score >= AGREE


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("12.5 % of the staff left", "12.6 % of the staff left"),
        ("1.2 million", "1.2 billion"),
        ("12%", "$12"),
        ("42", "43"),
        ("1,000", "1,001"),
        ("500", "-500"),
        ("in 2018 it was 7", "in 2018 it was 9"),
        ("Yes", "No"),
        ("Yes, it rose", "No, it did not rise"),
        ("the bank was raised", "the bank was not raised"),
        ("Paris", "London"),
        ("seven", "none of them"),
        ("3", "3, 4 and 5"),
        ("", "Paris"),
    ],
)
def test_answers_that_contradict_do_not_agree(first: str, second: str):
    assert agreement(first, second).score < AGREE


def test_a_year_of_the_question_counts_when_it_is_the_answer():
    question = "Was it 2019 or 2020?"
    assert agreement("2019", "2020", question=question).score == 0
    assert agreement("2019", "in 2019", question=question).score == 1


def test_meaning_helps_words_and_never_numbers():
    def alike(_a: str, _b: str) -> float:
        return 1.0

    assert agreement("a physician", "a doctor").score == 0
    assert agreement("a physician", "a doctor", semantic=alike).score == 1
    assert agreement("7 doctors", "8 doctors", semantic=alike).score == 0


ANSWERS = st.lists(
    st.sampled_from(
        ["12.5%", "0.125", "7", "seven", "8", "yes", "no", "the bank", "the town", "$3 million", "3m"]
    ),
    min_size=1,
    max_size=4,
).map(" ".join)


@given(ANSWERS, ANSWERS)
def test_agreement_is_symmetric_and_between_0_and_1(first: str, second: str):
    score = agreement(first, second).score
    assert 0 <= score <= 1
    assert score == pytest.approx(agreement(second, first).score)
    assert agreement(first, first).score == 1


def test_groups_hold_what_agrees_and_the_largest_comes_first():
    answers = ["the town", "12.5%", "0.125", "12.5 percent", "town"]
    assert agreeing(answers, threshold=AGREE) == [(1, 2, 3), (0, 4)]
    assert agreeing([], threshold=AGREE) == []


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("12.5 %", []),
        ("0.125 left", []),
        ("13 %", [13.0]),
        ("two of 7", [2.0]),
        ("none", []),
        ("1.5 million", []),
    ],
)
def test_a_number_is_new_when_it_was_not_said(text: str, new: list[float]):
    known = ["12.5 % left", "seven, or 1,500,000"]
    assert [n.value for n in new_numbers(text, known)] == new


# ── beyond doubt ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Berlin", "berlin."),
        ("the CEO of Airbus", "Airbus CEO"),
        ("46,298", "46298"),
        ("1,200", "1200.0 units"),
        ("$1.2 million", "1,200,000 dollars"),
        ("12 %", "12 percent"),
        ("three", "3"),
        ("Yes", "yes, it does"),
        ("Caf\u00e9", "Cafe"),
        ("['a', 'b']", "a, b"),
    ],
)
def test_answers_that_say_the_same(first, second):
    assert answers_agree(first, second)
    assert answers_agree(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("46,298", "46,299"),
        ("12 %", "12"),
        ("12", "-12"),
        ("1.2 million", "1.2 billion"),
        ("12 of 20", "12"),
        ("Yes", "No"),
        ("It grew", "It never grew"),
        ("Berlin", "Paris"),
        ("", ""),
        ("", "Berlin"),
        ("?", "?"),
    ],
)
def test_answers_that_do_not(first, second):
    assert not answers_agree(first, second)
    assert not answers_agree(second, first)
