"""Weights of rankings, checked."""

from __future__ import annotations

from collections.abc import Mapping

from docrag.errors import ConfigError


def checked_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """`weights` themselves; ConfigError unless they are finite, not negative, and one is positive."""
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise ConfigError(f"fusion weight of {name!r} is {weight}, expected a number of 0 or more")
    if not any(weights.values()):
        raise ConfigError(f"fusion weights are {dict(weights)}, expected at least one above 0")
    return dict(weights)


def weight_of(name: str, weights: Mapping[str, float]) -> float:
    """Weight of a ranking; ConfigError when there is none."""
    if name not in weights:
        known = ", ".join(sorted(weights))
        raise ConfigError(f"no fusion weight for the retriever {name!r}; weights are given for: {known}")
    return weights[name]
