"""Budgets: every limit, in words that name its setting, on a clock of our own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.answer.spent import spent
from docrag.chat.budget import BudgetMeter, BudgetOptions
from docrag.chat.model import CallUsage, total_usage
from docrag.errors import BudgetExceeded
from docrag.types import Usage

FREE = BudgetOptions(
    max_calls=None, max_input_tokens=None, max_output_tokens=None, max_images=None, max_seconds=None
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def meter(clock: Clock | None = None, **limits: Any) -> BudgetMeter:
    return BudgetMeter(FREE.model_copy(update=limits), clock=clock or Clock())


def test_rounds_are_counted_and_end():
    spent = meter(max_rounds=2)
    assert spent.rounds_left == 2
    spent.start_round()
    spent.start_round()
    assert spent.rounds_left == 0
    with pytest.raises(BudgetExceeded, match=r"all 2 rounds are used \(budget\.max_rounds\)"):
        spent.start_round()


def test_calls_end():
    spent = meter(max_calls=2)
    for _ in range(2):
        spent.check()
        spent.charge(CallUsage())
    with pytest.raises(BudgetExceeded, match=r"all 2 model calls are used \(budget\.max_calls\)"):
        spent.check()


def test_calls_left_are_counted_down():
    spent = meter(max_calls=2)
    assert spent.calls_left == 2
    spent.charge(CallUsage())
    assert spent.calls_left == 1
    assert meter().calls_left is None


CALL = CallUsage(n_input_tokens=40, n_output_tokens=10, n_images=2)


@pytest.mark.parametrize(
    ("limits", "n_allowed"),
    [
        ({"max_calls": 3}, 2),  # one is made before
        ({"max_images": 7}, 2),  # 2 before, and 2 for each
        ({"max_input_tokens": 160}, 3),  # 40 before, and 40 for each
        ({"max_input_tokens": 159}, 2),
        ({"max_output_tokens": 30}, 2),  # 10 before; the third would begin at 30
        ({"max_output_tokens": 31}, 3),
    ],
    ids=str,
)
def test_calls_are_allowed_together_while_each_would_be_after_the_others(
    limits: dict[str, int], n_allowed: int
):
    spent = meter(**limits)
    spent.charge(CALL)
    assert [spent.allows([CALL] * n) for n in range(5)] == [n <= n_allowed for n in range(5)]
    assert spent.usage.n_model_calls == 1  # asking costs nothing


def test_no_call_is_allowed_when_time_is_over():
    clock = Clock()
    spent = meter(clock, max_seconds=10.0)
    clock.now_s += 10
    assert not spent.allows([CALL])


def test_the_cost_does_not_depend_on_the_order_of_calls():
    forwards, backwards = meter(), meter()
    costs = [0.1, 0.2, 0.3]  # 0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ in their last digit
    for cost in costs:
        forwards.charge(CallUsage(cost_usd=cost))
    for cost in reversed(costs):
        backwards.charge(CallUsage(cost_usd=cost))
    assert forwards.usage.cost_usd == backwards.usage.cost_usd


def test_a_call_that_would_send_too_many_pictures_is_not_made():
    spent = meter(max_images=5)
    spent.charge(CallUsage(n_images=3))
    spent.check(n_images=2)
    with pytest.raises(BudgetExceeded, match=r"3 of 5 pictures .* needs 3 \(budget\.max_images\)"):
        spent.check(n_images=3)
    spent.check()  # words alone still may
    assert meter(max_images=0).check() is None


def test_a_call_that_would_read_too_much_is_not_made():
    spent = meter(max_input_tokens=100)
    spent.charge(CallUsage(n_input_tokens=60))
    spent.check(n_input_tokens=40)
    with pytest.raises(BudgetExceeded, match=r"60 of 100 .* about 41 \(budget\.max_input_tokens\)"):
        spent.check(n_input_tokens=41)


def test_the_last_call_may_pass_the_output_limit_and_no_further_one_is_made():
    spent = meter(max_output_tokens=10)
    spent.charge(CallUsage(n_output_tokens=9))
    spent.check()
    spent.charge(CallUsage(n_output_tokens=500))
    with pytest.raises(BudgetExceeded, match=r"budget\.max_output_tokens"):
        spent.check()


def test_time_runs_out():
    clock = Clock()
    spent = meter(clock, max_seconds=10.0)
    assert spent.remaining_s == 10
    clock.now_s += 9.5
    assert spent.remaining_s == 0.5
    spent.check()
    clock.now_s += 3
    assert spent.remaining_s == 0
    with pytest.raises(BudgetExceeded, match=r"budget\.max_seconds"):
        spent.check()


def test_without_limits_nothing_ends():
    spent = meter()
    for _ in range(50):
        spent.charge(CallUsage(n_input_tokens=10**9, n_output_tokens=10**9, n_images=10**6))
    spent.check(n_images=10**6, n_input_tokens=10**9)
    assert spent.remaining_s is None


CALLS = st.lists(
    st.builds(
        CallUsage,
        elapsed_s=st.just(1.0),
        n_input_tokens=st.integers(0, 1000),
        n_output_tokens=st.integers(0, 1000),
        n_images=st.integers(0, 9),
        cost_usd=st.none() | st.floats(0, 1),
    )
)


@given(calls=CALLS)
def test_the_usage_is_the_sum_of_the_calls(calls: list[CallUsage]):
    clock = Clock()
    spent = meter(clock)
    for call in calls:
        clock.now_s += call.elapsed_s
        spent.charge(call)
    usage = spent.usage
    assert usage.n_model_calls == len(calls)
    assert usage.n_input_tokens == sum(call.n_input_tokens for call in calls)
    assert usage.n_output_tokens == sum(call.n_output_tokens for call in calls)
    assert usage.n_images == sum(call.n_images for call in calls)
    n_unpriced = sum(call.cost_usd is None for call in calls)
    known = sum(call.cost_usd or 0.0 for call in calls)
    assert usage.n_unpriced_calls == n_unpriced
    if known or (calls and not n_unpriced):
        assert usage.cost_usd == pytest.approx(known)
    else:
        assert usage.cost_usd is None
    assert usage.elapsed_s == len(calls)
    together = total_usage(calls)
    assert (together.n_input_tokens, together.n_images) == (usage.n_input_tokens, usage.n_images)
    assert together.n_unpriced_calls == usage.n_unpriced_calls
    assert together.cost_usd == (pytest.approx(usage.cost_usd) if usage.cost_usd is not None else None)
    assert total_usage(calls, elapsed_s=0.5).elapsed_s == 0.5


@pytest.mark.parametrize(
    ("costs", "cost_usd", "n_unpriced"),
    [
        ([], None, 0),
        ([None, None], None, 2),
        ([0.25, 0.5], 0.75, 0),
        ([0.25, None], 0.25, 1),  # at least
        ([0.0, 0.0], 0.0, 0),  # models in this process
        ([0.0, None], None, 1),  # "at least nothing" would look like "nothing"
    ],
)
def test_a_cost_that_is_not_the_whole_cost_says_so(
    costs: list[float | None], cost_usd: float | None, n_unpriced: int
):
    calls = [CallUsage(cost_usd=cost) for cost in costs]
    spent_by = meter()
    for call in calls:
        spent_by.charge(call)
    searches = [total_usage([call]) for call in calls]
    for usage in (spent_by.usage, total_usage(calls), spent(Usage(), searches)):
        assert (usage.cost_usd, usage.n_unpriced_calls) == (cost_usd, n_unpriced)


@pytest.mark.parametrize("field", ["max_rounds", "max_calls", "max_seconds"])
def test_a_limit_that_allows_nothing_is_refused(field: str):
    with pytest.raises(ValueError, match=field):
        BudgetOptions.model_validate({field: 0})
