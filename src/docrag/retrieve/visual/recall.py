"""How much of the exact ranking a candidate stage keeps, over sampled queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.view import Selection, VectorView
from docrag.retrieve.visual.candidates import Candidates
from docrag.retrieve.visual.ranking import best_units, exact_scores
from docrag.types import UnitRef


class Recall(NamedTuple):
    """How much of the exact ranking a candidate stage keeps: means over sampled queries."""

    n_queries: int
    k: int
    recall: float
    needle_hit: float


def measure_recall(
    kernel: MaxSim,
    candidates: Candidates,
    view: VectorView,
    queries: Sequence[NDArray[np.float32]],
    *,
    n: int,
    k: int = 10,
) -> Recall:
    """Compare shortlist and exact rerank with the exact scan, over whole pages.

    `recall` is the share of the exact top `k` that is found; `needle_hit` how often the very best is in the
    first 5.
    """
    selections = view.select(view.documents, None, "page")
    recalls: list[float] = []
    hits: list[bool] = []
    for query in queries:
        exact = _top(kernel, query, view, selections, k)
        found = _top(kernel, query, view, candidates.shortlist(query, view, selections, n=n), k)
        recalls.append(len(set(exact) & set(found)) / max(len(exact), 1))
        hits.append(not exact or exact[0] in found[:5])
    return Recall(len(queries), k, float(np.mean(recalls)), float(np.mean(hits)))


def sample_queries(
    view: VectorView, *, n_queries: int, n_vectors: int = 20, seed: int = 0
) -> list[NDArray[np.float32]]:
    """Queries made of `n_vectors` stored vectors of one page each, where nobody has asked any yet.

    They are of images where questions are of words, so recall for them is an estimate. The pages are drawn
    without repetition, by `seed`; fewer queries than asked for where there are fewer pages with vectors.
    """
    random = np.random.default_rng(seed)
    pages = [
        (part, int(row))
        for part, rows in view.select(view.documents, None, "page")
        for row in rows
        if part.vectors.n_vectors[row]
    ]
    queries: list[NDArray[np.float32]] = []
    for place in random.permutation(len(pages))[:n_queries]:
        part, row = pages[place]
        vectors = part.vectors.vectors(row)
        queries.append(vectors[random.permutation(len(vectors))[:n_vectors]])
    return queries


def _top(
    kernel: MaxSim,
    query: NDArray[np.float32],
    view: VectorView,
    selections: Sequence[Selection],
    k: int,
) -> list[UnitRef]:
    scores = exact_scores(kernel, query, selections)
    return [scored.unit for scored in best_units(view, selections, scores, k=k)]
