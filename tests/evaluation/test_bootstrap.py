from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.evaluation.bootstrap import Floats, Interval, bootstrap, paired_difference, ratio


def counted(values: list[float]) -> Floats:
    """Values and ones: the columns of a mean."""
    return np.stack([np.array(values, dtype=np.float64), np.ones(len(values))], axis=1)


def mean_interval(values: list[float], documents: list[str], *, seed: int = 0) -> Interval:
    return bootstrap(counted(values), documents, seed=seed)


def test_the_value_is_the_mean_over_questions_not_over_documents():
    got = mean_interval([1, 1, 1, 0], ["a", "a", "a", "b"])
    assert got.value == 3 / 4


def test_documents_are_drawn_whole():
    # Two documents, one all right and one all wrong: a draw gives 0, 1/2 or 1, the extremes in 1/4 each.
    got = mean_interval([1] * 50 + [0] * 50, ["a"] * 50 + ["b"] * 50)
    assert got == (0.5, 0.0, 1.0)


def test_the_interval_matches_the_normal_theory_for_many_documents():
    rng = np.random.default_rng(3)
    values = rng.normal(size=400)
    got = mean_interval(values.tolist(), [f"d{i}" for i in range(400)])
    assert got.low is not None
    assert got.high is not None
    half = 1.96 * values.std() / np.sqrt(400)
    assert got.low == pytest.approx(values.mean() - half, abs=0.015)
    assert got.high == pytest.approx(values.mean() + half, abs=0.015)


def test_one_document_leaves_nothing_to_resample():
    assert mean_interval([1, 0], ["a", "a"]) == (0.5, None, None)


def test_a_constant_difference_is_certain_where_the_values_are_not():
    ours, theirs = counted([0.9, 0.3, 0.6]), counted([0.8, 0.2, 0.5])
    assert paired_difference(ours, theirs, ["a", "b", "c"]) == pytest.approx((0.1, 0.1, 0.1))
    with pytest.raises(ValueError, match="same questions"):
        paired_difference(ours[:1], theirs, ["a"])


def test_a_seed_decides_the_draws():
    values, documents = [0.0, 1.0, 1.0, 0.0, 1.0], list("abcde")
    assert mean_interval(values, documents, seed=1) == mean_interval(values, documents, seed=1)


def test_rows_and_documents_must_match():
    with pytest.raises(ValueError, match="2 rows, 1 clusters"):
        bootstrap(np.ones((2, 2)), ["a"])
    with pytest.raises(ValueError, match="0 rows"):
        bootstrap(np.ones((0, 2)), [])


def test_a_quotient_by_zero_is_zero():
    assert ratio(np.array([1.0, 1.0]), np.array([0.0, 2.0])).tolist() == [0.0, 0.5]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.randoms())
def test_intervals_hold_values_in_range_and_ignore_the_order_of_rows(values: list[float], random: Random):
    documents = [f"d{i % 4}" for i in range(len(values))]
    got = mean_interval(values, documents)
    assert got.low is not None
    assert got.high is not None
    assert min(values) - 1e-9 <= got.low <= got.high <= max(values) + 1e-9
    order = list(range(len(values)))
    random.shuffle(order)
    again = mean_interval([values[i] for i in order], [documents[i] for i in order])
    assert again == pytest.approx(got)
