"""What an exact scan costs, as measured, to decide whether a shortlist is worth its misses."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import VectorType
from docrag.late_interaction.view import Selection

QUICK_S = 0.5
"""An exact scan that takes no longer than this, as estimated, is made: its ranking misses nothing."""

NS_PER_VECTOR: dict[str, dict[VectorType, float]] = {
    "torch": {"float32": 65, "float16": 90, "int8": 25, "4-bit": 40, "residual": 155, "1-bit": 30},
    "numpy": {"float32": 105, "float16": 155, "int8": 115, "4-bit": 155, "residual": 280, "1-bit": 135},
}
"""Nanoseconds per stored vector of dimension 128 and a query of 20 vectors, on two cores of a 2023 server
(eval/maxsim_speed.py). A ranking must not depend on how busy a machine is, so they are not measured anew."""


def exact_scan_s(kernel: MaxSim, selections: Sequence[Selection]) -> float:
    """Estimated seconds of an exact scan of the selected rows."""
    of_type = NS_PER_VECTOR[kernel.backend]
    return sum(
        of_type[part.vectors.vector_type] * 1e-9 * part.vectors.dim / 128 * part.vectors.n_vectors[rows].sum()
        for part, rows in selections
    )
