"""Keep only pages that are relevant enough (MMKB-RAG, 2504.10074; 2501.04695)."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.chat.events import SILENCE, Listener, StepEvent
from docrag.protocols import Cutoff
from docrag.retrieve.cutoff.cut import Cut, cut_ranking
from docrag.retrieve.rerank.judging import Judge, best_first
from docrag.retrieve.rerank.reranked import Reranked, how_many, placed
from docrag.types import Fused, Query, Scored, SourceScore


class RelevanceFilter:
    """Sorts the first `n_head` units by relevance and keeps those that `cutoff` keeps of their relevances.

    The others are cut, and so is everything beyond `n_head`, which nobody looked at. A unit that could not be
    judged, or that the budget did not reach, stays, after those that are relevant: nothing speaks against it.
    """

    def __init__(self, judge: Judge, cutoff: Cutoff, *, n_head: int = 20) -> None:
        self._judge = judge
        self._cutoff = cutoff
        self._n_head = n_head
        self.name = f"{judge.name} filter"

    def rerank(self, query: Query, candidates: Sequence[Fused], *, listener: Listener = SILENCE) -> Reranked:
        """Return the relevant ones of `candidates`; every judged unit has its relevance as a source."""
        question = query.text.strip()
        head, tail = candidates[: self._n_head], candidates[self._n_head :]
        if not question or not head:
            return Reranked(list(candidates))
        listener.on_event(StepEvent(self.name, f"judging {how_many(head)}"))
        calls = self._judge.make_calls(listener.cancelled)
        judged = self._judge.judge(question, head, calls)
        warnings = judged.warnings(self.name)
        if judged.fallback:
            return Reranked(list(candidates), warnings=warnings, usage=calls.usage)
        relevances = judged.relevances
        ordered = [item for item in best_first(head, judged) if item.unit in relevances]
        unknown = [item for item in head if item.unit not in relevances]
        scored = [Scored(item.unit, relevances[item.unit].score) for item in ordered]
        kept, cuts = cut_ranking(self.name, scored, self._cutoff)
        opinions = {unit: SourceScore(rank, score) for rank, (unit, score) in enumerate(scored, 1)}
        staying = [*ordered[: len(kept)], *unknown]
        return Reranked(
            placed(staying, head, opinions, name=self.name),
            cuts=(*cuts, *unseen(self.name, tail, self._n_head)),
            warnings=warnings,
            usage=calls.usage,
            detail=judged.detail(),
        )


def unseen(name: str, tail: Sequence[Fused], n_head: int) -> list[Cut]:
    """Cuts of what a filter does not look at."""
    reason = f"beyond the first {n_head}, which are judged"
    return [Cut(item.unit, name, rank, item.score, reason) for rank, item in enumerate(tail, n_head + 1)]
