"""How well a probability tells two kinds of questions apart: ranks, thresholds, calibration.

Scores are ``(n_questions,)``, labels say which questions are positive, and ``score >= threshold`` lets a
question pass. Intervals resample whole documents, as everywhere (`docrag.evaluation.bootstrap`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from docrag.evaluation.bootstrap import Floats, Interval, Statistic, bootstrap, ratio
from docrag.evaluation.folds import folds_by_document

Bools = NDArray[np.bool_]

CHANCE = 0.5
"""Area and balanced accuracy of what does not look at the question."""


# ── ranks ────────────────────────────────────────────────────────────────────────────────────────────


def area_under_curve(scores: Floats, labels: Bools) -> float:
    """Probability that a positive scores above a negative, ties counting half.

    It is the area under the ROC curve (Hanley & McNeil 1982) and needs no threshold.

    Raises
    ------
    ValueError
        One of the two kinds is missing.

    Examples
    --------
    >>> area_under_curve(np.array([0.9, 0.4, 0.4]), np.array([True, True, False]))
    0.75
    """
    if labels.all() or not labels.any():
        raise ValueError("the area under the curve needs both kinds of questions")
    return float(_wins(scores, labels).mean())


def area_interval(scores: Floats, labels: Bools, docs: Sequence[str], *, seed: int = 0) -> Interval:
    """`area_under_curve` with its interval; `docs` names the document of every question.

    A draw of documents in which one kind is missing counts as chance.
    """
    area_under_curve(scores, labels)
    names, document = np.unique(np.asarray(docs), return_inverse=True)
    of_document = np.eye(len(names))[document]
    # How often positives of one document beat negatives of another; a draw only weighs documents.
    wins = of_document[labels].T @ _wins(scores, labels) @ of_document[~labels]
    n_positive, n_negative = of_document[labels].sum(axis=0), of_document[~labels].sum(axis=0)

    def area(weights: Floats) -> Floats:
        n_pairs = (weights @ n_positive) * (weights @ n_negative)
        won = np.einsum("da,ab,db->d", weights, wins, weights)
        return np.where(n_pairs > 0, ratio(won, n_pairs), CHANCE)

    # Rows of a document add up to 1, so that the sums of a draw are the weights of the documents.
    return bootstrap(of_document / of_document.sum(axis=0), docs, area, seed=seed)


def _wins(scores: Floats, labels: Bools) -> Floats:
    """``(n_positive, n_negative)``: 1 where the positive scores higher, a half where both score the same."""
    above = scores[labels][:, None] - scores[~labels][None, :]
    return (np.sign(above) + 1) / 2


# ── thresholds ───────────────────────────────────────────────────────────────────────────────────────


def passing_columns(passes: Bools, labels: Bools) -> Floats:
    """``(n_questions, 4)`` to be summed: negatives stopped, negatives, positives stopped, positives."""
    return np.stack([~passes & ~labels, ~labels, ~passes & labels, labels], axis=1).astype(np.float64)


def _share_caught(sums: Floats) -> Floats:
    return ratio(sums[:, 0], sums[:, 1])


def _share_lost(sums: Floats) -> Floats:
    return ratio(sums[:, 2], sums[:, 3])


def balanced_accuracy(sums: Floats) -> Floats:
    """Mean of the shares of negatives stopped and of positives let through; `CHANCE` for all or none."""
    return (_share_caught(sums) + 1 - _share_lost(sums)) / 2


PASSING: Mapping[str, Statistic] = {
    "caught": _share_caught,
    "lost": _share_lost,
    "balanced accuracy": balanced_accuracy,
}
"""Figures of a threshold, each computed from sums of `passing_columns`."""


def best_threshold(scores: Floats, labels: Bools) -> float:
    """Threshold with the highest balanced accuracy (Youden 1950); of equal ones the one nearest one half.

    Candidates are 0, which lets everything pass, and the middles between neighbouring scores.

    Examples
    --------
    >>> best_threshold(np.array([0.2, 0.3, 0.7]), np.array([False, False, True]))
    0.5
    """
    levels = np.unique(scores)
    candidates = np.concatenate([[0.0], (levels[:-1] + levels[1:]) / 2])
    sums = np.stack([passing_columns(scores >= t, labels).sum(axis=0) for t in candidates])
    gained = balanced_accuracy(sums)
    best = candidates[gained >= gained.max() - 1e-12]
    return float(best[np.abs(best - CHANCE).argmin()])


class HeldOut(NamedTuple):
    """Which questions pass a threshold that other documents chose, and the thresholds, one a fold."""

    passes: Bools
    thresholds: tuple[float, ...]


def held_out_passes(scores: Floats, labels: Bools, docs: Sequence[str], n_folds: int) -> HeldOut:
    """Judge every question by the `best_threshold` of documents in other folds.

    Raises `docrag.errors.UsageError` when the documents cannot be parted so.
    """
    fold = folds_by_document(docs, n_folds)
    passes = np.zeros(len(scores), dtype=bool)
    thresholds: list[float] = []
    for n in range(n_folds):
        thresholds.append(best_threshold(scores[fold != n], labels[fold != n]))
        passes[fold == n] = scores[fold == n] >= thresholds[-1]
    return HeldOut(passes, tuple(thresholds))


# ── calibration ──────────────────────────────────────────────────────────────────────────────────────


class ReliabilityBin(NamedTuple):
    """Questions with probabilities from `low` to `high`: their mean, and the share that is positive."""

    low: float
    high: float
    n: int
    mean_probability: float
    share_positive: float


def reliability(probabilities: Floats, labels: Bools, *, n_bins: int = 10) -> list[ReliabilityBin]:
    """Bins of equal width that hold a question; 1 belongs to the last."""
    bins = np.minimum((probabilities * n_bins).astype(int), n_bins - 1)
    return [
        ReliabilityBin(
            n / n_bins,
            (n + 1) / n_bins,
            int((bins == n).sum()),
            float(probabilities[bins == n].mean()),
            float(labels[bins == n].mean()),
        )
        for n in range(n_bins)
        if (bins == n).any()
    ]


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Expected calibration error (Guo et al. 2017, equation 3): mean gap of the bins, by their sizes."""
    n = sum(b.n for b in bins)
    return sum(b.n * abs(b.mean_probability - b.share_positive) for b in bins) / n if n else 0.0
