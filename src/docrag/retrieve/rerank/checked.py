"""A reranker from anywhere, held to its contract."""

from __future__ import annotations

import math
from collections.abc import Sequence

from docrag.chat.events import SILENCE, Listener, StepEvent
from docrag.errors import Cancelled, ConfigError, DocragError
from docrag.protocols import Reranker
from docrag.retrieve.rerank.reranked import Reranked, describe, how_many
from docrag.types import Fused, Query


class CheckedReranker:
    """Makes a step of a `docrag.protocols.Reranker`.

    When it fails, or returns other units than it was given, one twice, or a score that is not finite, the
    order stays as it was, with a warning. It knows no listener: a search that is called off ends after it.
    """

    def __init__(self, reranker: Reranker) -> None:
        self._reranker = reranker
        self.name = type(reranker).__name__

    def rerank(self, query: Query, candidates: Sequence[Fused], *, listener: Listener = SILENCE) -> Reranked:
        """Return all of `candidates`, in the order that the reranker returned."""
        listener.on_event(StepEvent(self.name, f"reranking {how_many(candidates)}"))
        try:
            ranking = self._reranker.rerank(query, candidates)
        except (Cancelled, ConfigError):
            raise
        except DocragError as error:
            return self._unchanged(candidates, str(error))
        problem = contract_broken(candidates, ranking)
        if problem:
            return self._unchanged(candidates, problem)
        return Reranked(list(ranking))

    def _unchanged(self, candidates: Sequence[Fused], problem: str) -> Reranked:
        return Reranked(list(candidates), warnings=(f"{self.name}: {problem}; the order stays as it was",))


def contract_broken(given: Sequence[Fused], got: Sequence[Fused]) -> str:
    """Say how `got` is no reordering of `given`; empty when it is one."""
    known = {item.unit for item in given}
    units = [item.unit for item in got]
    if unknown := [unit for unit in units if unit not in known]:
        return f"returned {describe(unknown[0])}, which it was not given"
    if len(set(units)) < len(units):
        twice = next(unit for unit in units if units.count(unit) > 1)
        return f"returned {describe(twice)} more than once"
    if missing := known - set(units):
        return f"returned {len(units)} of {len(known)} units; {describe(min(missing))} is missing"
    if bad := [item for item in got if not math.isfinite(item.score)]:
        return f"gave {describe(bad[0].unit)} the score {bad[0].score}, expected a finite number"
    return ""
