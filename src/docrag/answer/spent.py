"""What an answer cost, the models that searching called included."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.types import Usage


def spent(own: Usage, searches: Sequence[Usage]) -> Usage:
    """Return an answerer's own cost and what searching paid models; its own time holds both."""
    costs = [usage.cost_usd for usage in (own, *searches) if usage.cost_usd is not None]
    return Usage(
        elapsed_s=own.elapsed_s,
        n_model_calls=own.n_model_calls + sum(usage.n_model_calls for usage in searches),
        n_input_tokens=own.n_input_tokens + sum(usage.n_input_tokens for usage in searches),
        n_output_tokens=own.n_output_tokens + sum(usage.n_output_tokens for usage in searches),
        n_images=own.n_images + sum(usage.n_images for usage in searches),
        cost_usd=sum(costs) if costs else None,
    )
