import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.evaluation.answer_score import is_abstention, normalised, score_answer, similarity


@pytest.mark.parametrize(
    ("gold", "prediction", "score"),
    [
        ("12", "12", 1),
        ("12", "12.9", 1),  # truncated, not rounded
        ("12", "13", 0),
        ("12", "twelve", 0),
        ("12", "12%", 0),
        ("12", "1e400", 0),  # infinity is no integer
        ("-3", "-3.0", 1),
    ],
)
def test_integers_are_equal_after_truncation(gold: str, prediction: str, score: float):
    assert score_answer(gold, prediction, "Int") == score


@pytest.mark.parametrize(
    ("gold", "prediction", "score"),
    [
        ("19.5%", "19.5", 1),
        ("19.5%", "0.195", 1),  # a fraction
        ("0.195", "19.5%", 1),
        ("$100", "100.9", 1),  # 0.9 % off
        ("100", "102", 0),
        ("0.333", "0.33", 1),  # two decimals on both
        ("0.34", "0.33", 0),
        ("(approx.) 4.0", "4", 1),
        ("4", "four", 0),
        ("4", "", 0),
    ],
)
def test_numbers_are_equal_within_one_percent_or_rounding(gold: str, prediction: str, score: float):
    assert score_answer(gold, prediction, "Float") == score


@pytest.mark.parametrize(
    ("gold", "prediction", "score"),
    [
        ("Anna Berg", "anna berg", 1),
        ("Anna Berg", "Anna Bert", 8 / 9),  # one of nine characters
        ("Anna Berg", "Ola", 0),
        ("abcd", "abxy", 0),  # exactly half: worth nothing
        ("'red' ", '"red"', 1),
        ("blue (dark)", "blue", 1),
        ("2019-05", "2019-06", 0),  # dates, pages, mail and files are right or wrong
        ("page 12", "page 13", 0),
        ("a@b.org", "a@b.orq", 0),
        ("main.py", "main.pi", 0),
        ("10:30 a.m.", "10:30 a.n.", 0),
        ("https://a.example/x", "https://a.example/y", 0),
        ("1920-1930", "1920-1931", 0),
        ("Not answerable", "Not answerable", 1),
    ],
)
def test_text_scores_its_similarity_and_identifiers_must_be_equal(gold: str, prediction: str, score: float):
    assert score_answer(gold, prediction, "Str") == pytest.approx(score)


@pytest.mark.parametrize(
    ("gold", "prediction", "score"),
    [
        ("['a b c', 'd e f']", "['d e f', 'a b c']", 1),  # order is no matter
        ("['a b c', 'd e f']", "['a b c']", 0),
        ("['abcd', 'efgh']", "['abcd', 'efgx']", 3 / 4),  # the worst pair counts
        ("[1, 2]", "['2', '1']", 1),
        ("[1, 2]", "[1, 3]", 0),
        ("['red']", "red", 1),  # a text alone is a list of one
        ("['red']", "[red", 3 / 4),  # no list: text with its bracket
        ("[]", "[]", 1),
        ("['a']", "[{[]}]", 0),  # parses as nothing hashable: text
    ],
)
def test_lists_need_the_same_length_and_score_their_worst_pair(gold: str, prediction: str, score: float):
    assert score_answer(gold, prediction, "List") == pytest.approx(score)


def test_a_list_is_never_evaluated():
    assert score_answer("['a']", "[__import__('os').getpid()]", "List") == 0


def test_abstentions_are_recognised_in_any_case_and_with_a_full_stop():
    assert is_abstention(" not answerable. ")
    assert not is_abstention("The number is not answerable")


def test_normalising_strips_one_pair_of_quotes_and_signs():
    assert normalised("  '$12.50%' ") == "12.50"
    assert normalised('"Mixed (Note) Case"') == "mixed case"


@given(st.text(max_size=30), st.text(max_size=30))
def test_similarity_is_symmetric_and_bounded(a: str, b: str):
    assert similarity(a, b) == similarity(b, a)
    assert similarity(a, b) == 0 or 0.5 < similarity(a, b) <= 1
    assert (similarity(a, b) == 1) == (a == b)


@given(st.text(max_size=20), st.sampled_from(["Int", "Float", "Str", "List", "None"]))
def test_no_text_breaks_the_scorer(text: str, answer_format: str):
    assert 0 <= score_answer("[1, 'a']", text, answer_format) <= 1
    assert 0 <= score_answer(text, "12%", answer_format) <= 1
