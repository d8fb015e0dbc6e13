"""All units of several rankings, numbered, so that fusions can work on arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from docrag.retrieve.fusion.normalise import checked_scores
from docrag.types import Fused, Scored, SourceScore, UnitRef

SCORE_DIGITS = 12
"""Fused scores are rounded to this, so that equal sums tie although they were added up differently."""


class Placed(NamedTuple):
    """A ranking: numbers of its units in the pool and their raw scores, both ``(n_ranked,)``, best first."""

    units: NDArray[np.intp]
    scores: NDArray[np.float64]


class Pool:
    """The units of `rankings`, each once, in the order in which they are met, and every ranking over them.

    Raises
    ------
    ValueError
        A score is NaN or infinite, a unit stands twice in a ranking, or a ranking is not sorted.
    """

    def __init__(self, rankings: Mapping[str, Sequence[Scored]]) -> None:
        self._rankings = rankings
        # A unit is hashed field by field; once for every place in a ranking is enough.
        ranked_units = {name: [place[0] for place in ranking] for name, ranking in rankings.items()}
        self.units: list[UnitRef] = list(dict.fromkeys(chain.from_iterable(ranked_units.values())))
        number = {unit: i for i, unit in enumerate(self.units)}
        self.rankings = {
            name: Placed(
                np.array([number[unit] for unit in ranked_units[name]], np.intp),
                checked_scores(name, ranking),
            )
            for name, ranking in rankings.items()
        }

    def __len__(self) -> int:
        return len(self.units)

    def fused(self, scores: NDArray[np.float64]) -> list[Fused]:
        """One ranking of all units by `scores` ``(n_units,)``: best first, ties in unit order.

        Every ranking's rank and raw score of a unit is kept.
        """
        sources: list[dict[str, SourceScore]] = [{} for _ in self.units]
        for name, (units, _) in self.rankings.items():
            for rank, (i, (_, score)) in enumerate(zip(units.tolist(), self._rankings[name], strict=True), 1):
                sources[i][name] = SourceScore(rank, score)
        lowest_first = np.round(-scores, SCORE_DIGITS) + 0.0  # without the sign of -0.0
        order = sorted(zip(lowest_first.tolist(), self.units, range(len(self.units)), strict=True))
        return [Fused(unit, 0.0 - negative, sources[i]) for negative, unit, i in order]
