"""Evidence theory (Dempster 1967, Shafer 1976) over rankings, as in BayesRAG, unit by unit.

BayesRAG combines triples of a text, an image and a screenshot; with pages as units the three are views of
one page, and its layout prior becomes a question of neighbouring pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from docrag.errors import ConfigError
from docrag.retrieve.fusion.merge import merged
from docrag.retrieve.fusion.normalise import checked_scores, min_max
from docrag.types import Fused, Scored, UnitRef

Scale = Literal["max", "min-max"]
"""How scores become shares of belief: over the best one, or from the lowest to the best."""

Absent = Literal["unknown", "last"]
"""What a ranking says about a unit it does not hold: nothing, or as much as about its last one."""

Prior = Literal["none", "layout"]

TOTAL_CONFLICT = 0.999
"""Sources that contradict each other this much leave no belief at all (BayesRAG)."""

FLAT_BELOW = 0.1
"""Scores that spread over less than this share of the best one count as equally good (BayesRAG)."""

N_PRIOR = 15
"""Best units of a ranking that support their neighbours (BayesRAG: 15 of each kind form triples)."""

MAX_PAGES_APART = 1
"""How far apart layout neighbours may be: BayesRAG asks for less than two pages."""

PRIOR_FLOOR = 0.1
"""Prior of a unit without neighbours in the other rankings (BayesRAG's epsilon)."""


class DempsterShafer:
    """Belief that a unit is relevant, from every ranking's evidence for, against, and undecided.

    A share ``s`` gives the masses ``alpha s`` for relevance, ``beta (1 - s)`` against it, and leaves the
    rest open. Dempster's rule combines them; the score is the mass for relevance plus half of what is open.

    Parameters
    ----------
    absent
        "unknown" is BayesRAG's: all of the mass is open. A unit that only one ranking holds can then pass
        one that the other ranking holds near its end. "last" keeps the order of the rankings.
    prior
        "layout" multiplies by `PRIOR_FLOOR` unless every other ranking holds the page or one next to it
        among its first `N_PRIOR`.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.7,
        beta: float = 0.6,
        scale: Scale = "max",
        absent: Absent = "unknown",
        prior: Prior = "none",
    ) -> None:
        for name, mass in (("alpha", alpha), ("beta", beta)):
            if not 0 < mass <= 1:
                raise ConfigError(
                    f"Dempster-Shafer fusion: {name} is {mass}, expected more than 0, at most 1"
                )
        self._alpha = alpha
        self._beta = beta
        self._scale: Scale = scale
        self._absent: Absent = absent
        self._prior: Prior = prior

    def fuse(self, rankings: Mapping[str, Sequence[Scored]]) -> list[Fused]:
        """All units of all rankings, best first, ties in unit order."""
        present = {name: ranking for name, ranking in rankings.items() if ranking}
        places = {unit: i for i, unit in enumerate(dict.fromkeys(u for r in present.values() for u, _ in r))}
        # Products over rankings; their differences are the unnormalised masses of Dempster's rule.
        not_against = np.ones(len(places))
        not_for = np.ones(len(places))
        undecided = np.ones(len(places))
        for name, ranking in present.items():
            shares = belief_shares(checked_scores(name, ranking), self._scale)
            whose = [places[unit] for unit, _ in ranking]
            of_all = np.full(len(places), shares[-1] if self._absent == "last" else np.nan)
            of_all[whose] = shares
            known = ~np.isnan(of_all)
            mass_for = np.where(known, self._alpha * of_all, 0.0)
            mass_against = np.where(known, self._beta * (1 - of_all), 0.0)
            not_against *= 1 - mass_against
            not_for *= 1 - mass_for
            undecided *= 1 - mass_for - mass_against
        agreement = not_against + not_for - undecided  # 1 − K
        belief = np.zeros(len(places))
        sound = agreement > 1 - TOTAL_CONFLICT
        belief[sound] = (not_against - undecided / 2)[sound] / agreement[sound]
        if self._prior == "layout":
            belief *= [_layout_prior(unit, present) for unit in places]
        return merged(rankings, dict(zip(places, belief.tolist(), strict=True)))


def belief_shares(scores: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """Shares of belief in ``[0, 1]``, ``(n_units,)``, of a ranking's falling scores.

    With "max" negative scores have share 0, as have all when none is positive, and all have share 1 where
    they hardly differ (`FLAT_BELOW`). With "min-max" all have share 1 where they are equal.
    """
    best, lowest = float(scores[0]), float(scores[-1])
    if scale == "min-max":
        return min_max(scores, scores) if best > lowest else np.ones_like(scores)
    if best <= 0:
        return np.zeros_like(scores)
    if best - lowest < FLAT_BELOW * best:
        return np.ones_like(scores)
    return np.clip(scores / best, 0, 1)


def _layout_prior(unit: UnitRef, rankings: Mapping[str, Sequence[Scored]]) -> float:
    """1 when every ranking holds a page of the same document at most one page away, else the floor."""
    near = all(
        any(
            other.doc_id == unit.doc_id and abs(other.page_no - unit.page_no) <= MAX_PAGES_APART
            for other, _ in ranking[:N_PRIOR]
        )
        for ranking in rankings.values()
    )
    return 1.0 if near else PRIOR_FLOOR
