import pytest

from docrag.answer.agreement import answers_agree


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
