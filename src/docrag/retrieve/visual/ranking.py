"""Rows of a vector view, scored and ranked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.view import Selection, VectorView
from docrag.types import Scored, ranked

SCORE_DIGITS = 5
"""Scores are rounded to what float32 sums can tell apart, so that equal pages tie wherever they lie."""


def exact_scores(
    kernel: MaxSim, query: NDArray[np.float32], selections: Sequence[Selection]
) -> list[NDArray[np.float32]]:
    """Exact MaxSim of the selected rows, selection by selection; −inf for a unit without vectors."""
    return [
        scores[0] for scores in kernel.scores_each([query], [(p.vectors, rows) for p, rows in selections])
    ]


def best_units(
    view: VectorView, selections: Sequence[Selection], scores: Sequence[NDArray[np.float32]], *, k: int
) -> list[Scored]:
    """The `k` best units, best first, ties in unit order; units without vectors are absent."""
    flat = np.round(np.concatenate([*scores, np.empty(0, np.float32)]).astype(np.float64), SCORE_DIGITS)
    finite = np.flatnonzero(np.isfinite(flat))
    if k < len(finite):
        kth_best = -np.partition(-flat[finite], k - 1)[k - 1]
        finite = finite[flat[finite] >= kth_best]
    ends = np.cumsum([len(rows) for _, rows in selections])
    found: list[Scored] = []
    for place in finite:
        which = int(np.searchsorted(ends, place, side="right"))
        part, rows = selections[which]
        row = int(rows[place - (ends[which] - len(rows))])
        found.append(Scored(view.unit(part, row), float(flat[place])))
    return ranked(found)[:k]


def best_rows(
    selections: Sequence[Selection], scores: Sequence[NDArray[np.float32]], *, n: int
) -> list[Selection]:
    """The `n` best-scored rows, as selections in the order given."""
    flat = np.concatenate([*scores, np.empty(0, np.float32)])
    if n >= len(flat):
        return list(selections)
    keep = np.zeros(len(flat), bool)
    keep[np.argpartition(-flat, n - 1)[:n]] = True
    return masked(selections, keep)


def masked(selections: Sequence[Selection], keep: NDArray[np.bool_]) -> list[Selection]:
    """The rows where `keep` is true, which holds one value per selected row, selection by selection."""
    kept: list[Selection] = []
    start = 0
    for part, rows in selections:
        chosen = rows[keep[start : start + len(rows)]]
        start += len(rows)
        if len(chosen):
            kept.append(Selection(part, chosen))
    return kept
