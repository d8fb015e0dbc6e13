"""What an answer cost, the models that searching called included."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.types import Usage, known_cost_usd


def spent(own: Usage, searches: Sequence[Usage]) -> Usage:
    """Return an answerer's own cost and what searching paid models; its own time holds both."""
    paid = (own, *searches)
    n_unpriced_calls = sum(usage.n_unpriced_calls for usage in paid)
    return Usage(
        elapsed_s=own.elapsed_s,
        n_model_calls=own.n_model_calls + sum(usage.n_model_calls for usage in searches),
        n_input_tokens=own.n_input_tokens + sum(usage.n_input_tokens for usage in searches),
        n_output_tokens=own.n_output_tokens + sum(usage.n_output_tokens for usage in searches),
        n_images=own.n_images + sum(usage.n_images for usage in searches),
        cost_usd=known_cost_usd((usage.cost_usd for usage in paid), n_unpriced_calls=n_unpriced_calls),
        n_unpriced_calls=n_unpriced_calls,
    )
