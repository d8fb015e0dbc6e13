"""Arithmetic by code: what it computes, and what it refuses."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.agents.arithmetic import ExpressionError, evaluate, shown


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("2 - 3 - 4", "-5"),
        ("24 / 4 / 2", "3"),
        ("0.1 + 0.2", "0.3"),
        ("-2^2", "-4"),
        ("2^-2", "0.25"),
        ("2^3^2", "512"),
        ("2 ** 10", "1024"),
        ("--3", "3"),
        ("1,234,567.5 + 1", "1234568.5"),
        ("$1,200 / £3", "400"),
        ("12%", "0.12"),
        ("200 * 15%", "30"),
        ("100 + 10%", "100.1"),
        ("(5 + 5)% * 50", "5"),
        ("7 % 3", "1"),
        ("7 %(2 + 1)", "1"),
        ("50%%", "0.005"),
        ("3 × 4 ÷ 6 − 1", "1"),
        ("min(3, 1, 2) + max(3; 1; 2)", "4"),
        ("sum(1, 2, 3) / avg(2, 4)", "2"),
        ("max(1,2000)", "2000"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(1234.5678, 2)", "1234.57"),
        ("round(1250, -2)", "1300"),
        ("abs(3 - 10)", "7"),
        ("sqrt(144)", "12"),
        (".5 + 1.", "1.5"),
        ("1e3 + 1", "1001"),
        ("(160 / 100) ^ (1 / 2)", "1.264911064067352"),
        ("AVG(1, (1,000 + 1), 3)", "335"),
    ],
)
def test_expressions_have_the_value_people_expect(expression: str, value: str):
    assert abs(evaluate(expression) - Decimal(value)) < Decimal("1e-14")


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "number was expected"),
        ("   ", "number was expected"),
        ("1 +", "number was expected"),
        ("1 2", "operator or the end"),
        ("(1 + 2", r"\) was expected"),
        ("1 + 2)", "operator or the end"),
        ("1 / 0", "divides by zero"),
        ("1 / (2 - 2)", "divides by zero"),
        ("0 / 0", "has no result"),
        ("sqrt(-1)", "has no result"),
        ("(-8) ^ 0.5", "has no result"),
        ("9 ^ 9 ^ 9", "beyond 200"),
        ("10 ^ 200 * 10 ^ 200", "power of 300"),
        ("sum(1,200, 300)", "thousands separators"),
        ("round(1, 2, 3)", "3 arguments"),
        ("round(1, 0.5)", "whole number"),
        ("round(1, 999)", "whole number"),
        ("abs(1, 2)", "2 arguments"),
        ("max()", "number was expected"),
        ("max 3", "parentheses"),
        ("median(1, 2)", "no function 'median'"),
        ("1.5 million", "operator or the end"),
        ("x + 1", "no function 'x'"),
        ("__import__('os')", "no arithmetic"),
        ("open('/etc/passwd')", "no arithmetic"),
        ("(1).real", "no arithmetic"),
        ("1 if 1 else 2", "operator or the end"),
        ("1; 2", "operator or the end"),
        ("0x10", "operator or the end"),
        ("1" * 2000, "2000 characters"),
        ("1+" * 300 + "1", "more than 400"),
        ("(" * 60 + "1" + ")" * 60, "deeper than 40"),
        ("2^" * 60 + "1", "deeper than 40"),
    ],
)
def test_what_is_no_arithmetic_or_too_large_is_refused_with_a_reason(expression: str, problem: str):
    with pytest.raises(ExpressionError, match=problem):
        evaluate(expression)


def _combined(parts: tuple[tuple[str, Fraction], str, tuple[str, Fraction]]) -> tuple[str, Fraction]:
    (left, a), sign, (right, b) = parts
    value = {"+": a + b, "-": a - b, "*": a * b}[sign]
    return f"({left} {sign} {right})", value


def _divided(parts: tuple[tuple[str, Fraction], int]) -> tuple[str, Fraction]:
    (text, value), divisor = parts
    return f"{text} / {divisor}", value / divisor


@given(
    st.recursive(
        st.integers(0, 10**6).map(lambda n: (str(n), Fraction(n))),
        lambda inner: (
            st.tuples(inner, st.sampled_from("+-*"), inner).map(_combined)
            | st.tuples(inner, st.integers(1, 999)).map(_divided)
        ),
        max_leaves=8,
    )
)
def test_the_value_is_that_of_exact_fractions(pair: tuple[str, Fraction]):
    expression, exact = pair
    assert abs(Fraction(evaluate(expression)) - exact) <= Fraction(10**20, 10**33) * max(1, abs(exact))


@given(st.text(alphabet="0123456789+-*/%^()., ;eEabminround$", max_size=60))
def test_any_text_has_a_value_or_a_reason(text: str):
    try:
        value = evaluate(text)
    except ExpressionError:
        return
    assert value.is_finite()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0"),
        ("-0.00", "0"),
        ("1E+5", "100000"),
        ("1.500", "1.5"),
        ("0.1234567890123456789", "0.123456789012346"),
    ],
)
def test_values_are_shown_as_people_write_them(value: str, text: str):
    assert shown(Decimal(value)) == text
