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
from docrag.retrieve.fusion.normalise import min_max
from docrag.retrieve.fusion.pool import Pool
from docrag.types import Fused, Scored

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
        pool = Pool({name: ranking for name, ranking in rankings.items() if ranking})
        # Products over rankings; their differences are the unnormalised masses of Dempster's rule.
        not_against = np.ones(len(pool))
        not_for = np.ones(len(pool))
        undecided = np.ones(len(pool))
        for units, scores in pool.rankings.values():
            shares = belief_shares(scores, self._scale)
            of_all = np.full(len(pool), shares[-1] if self._absent == "last" else np.nan)
            of_all[units] = shares
            known = ~np.isnan(of_all)
            mass_for = np.where(known, self._alpha * of_all, 0.0)
            mass_against = np.where(known, self._beta * (1 - of_all), 0.0)
            not_against *= 1 - mass_against
            not_for *= 1 - mass_for
            undecided *= 1 - mass_for - mass_against
        agreement = not_against + not_for - undecided  # 1 − K
        belief = np.zeros(len(pool))
        sound = agreement > 1 - TOTAL_CONFLICT
        belief[sound] = (not_against - undecided / 2)[sound] / agreement[sound]
        if self._prior == "layout":
            belief *= layout_prior(pool)
        return pool.fused(belief)


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


def layout_prior(pool: Pool) -> NDArray[np.float64]:
    """1 for units whose page is in every ranking's first `N_PRIOR`, or next to one; else the floor.

    ``(n_units,)``; next to one is at most `MAX_PAGES_APART` away in the same document.
    """
    near = [
        {
            (pool.units[i].doc_id, pool.units[i].page_no + step)
            for i in units[:N_PRIOR].tolist()
            for step in range(-MAX_PAGES_APART, MAX_PAGES_APART + 1)
        }
        for units, _ in pool.rankings.values()
    ]
    near_all = set[tuple[str, int]].intersection(*near) if near else set[tuple[str, int]]()
    return np.array([1.0 if (u.doc_id, u.page_no) in near_all else PRIOR_FLOOR for u in pool.units])
