"""Put the scores of one retriever on a scale that several retrievers can share.

The statistics (mean and deviation, minimum and maximum) are those of a declared set of the retriever's
scores, since they shift with the length of the list (`Statistics`). All of it is per query: scores of
different queries are not comparable before, nor after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from docrag.types import Fused, Scored

Statistics = Literal["top-k", "union", "all"]
"""Which scores of a ranking give its statistics: its own first k, those of every unit that any ranking has
among its first k, or all."""

Normaliser = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""``(scores, sample) -> scores`` on the common scale, with statistics of the non-empty `sample`."""


def zscore(scores: NDArray[np.float64], sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(s - mean) / deviation`` with the population deviation; 0 for every score when `sample` is constant.

    Examples
    --------
    >>> zscore(np.array([3.0, 1.0]), np.array([3.0, 1.0])).tolist()
    [1.0, -1.0]
    """
    return _divided(scores - sample.mean(), float(sample.std()), sample)


def min_max(scores: NDArray[np.float64], sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(s - min) / (max - min)``; 0 for every score when `sample` is constant.

    Scores outside the sample's range leave [0, 1]; they keep their order.

    Examples
    --------
    >>> min_max(np.array([5.0, 4.0, 3.0]), np.array([5.0, 3.0])).tolist()
    [1.0, 0.5, 0.0]
    """
    return _divided(scores - sample.min(), float(np.ptp(sample)), sample)


def softmax(scores: NDArray[np.float64], sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """``exp(s) / sum of exp over the sample``, so that the sample sums to 1.

    It does not depend on a constant added to all scores, but very much on their scale: differences of BM25
    scores decide everything, those of cosines hardly anything.

    Examples
    --------
    >>> softmax(np.log([6.0, 3.0, 1.0]), np.log([6.0, 3.0, 1.0])).round(9).tolist()
    [0.6, 0.3, 0.1]
    """
    peak = sample.max()
    return np.exp(scores - peak) / np.exp(sample - peak).sum()


def rank(scores: NDArray[np.float64], sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the sample that does not score more: 1 for the best, ``1 / n`` for the last; equals tie.

    Examples
    --------
    >>> rank(np.array([9.0, 5.0, 5.0, 1.0]), np.array([9.0, 5.0, 5.0, 1.0])).tolist()
    [1.0, 0.75, 0.75, 0.25]
    """
    return np.searchsorted(np.sort(sample), scores, side="right") / len(sample)


def sigmoid(scores: NDArray[np.float64], sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic function of the z-score: between 0 and 1, ever flatter towards both ends.

    Examples
    --------
    >>> sigmoid(np.array([2.0, 1.0, 0.0]), np.array([2.0, 1.0, 0.0])).round(3).tolist()
    [0.773, 0.5, 0.227]
    """
    deviations = zscore(scores, sample)
    # Of the two forms, the one whose exponential stays below 1.
    small = np.exp(-np.abs(deviations))
    return np.where(deviations >= 0, 1, small) / (1 + small)


def _divided(centred: NDArray[np.float64], spread: float, sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """`centred` over `spread`, or zeros when the spread is nothing but rounding of equal scores."""
    rounding = np.finfo(np.float64).eps * len(sample) * max(1.0, float(np.abs(sample).max()))
    return centred / spread if spread > rounding else np.zeros_like(centred)


def checked_scores(name: str, ranking: Sequence[Scored | Fused]) -> NDArray[np.float64]:
    """Scores of a ranking; ValueError unless they are finite and sorted, and no unit stands twice."""
    scores = np.array([place.score for place in ranking], np.float64)
    if not np.isfinite(scores).all():
        worst = ranking[int(np.argmin(np.isfinite(scores)))]
        raise ValueError(f"ranking {name!r}: score {worst.score} of {worst.unit}, expected a finite number")
    if (np.diff(scores) > 0).any():
        raise ValueError(f"ranking {name!r} is not sorted, expected the highest score first")
    if len({place.unit for place in ranking}) < len(ranking):
        raise ValueError(f"ranking {name!r} holds a unit twice")
    return scores
