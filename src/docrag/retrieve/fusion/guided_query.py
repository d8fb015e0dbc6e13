"""Guided Query Refinement (arXiv 2510.05038): move a query's vectors until two retrievers agree more.

The primary retriever's query vectors are the variable, everything else is fixed: gradient steps lower the
divergence of its softmax over a few pooled pages from the mean of its own and the other retriever's. Pages
are then ranked by the primary's MaxSim alone, so a weak second retriever is filtered, not averaged in.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from docrag.retrieve.fusion.normalise import softmax

Target = Literal["fixed", "moving"]
"""The mean with the primary's first softmax throughout (released code), or with its current one (paper)."""

ADAM_DECAYS = 0.9, 0.999
"""Of the first and second moment (Kingma & Ba 2015)."""

ADAM_EPSILON = 1e-8

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Refined:
    """Query vectors after `n_steps`, MaxSim of the pages with them, their probabilities before and after."""

    vectors: Floats
    scores: Floats
    before: Floats
    after: Floats
    n_steps: int


class Met(NamedTuple):
    """MaxSim ``(n_pages,)``, and what each query vector met, ``(n_pages, n_query_vectors, dim)``."""

    scores: Floats
    vectors: Floats


class Pages:
    """The pooled pages, ``(n_vectors, dim)`` each, in one matrix: one product with a query does for all.

    The matrix has a page vector in each column. Many small queries are multiplied with it, for which that
    layout is more than twice as fast as rows.
    """

    def __init__(self, pages: Sequence[Floats]) -> None:
        self._pages = tuple(pages)
        ends = list(itertools.accumulate(len(page) for page in pages))
        self._spans = list(itertools.pairwise([0, *ends]))
        self._columns = np.empty((pages[0].shape[1], ends[-1]), np.result_type(*pages))
        for page, (first, end) in zip(pages, self._spans, strict=True):
            self._columns[:, first:end] = page.T

    def __len__(self) -> int:
        return len(self._pages)

    def meet(self, query: Floats) -> Met:
        """MaxSim of a query ``(n_query_vectors, dim)``; of vectors equally near, the first is met."""
        products = query @ self._columns
        nearest = [products[:, first:end].argmax(axis=1) for first, end in self._spans]
        places = np.stack(nearest, axis=1) + np.array([first for first, _ in self._spans])
        scores = np.take_along_axis(products, places, axis=1).sum(axis=0)
        return Met(scores, np.stack([page[met] for page, met in zip(self._pages, nearest, strict=True)]))


def divergence_gradient(met: Met, target: Floats, *, temperature: float) -> Floats:
    """Gradient by the query vectors of the divergence of ``softmax(MaxSim / temperature)`` from `target`.

    Kullback-Leibler, in nats; ``(n_query_vectors, dim)``. The softmax contributes ``(p - target) /
    temperature`` a page, MaxSim the page vector that each query vector met: a subgradient where two are
    equally near.
    """
    by_score = (softmax_of(met.scores, temperature) - target) / temperature
    return np.tensordot(by_score.astype(met.vectors.dtype), met.vectors, axes=1)


def softmax_of(scores: Floats, temperature: float) -> NDArray[np.float64]:
    """Page probabilities ``(n_pages,)`` of scores."""
    scaled = np.asarray(scores, np.float64) / temperature
    return softmax(scaled, scaled)


def refine(
    query: Floats,
    pages: Sequence[Floats],
    guide: Floats,
    *,
    n_steps: int = 25,
    learning_rate: float = 1e-3,
    temperature: float = 1.0,
    target: Target = "fixed",
) -> Refined:
    """Take up to `n_steps` of Adam towards the consensus with `guide`, the second retriever's probabilities.

    The moving target counts as constant in each step's gradient. Either way the steps end before the
    probabilities have moved farther, in total variation, than the first consensus lies from where they began:
    what lies beyond is not agreement but the second retriever's opinion.

    Parameters
    ----------
    query, pages
        ``(n_query_vectors, dim)``, and ``(n_vectors, dim)`` for each page.
    guide
        ``(n_pages,)``, sums to 1.
    """
    if len(guide) != len(pages) or not pages:
        raise ValueError(f"got {len(guide)} probabilities for {len(pages)} pages, expected one for each")
    pooled = Pages(pages)
    vectors, met = query, pooled.meet(query)
    before = now = softmax_of(met.scores, temperature)
    consensus = (before + guide) / 2
    farthest = float(np.abs(consensus - before).sum())
    first_moment, second_moment = np.zeros_like(vectors), np.zeros_like(vectors)
    for step in range(1, n_steps + 1):
        aim = consensus if target == "fixed" else (now + guide) / 2
        gradient = divergence_gradient(met, aim, temperature=temperature)
        first_moment += (1 - ADAM_DECAYS[0]) * (gradient - first_moment)
        second_moment += (1 - ADAM_DECAYS[1]) * (gradient**2 - second_moment)
        unbiased = first_moment / (1 - ADAM_DECAYS[0] ** step)
        spread = np.sqrt(second_moment / (1 - ADAM_DECAYS[1] ** step))
        moved = vectors - learning_rate * unbiased / (spread + ADAM_EPSILON)
        then = pooled.meet(moved)
        probabilities = softmax_of(then.scores, temperature)
        if np.abs(probabilities - before).sum() > farthest:
            return Refined(vectors, met.scores, before, now, step - 1)
        vectors, met, now = moved, then, probabilities
    return Refined(vectors, met.scores, before, now, n_steps)
