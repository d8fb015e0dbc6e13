"""Guided query refinement of a fused ranking: the visual query is moved, then it ranks the pooled pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from docrag.protocols import QueryVectors, VectorIndex
from docrag.retrieve.fusion.guided_query import Target, refine, softmax_of
from docrag.types import Fused, Query, Scored, SourceScore, ranked


class LateInteraction(NamedTuple):
    """What the primary retriever compares: its encoder of questions, and its vectors of units."""

    encode: Callable[[str], QueryVectors]
    vectors: VectorIndex


class GuidedRefiner:
    """Reorders the units that the primary or another retriever has among its first `n_pool`.

    They share out the places and fused scores that they hold, so units without vectors stay where they are.
    The ranking is left as it is where there is nothing to agree on: fewer than two pooled units have vectors,
    or no other retriever knows one of them.
    """

    name = "guided query"

    def __init__(
        self,
        late_interaction: LateInteraction,
        *,
        primary: str = "visual",
        n_pool: int = 10,
        n_steps: int = 25,
        learning_rate: float = 1e-3,
        temperature: float = 1.0,
        target: Target = "fixed",
    ) -> None:
        self._encode, self._index = late_interaction
        self._primary = primary
        self._n_pool = n_pool
        self._n_steps = n_steps
        self._learning_rate = learning_rate
        self._temperature = temperature
        self._target: Target = target

    def rerank(self, query: Query, candidates: Sequence[Fused]) -> list[Fused]:
        """`candidates` with the pooled units in the order of the refined query's MaxSim."""
        view = self._index.view()
        pool: list[int] = []
        pages: list[NDArray[np.float32]] = []
        for place, candidate in enumerate(candidates):
            if any(source.rank <= self._n_pool for source in candidate.sources.values()):
                found = view.find(candidate.unit)
                if found is not None and len(vectors := found[0].vectors.vectors(found[1])):
                    pool.append(place)
                    pages.append(vectors)
        guide = self._guide([candidates[place] for place in pool])
        if len(pool) < 2 or guide is None:
            return list(candidates)
        refined = refine(
            self._encode(query.text.strip()).vectors,
            pages,
            guide,
            n_steps=self._n_steps,
            learning_rate=self._learning_rate,
            temperature=self._temperature,
            target=self._target,
        )
        by_unit = {candidates[place].unit: candidates[place] for place in pool}
        scored = [Scored(candidates[p].unit, s) for p, s in zip(pool, refined.scores.tolist(), strict=True)]
        result = list(candidates)
        for rank, (place, (unit, score)) in enumerate(zip(pool, ranked(scored), strict=True), 1):
            sources = {**by_unit[unit].sources, self.name: SourceScore(rank, score)}
            result[place] = Fused(unit, candidates[place].score, sources)
        return result

    def _guide(self, pooled: Sequence[Fused]) -> NDArray[np.float64] | None:
        """Mean over the other retrievers of their softmax over the pool; None when none knows the pool.

        A unit that a retriever did not return counts as the last one that it did.
        """
        names = {name for unit in pooled for name in unit.sources} - {self._primary}
        opinions: list[NDArray[np.float64]] = []
        for name in sorted(names):
            known = [unit.sources[name].score for unit in pooled if name in unit.sources]
            scores = [u.sources[name].score if name in u.sources else min(known) for u in pooled]
            opinions.append(softmax_of(np.array(scores), self._temperature))
        return np.mean(opinions, axis=0) if opinions else None
