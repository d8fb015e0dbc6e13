"""What every fusion returns: all units, every source's rank and raw score kept, ties in unit order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from docrag.errors import ConfigError
from docrag.types import Fused, Scored, SourceScore, UnitRef

SCORE_DIGITS = 12
"""Fused scores are rounded to this, so that equal sums tie although they were added up differently."""


def merged(rankings: Mapping[str, Sequence[Scored]], fused_scores: Mapping[UnitRef, float]) -> list[Fused]:
    """One ranking of the units of `fused_scores`, best first, ties in unit order."""
    sources: dict[UnitRef, dict[str, SourceScore]] = {unit: {} for unit in fused_scores}
    for name, ranking in rankings.items():
        for rank, (unit, score) in enumerate(ranking, 1):
            sources[unit][name] = SourceScore(rank, score)
    fused = [Fused(unit, round(score, SCORE_DIGITS), sources[unit]) for unit, score in fused_scores.items()]
    return sorted(fused, key=lambda f: (-f.score, f.unit))


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
