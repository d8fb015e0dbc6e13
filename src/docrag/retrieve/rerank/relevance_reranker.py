"""Reorder the head of a ranking by the relevance of each of its pages to the question."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.chat.events import SILENCE, Listener, StepEvent
from docrag.retrieve.rerank.judging import Judge, best_first
from docrag.retrieve.rerank.reranked import Reranked, how_many, placed
from docrag.types import Fused, Query, SourceScore


class RelevanceReranker:
    """Sorts the first `n_head` units by what a judge says of each; the others follow in their old order.

    The order in which the head is given makes no difference unless a budget ends or a page fails.
    """

    def __init__(self, judge: Judge, *, n_head: int = 20) -> None:
        self._judge = judge
        self._n_head = n_head
        self.name = judge.name

    def rerank(self, query: Query, candidates: Sequence[Fused], *, listener: Listener = SILENCE) -> Reranked:
        """Return all of `candidates`; every judged unit has its rank and relevance as a source."""
        question = query.text.strip()
        head, tail = candidates[: self._n_head], candidates[self._n_head :]
        if not question or not head:
            return Reranked(list(candidates))
        listener.on_event(StepEvent(self.name, f"reranking {how_many(head)}"))
        calls = self._judge.make_calls(listener.cancelled)
        judged = self._judge.judge(question, head, calls)
        warnings = judged.warnings(self.name)
        if judged.fallback:
            return Reranked(list(candidates), warnings=warnings, usage=calls.usage)
        ordered = best_first(head, judged)
        opinions = {
            item.unit: SourceScore(rank, judged.relevances[item.unit].score)
            for rank, item in enumerate((i for i in ordered if i.unit in judged.relevances), 1)
        }
        return Reranked(
            [*placed(ordered, head, opinions, name=self.name), *tail],
            warnings=warnings,
            usage=calls.usage,
            detail=judged.detail(),
        )
