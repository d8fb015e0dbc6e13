"""Screening: scores from an int8 copy, with bounds on their error, leave only what can be among the best.

Let x be a row of a unit, x' its int8 copy, q a query vector and q' what int8 leaves of it. By Cauchy-Schwarz

    |q · x − q' · x'| = |q · (x − x') + (q − q') · x'| ≤ ‖q‖ ‖x − x'‖ + ‖q − q'‖ ‖x'‖,

and a maximum over rows moves by no more than the rows do. So MaxSim of the copy is within

    e = ρ Σ‖qᵢ‖ + ν Σ‖qᵢ − qᵢ'‖

of MaxSim of the unit, where ρ is the largest ‖x − x'‖ of its rows and ν the largest ‖x'‖. Both are stored for
every unit. A unit whose copy scores more than e below what n others reach is not among the best n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.maxsim import MaxSim, round_to_int8
from docrag.late_interaction.multivectors import MultiVectors, encode
from docrag.late_interaction.view import Selection, VectorPart, VectorView
from docrag.retrieve.visual.candidates import StoredColumns
from docrag.retrieve.visual.ranking import SCORE_DIGITS, exact_scores, masked

SCREENED_TYPES = ("float32", "float16")
"""Storage that an int8 copy is quicker to scan than."""

UNIT_ROUNDOFF = 2.0**-24
"""Largest relative error of one float32 operation."""


class Slack(NamedTuple):
    """How far computed scores of units may be from true ones, ``(n_units,) float64`` each.

    Attributes
    ----------
    rounding
        Of exact scores: what float32 sums lose.
    screening
        Of scores of the copy: `rounding`, and what int8 loses.
    """

    rounding: NDArray[np.float64]
    screening: NDArray[np.float64]


def slack(
    query: NDArray[np.float32], residual_norms: NDArray[np.float32], row_norms: NDArray[np.float32]
) -> Slack:
    """Bounds on the errors of scores of units.

    Parameters
    ----------
    query
        ``(n_query_vectors, dim)``.
    residual_norms, row_norms
        ``(n_units,)``: ρ and ν of each unit, see the module.
    """
    n, dim = query.shape
    codes, scales = round_to_int8(query)
    exact = query.astype(np.float64)
    query_norm = np.linalg.norm(exact, axis=1).sum()
    query_error = np.linalg.norm(exact - codes * scales.astype(np.float64), axis=1).sum()
    lost = residual_norms * query_norm + row_norms.astype(np.float64) * query_error
    # A float32 dot product of any order of summation is within dim · u · ‖q‖ ‖x‖ (Higham 2002, eq. 3.5), and
    # scaling and adding up n maxima adds n + 3 operations; twice that leaves room for terms in u².
    largest = (query_norm + query_error) * (row_norms.astype(np.float64) + residual_norms)
    rounding = 2 * (dim + n + 3) * UNIT_ROUNDOFF * largest
    return Slack(rounding, lost + rounding)


class ScreenCandidates:
    """Everything that can be among the best `n`, and little else: what is left out provably cannot.

    Units are scored by their int8 copy; the `n` best of that are scored exactly, and all units whose bound
    reaches the least of these stay. How many that are, the vectors decide.
    """

    name = "screen"
    misses_nothing = True
    column_names: Sequence[str] = (
        "screen-codes",
        "screen-scales",
        "screen-residual-norms",
        "screen-row-norms",
    )

    def __init__(self, kernel: MaxSim) -> None:
        self._kernel = kernel
        self._stored = StoredColumns(self.columns)

    def columns(self, vectors: MultiVectors) -> dict[str, NDArray[Any]]:
        """The int8 copy: codes of all vectors; scale, ρ and ν of every unit, rounded up.

        Raises
        ------
        ValueError
            The vectors are not floats: an exact scan of int8 numbers costs no more than their screening.
        """
        if vectors.vector_type not in SCREENED_TYPES:
            raise ValueError(f"screening is for {' and '.join(SCREENED_TYPES)}, got {vectors.vector_type}")
        codes = np.empty(vectors.codes.shape, np.int8)
        scales, residual_norms, row_norms = np.zeros((3, len(vectors)), np.float32)
        for i, first in enumerate(vectors.offsets[:-1]):
            rows = vectors.vectors(i)
            copy = encode([rows], "int8", dim=vectors.dim)
            restored = copy.codes * copy.scales.astype(np.float64)
            codes[first : first + len(rows)], scales[i] = copy.codes, copy.scales[0]
            residual_norms[i], row_norms[i] = _largest_norm(rows - restored), _largest_norm(restored)
        return dict(zip(self.column_names, (codes, scales, residual_norms, row_norms), strict=True))

    def shortlist(
        self, query: NDArray[np.float32], view: VectorView, selections: Sequence[Selection], *, n: int
    ) -> list[Selection]:
        """The selected rows that can be among the `n` best, ties included; at least those `n`."""
        del view
        if not selections:
            return []
        parts: list[tuple[MultiVectors, NDArray[np.int64]]] = []
        bounds: list[Slack] = []
        for part, rows in selections:
            copy, residual_norms, row_norms = self._copy(part)
            parts.append((copy, rows))
            bounds.append(slack(query, residual_norms[rows], row_norms[rows]))
        screened = [scores[0] for scores in self._kernel.scores_each([query], parts)]
        scores = np.concatenate(screened).astype(np.float64)  # −inf for a unit without vectors
        rounding = np.concatenate([one.rounding for one in bounds])
        highest = scores + np.concatenate([one.screening for one in bounds]) + rounding

        keep = np.isfinite(scores)
        if n < np.count_nonzero(keep):
            first = np.zeros(len(scores), bool)
            first[np.argpartition(-scores, n - 1)[:n]] = True
            exact = np.concatenate(exact_scores(self._kernel, query, masked(selections, first)))
            # Scored again, these may come out lower by what both sums lose; rankings round once more.
            reached = (exact - 2 * rounding[first]).min() - 10.0**-SCORE_DIGITS
            keep &= (highest >= reached) | first
        return masked(selections, keep)

    def _copy(self, part: VectorPart) -> tuple[MultiVectors, NDArray[np.float32], NDArray[np.float32]]:
        codes, scales, residual_norms, row_norms = self._stored.of(part, self.column_names)
        vectors = part.vectors
        copy = MultiVectors(codes, vectors.offsets, scales, "int8", vectors.dim)
        return copy, residual_norms, row_norms


def _largest_norm(rows: NDArray[np.float64]) -> np.float32:
    """The largest Euclidean norm of rows, as the next larger float32; 0 without rows."""
    largest = np.linalg.norm(rows, axis=1).max(initial=0.0)
    return np.nextafter(np.float32(largest), np.float32(np.inf)) if largest else np.float32(0)
