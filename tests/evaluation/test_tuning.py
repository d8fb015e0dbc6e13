"""Tuning over settings whose best one is known by construction."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.evaluation.tuning import (
    ascend,
    choose_cheapest,
    choose_simplest,
    clustered_error,
    cross_validate,
)

N = 60
DOCS = [f"d{i // 5}" for i in range(N)]
ALL = np.arange(N)


class Point(NamedTuple):
    """A setting with two respects."""

    x: int
    y: int


class Grid:
    """0 to 6 in both respects; the simplest points lie nearest to the origin."""

    start = Point(0, 0)

    def moves(self, setting: Point) -> list[list[Point]]:
        return [[setting._replace(x=x) for x in range(7)], [setting._replace(y=y) for y in range(7)]]

    def complexity(self, setting: Point) -> tuple[float, ...]:
        return (setting.x + setting.y,)


def hill(setting: Point) -> np.ndarray:
    """Highest at (4, 2), the same for every question."""
    return np.full(N, -((setting.x - 4) ** 2) - (setting.y - 2) ** 2, float)


def test_the_ascent_finds_the_top_and_looks_at_one_respect_at_a_time():
    means = ascend(Grid(), hill, ALL)
    assert max(means, key=lambda s: means[s]) == Point(4, 2)
    assert means[Point(4, 2)] == 0
    assert means[Point(0, 0)] == -20
    # The row of the start, then the column and the row of what was best there.
    assert set(means) == {Point(x, 0) for x in range(7)} | {Point(4, y) for y in range(7)} | {
        Point(x, 2) for x in range(7)
    }


def test_only_the_given_questions_count():
    def value(setting: Point) -> np.ndarray:
        return np.where(ALL < 30, -abs(setting.x - 5), -abs(setting.x - 1)).astype(float)

    first, second = ascend(Grid(), value, ALL[:30]), ascend(Grid(), value, ALL[30:])
    assert max(first, key=lambda s: first[s]).x == 5
    assert max(second, key=lambda s: second[s]).x == 1


def test_where_everything_is_equal_the_start_stays():
    assert choose_simplest(Grid(), lambda _: np.ones(N), ALL, DOCS) == Grid.start


def test_a_certain_gain_is_taken_however_small():
    # One thousandth on every question: the paired error is 0, whatever the questions are worth.
    base = np.random.default_rng(0).random(N)
    assert choose_simplest(Grid(), lambda s: base + hill(s) / 1000, ALL, DOCS) == Point(4, 2)


def test_an_uncertain_gain_is_not_worth_a_less_simple_setting():
    # x = 4 gains 1 in one document and loses 0.9 in another: mean 0.1 / 12, error far above.
    def value(setting: Point) -> np.ndarray:
        gain = np.zeros(N)
        if setting.x == 4:
            gain[:5], gain[5:10] = 1.0, -0.9
        return gain

    means = ascend(Grid(), value, ALL)
    assert max(means, key=lambda s: means[s]).x == 4
    assert choose_simplest(Grid(), value, ALL, DOCS) == Point(0, 0)


def test_what_does_not_matter_is_left_at_its_simplest():
    # Only x counts, and 4 is best; the ascent goes over y = 3 by chance of the start.
    class High(Grid):
        start = Point(0, 3)

    assert choose_simplest(High(), lambda s: np.full(N, -abs(s.x - 4.0)), ALL, DOCS) == Point(4, 0)


def test_the_error_is_that_of_documents_not_of_questions():
    # Six questions a document that agree: as if there were 10 documents and nothing else.
    means = np.random.default_rng(1).normal(size=10)
    values, docs = np.repeat(means, 6), np.repeat([f"d{i}" for i in range(10)], 6)
    assert clustered_error(values, docs) == pytest.approx(means.std(ddof=1) / np.sqrt(10))
    alone = [f"q{i}" for i in range(60)]
    assert clustered_error(values, alone) == pytest.approx(values.std(ddof=1) / np.sqrt(60))
    assert clustered_error(values, ["d"] * 60) == 0


@given(shift=st.floats(-5, 5), scale=st.floats(0.1, 5))
def test_the_error_ignores_a_constant_and_scales(shift: float, scale: float):
    values = np.random.default_rng(2).random(N)
    expected = clustered_error(values, DOCS)
    assert clustered_error(values * scale + shift, DOCS) == pytest.approx(expected * scale)


def test_the_cheapest_that_keeps_enough_is_chosen():
    gain = {"all": 1.0, "good": 0.98, "dear": 0.99, "poor": 0.5}
    cost = {"all": 10.0, "good": 6.0, "dear": 9.0, "poor": 1.0}

    def choose(keep: float) -> str:
        return choose_cheapest(
            list(gain), lambda s: np.full(N, gain[s]), lambda s: np.full(N, cost[s]), ALL, keep=keep
        )

    assert choose(0.97) == "good"
    assert choose(0.985) == "dear"
    assert choose(1.0) == "all"
    assert choose(0.0) == "poor"


def test_equally_cheap_ones_are_told_apart_by_what_they_gain():
    gain = {"a": 1.0, "b": 0.9, "c": 0.95}
    found = choose_cheapest(
        list(gain), lambda s: np.full(N, gain[s]), lambda s: np.full(N, float(s == "a")), ALL, keep=0.5
    )
    assert found == "c"


def test_every_fold_is_measured_with_what_the_others_chose():
    # What is best differs between the folds: each must get the choice of the other one.
    fold_of = np.array([0] * 30 + [1] * 30)
    best = np.where(fold_of == 0, 2, 5)

    def figures(setting: int) -> np.ndarray:
        return np.column_stack([best == setting, np.full(N, setting)]).astype(float)

    def choose(rows: np.ndarray) -> int:
        return max(range(7), key=lambda s: figures(s)[rows, 0].mean())

    done: list[int] = []
    fitted = cross_validate(choose, figures, fold_of, on_fit=done.append)
    assert fitted.chosen == 2  # of two equally good ones, the first
    assert fitted.by_fold == (5, 2)
    assert fitted.held_out[:, 0].tolist() == [0] * N  # neither choice is right where it was not made
    assert fitted.held_out[:, 1].tolist() == [5] * 30 + [2] * 30
    assert done == [1, 2, 3]
