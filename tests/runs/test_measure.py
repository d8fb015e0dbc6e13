"""What a run cost, from the lines of its answers."""

from __future__ import annotations

from typing import Any

import pytest

from docrag.runs.measure import total_of


def usage(n_calls: int, cost_usd: float | None, **more: int) -> dict[str, Any]:
    tokens = {"n_input_tokens": 10 * n_calls, "n_output_tokens": n_calls, "n_images": 0}
    return {"n_model_calls": n_calls, **tokens, "cost_usd": cost_usd, **more}


@pytest.mark.parametrize(
    ("usages", "cost_usd", "n_unpriced"),
    [
        ([], None, 0),
        ([usage(2, 0.5, n_unpriced_calls=0), usage(1, 0.25, n_unpriced_calls=0)], 0.75, 0),
        ([usage(2, 0.5, n_unpriced_calls=1), usage(3, None, n_unpriced_calls=3)], 0.5, 4),
        ([usage(3, None, n_unpriced_calls=3), usage(0, None, n_unpriced_calls=0)], None, 3),
        ([usage(2, 0.5), usage(3, None)], 0.5, 3),  # written by an earlier version
    ],
)
def test_the_sum_says_how_many_calls_are_not_in_it(
    usages: list[dict[str, Any]], cost_usd: float | None, n_unpriced: int
):
    total = total_of(usages)
    assert (total["cost_usd"], total["n_unpriced_calls"]) == (cost_usd, n_unpriced)
    assert (total["n_questions"], total["n_model_calls"]) == (
        len(usages),
        sum(u["n_model_calls"] for u in usages),
    )
