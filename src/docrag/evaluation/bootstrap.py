"""Bootstrap intervals that resample whole documents: questions about one document are not independent.

A statistic is computed from column sums (a mean from sum and count, an F1 from three sums), so that one
matrix product resamples everything (Efron & Tibshirani 1993, chapter 13: percentile intervals).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Column sums ``(n_draws, n_columns)`` to values ``(n_draws,)``."""

N_DRAWS = 2000
LEVEL = 0.95


class Interval(NamedTuple):
    """A figure and its percentile interval; no bounds where a single document leaves nothing to resample."""

    value: float
    low: float | None
    high: float | None

    def show(self, *, signed: bool = False) -> str:
        """The figure with its bounds, such as ``0.731 [0.650, 0.812]``; `signed` for differences."""
        sign = "+" if signed else ""
        if self.low is None or self.high is None:
            return f"{self.value:{sign}.3f} (one document)"
        return f"{self.value:{sign}.3f} [{self.low:{sign}.3f}, {self.high:{sign}.3f}]"


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Elementwise quotient, 0 where the denominator is 0: a draw may hold no question of a kind."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)


def mean_of_sums(sums: Floats) -> Floats:
    """First column over the second: a mean, given values and ones."""
    return ratio(sums[:, 0], sums[:, 1])


def bootstrap(
    columns: Floats,
    clusters: Sequence[str],
    statistic: Statistic = mean_of_sums,
    *,
    n_draws: int = N_DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Statistic of ``columns`` ``(n_questions, n_columns)`` with its interval, resampling `clusters`.

    With one cluster there is nothing to resample, and no bounds.
    """
    if len(columns) == 0 or len(columns) != len(clusters):
        raise ValueError(
            f"bootstrap needs one cluster a row, got {len(columns)} rows, {len(clusters)} clusters"
        )
    _, row_cluster = np.unique(np.asarray(clusters), return_inverse=True)
    n_clusters = int(row_cluster.max()) + 1
    cluster_sums = np.zeros((n_clusters, columns.shape[1]))
    np.add.at(cluster_sums, row_cluster, columns)
    value = float(statistic(cluster_sums.sum(axis=0, keepdims=True))[0])
    if n_clusters == 1:
        return Interval(value, None, None)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=n_draws)
    draws = statistic(weights @ cluster_sums)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def paired_difference(
    ours: Floats,
    theirs: Floats,
    clusters: Sequence[str],
    statistic: Statistic = mean_of_sums,
    *,
    seed: int = 0,
) -> Interval:
    """Statistic of `ours` minus that of `theirs`, row by row the same questions, drawn together.

    Much sharper than two intervals side by side: what both find hard cancels out.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"a paired difference needs the same questions, got {ours.shape} and {theirs.shape}")
    n_columns = ours.shape[1]
    return bootstrap(
        np.hstack([ours, theirs]),
        clusters,
        lambda sums: statistic(sums[:, :n_columns]) - statistic(sums[:, n_columns:]),
        seed=seed,
    )
