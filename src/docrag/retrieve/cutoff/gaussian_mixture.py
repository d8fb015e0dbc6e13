"""ViDoRAG's cut (Wang et al. 2025): two Gaussians over the best scores, of which the better one is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from docrag.protocols import Kept

Select = Literal["max_member", "mean"]
"""Which Gaussian is the better one: that of the highest score, or the one with the higher mean."""

VARIANCE_FLOOR = 1e-6
"""Added to both variances, as scikit-learn's `reg_covar` is; scores have variance 1 when it is."""

TOLERANCE = 1e-3
"""Smallest gain of the mean log-likelihood that is worth another step, as in scikit-learn."""

MAX_STEPS = 100
"""Most steps of the fit, as in scikit-learn."""


class Gaussian(NamedTuple):
    """One of the two components: its share of the sample, mean and variance."""

    weight: float
    mean: float
    variance: float

    def log_densities(self, values: Sequence[float]) -> list[float]:
        """Log of weight times density at every value; −inf for a component that died out."""
        if self.weight <= 0:
            return [-math.inf] * len(values)
        peak = math.log(self.weight) - 0.5 * math.log(2 * math.pi * self.variance)
        return [peak - (value - self.mean) ** 2 / (2 * self.variance) for value in values]


class GaussianMixtureCutoff:
    """Keeps the ranking's first run of the better of two score clusters, of `min_kept` to `max_kept` units.

    Scores are fitted as deviations from their mean, so that neither a constant nor a positive factor matters:
    the variance floor would otherwise decide on its own about scores as close as those of rank fusion.
    Unequal variances can give the better Gaussian both ends of a ranking; what is kept is still a prefix.

    Parameters
    ----------
    n_in
        Best scores that are fitted; what lies below is cut.
    """

    def __init__(
        self, *, n_in: int = 20, min_kept: int = 5, max_kept: int = 10, select: Select = "max_member"
    ) -> None:
        self._n_in = n_in
        self._min_kept = min_kept
        self._max_kept = max_kept
        self._select: Select = select

    def keep(self, scores: NDArray[np.float64]) -> Kept:
        """Return the better cluster; the first `max_kept` where there are no two, as with equal scores."""
        beyond = f"beyond the first {self._max_kept}"
        sample = scores[: self._n_in]
        spread = float(sample.std()) if len(sample) > 1 else 0.0
        if spread <= np.finfo(np.float64).eps * len(sample) * max(1.0, float(np.abs(sample).max(initial=0))):
            return Kept(min(self._max_kept, len(scores)), beyond)
        values: list[float] = ((sample - sample.mean()) / spread).tolist()
        components = fit_two_gaussians(values)
        densities = zip(*(component.log_densities(values) for component in components), strict=True)
        labels = [int(second > first) for first, second in densities]
        better = labels[0]
        if self._select == "mean":
            better = max(sorted(set(labels)), key=lambda i: components[i].mean)
        first = labels.index(better)
        n_cluster = next((i for i in range(first, len(labels)) if labels[i] != better), None)
        if n_cluster is None or n_cluster > self._max_kept:
            return Kept(min(self._max_kept, len(scores)), beyond)
        n_kept = min(max(n_cluster, self._min_kept), len(scores))
        return Kept(n_kept, f"outside the better of two score clusters, which ends at rank {n_cluster}")


def fit_two_gaussians(values: Sequence[float]) -> tuple[Gaussian, Gaussian]:
    """Expectation maximisation from the split with the least squared error; `values` fall, at least two.

    The start is what 2-means would find at best, so nothing is random. In plain Python: for twenty numbers
    it is several times as fast as array operations, and scikit-learn takes a second to import.
    """
    split = _best_split(values)
    belongs = [1.0] * split + [0.0] * (len(values) - split)
    components = _maximise(values, belongs)
    before = -math.inf
    for _ in range(MAX_STEPS):
        total = 0.0
        densities = zip(*(component.log_densities(values) for component in components), strict=True)
        for i, (first, second) in enumerate(densities):
            peak = max(first, second)
            together = peak + math.log(math.exp(first - peak) + math.exp(second - peak))
            belongs[i] = math.exp(first - together)
            total += together
        components = _maximise(values, belongs)
        likelihood = total / len(values)
        if abs(likelihood - before) < TOLERANCE:
            break
        before = likelihood
    return components


def _best_split(values: Sequence[float]) -> int:
    """How many of the falling values form the upper of two groups with the least squared error."""
    array = np.asarray(values)
    n_upper = np.arange(1, len(array))
    upper = np.cumsum(array)[:-1]
    lower = array.sum() - upper
    between = upper**2 / n_upper + lower**2 / (len(array) - n_upper)
    return int(np.argmax(between)) + 1


def _maximise(values: Sequence[float], belongs: Sequence[float]) -> tuple[Gaussian, Gaussian]:
    """Components that fit the shares `belongs` of every value to the first one best."""
    found: list[Gaussian] = []
    for shares in (belongs, [1 - share for share in belongs]):
        total = max(sum(shares), 10 * np.finfo(np.float64).eps)
        mean = sum(s * v for s, v in zip(shares, values, strict=True)) / total
        variance = sum(s * (v - mean) ** 2 for s, v in zip(shares, values, strict=True)) / total
        found.append(Gaussian(sum(shares) / len(values), mean, variance + VARIANCE_FLOOR))
    return found[0], found[1]
