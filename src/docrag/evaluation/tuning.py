"""Choose settings on labelled questions, and say what the choice is worth on documents it has not seen.

Every setting is measured once on every question; the folds of a cross-validation then choose from the same
figures. Nothing here knows what a setting is: a `Space` says which there are and which are simpler.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from docrag.evaluation.bootstrap import Floats

Setting = TypeVar("Setting", bound=Hashable)
Rows = NDArray[np.intp]
"""Numbers of the questions that something is chosen on, ``(n_rows,)``."""

Figures = Callable[[Setting], Floats]
"""What a setting reaches on every question, ``(n_questions, n_figures)``."""

Choose = Callable[[Rows], Setting]
"""The setting that is best on these questions."""

MAX_ROUNDS = 4
"""Most passes over all respects of a setting; on real data the second or third finds nothing new."""

TOLERANCE = 1e-9
"""What a mean must gain to count as higher: sums in another order differ by less."""


class Space(Protocol[Setting]):
    """The settings that may be chosen."""

    @property
    def start(self) -> Setting:
        """The setting to compare with, and to begin the search at."""
        ...

    def moves(self, setting: Setting) -> Sequence[Sequence[Setting]]:
        """Settings that differ from `setting` in one respect, respect by respect."""
        ...

    def complexity(self, setting: Setting) -> tuple[float, ...]:
        """What makes a setting less simple, most important first."""
        ...


def ascend(space: Space[Setting], value: Callable[[Setting], Floats], rows: Rows) -> dict[Setting, float]:
    """Every setting that coordinate ascent looks at on the way to the best, with its mean on `rows`.

    `value` gives what a setting is worth on every question, ``(n_questions,)``. One respect after the other
    is set to its best value, until a pass over all of them changes nothing. Of equal settings the one met
    first stays, so the search is deterministic.
    """
    best = space.start
    means = {best: float(value(best)[rows].mean())}
    for _ in range(MAX_ROUNDS):
        before = best
        for i in range(len(space.moves(best))):
            for candidate in space.moves(best)[i]:
                if candidate not in means:
                    means[candidate] = float(value(candidate)[rows].mean())
                if means[candidate] > means[best] + TOLERANCE:
                    best = candidate
        if best == before:
            break
    return means


def clustered_error(values: Floats, clusters: Sequence[str] | NDArray[np.str_]) -> float:
    """Standard error of the mean of `values` ``(n_rows,)`` when rows of one cluster are not independent.

    Root of the summed squares of the clusters' deviations, over the number of rows, with the factor
    ``C / (C - 1)`` for few clusters (Liang & Zeger 1986). 0 for a single cluster: nothing is known of others.
    """
    _, whose = np.unique(np.asarray(clusters), return_inverse=True)
    n_clusters = int(whose.max()) + 1
    if n_clusters < 2:
        return 0.0
    sums = np.bincount(whose, weights=values - values.mean())
    return float(np.sqrt((sums**2).sum() * n_clusters / (n_clusters - 1)) / len(values))


def choose_simplest(
    space: Space[Setting], value: Callable[[Setting], Floats], rows: Rows, docs: Sequence[str]
) -> Setting:
    """The simplest setting within one standard error of the best that `ascend` finds on `rows`.

    The error is that of the paired difference to the best, question by question, with documents as clusters:
    the rule of Breiman et al. (1984, section 3.4.3), without what all settings find equally hard. From the
    simplest of the settings met, simpler ones are looked for in one respect after the other. Of equally
    simple settings the best is chosen.
    """
    means = ascend(space, value, rows)
    best = max(means, key=lambda setting: means[setting])  # the first one met, where several are best
    clusters = np.asarray(docs)[rows]

    def is_as_good(setting: Setting) -> bool:
        lost = value(best)[rows] - value(setting)[rows]
        return float(lost.mean()) <= clustered_error(lost, clusters) + TOLERANCE

    def order(setting: Setting) -> tuple[tuple[float, ...], float]:
        return space.complexity(setting), -float(value(setting)[rows].mean())

    near = [setting for setting in means if is_as_good(setting)]
    chosen = best
    while near:
        chosen = min(near, key=order)
        near = [
            setting
            for moves in space.moves(chosen)
            for setting in moves
            if space.complexity(setting) < space.complexity(chosen) and is_as_good(setting)
        ]
    return chosen


def choose_cheapest(
    candidates: Sequence[Setting],
    gain: Callable[[Setting], Floats],
    cost: Callable[[Setting], Floats],
    rows: Rows,
    *,
    keep: float,
) -> Setting:
    """The candidate of the lowest mean cost that keeps the share `keep` of the first one's mean gain.

    The first candidate always does; of equally cheap ones the better, then the earlier, is chosen.
    """
    least = keep * float(gain(candidates[0])[rows].mean()) - TOLERANCE
    good = [setting for setting in candidates if float(gain(setting)[rows].mean()) >= least]
    return min(good, key=lambda s: (float(cost(s)[rows].mean()), -float(gain(s)[rows].mean())))


@dataclass(frozen=True, slots=True)
class Fitted(Generic[Setting]):
    """What was chosen on all questions, and what each fold chose without its own.

    `held_out` ``(n_questions, n_figures)`` are figures of every question under the setting that was chosen
    without its document.
    """

    chosen: Setting
    by_fold: tuple[Setting, ...]
    held_out: Floats


def cross_validate(
    choose: Choose[Setting],
    figures: Figures[Setting],
    fold_of: NDArray[np.intp],
    *,
    on_fit: Callable[[int], None] = lambda _n_done: None,
) -> Fitted[Setting]:
    """Choose on all questions, and on all but each fold in turn; `fold_of` ``(n_questions,)`` counts from 0.

    `on_fit` is told how many of the ``n_folds + 1`` choices are made.
    """
    chosen = choose(np.arange(len(fold_of)))
    on_fit(1)
    by_fold: list[Setting] = []
    held_out = np.zeros_like(figures(chosen))
    for fold in range(int(fold_of.max()) + 1):
        by_fold.append(choose(np.flatnonzero(fold_of != fold)))
        held_out[fold_of == fold] = figures(by_fold[-1])[fold_of == fold]
        on_fit(fold + 2)
    return Fitted(chosen, tuple(by_fold), held_out)
