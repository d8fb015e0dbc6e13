"""Keep the pages that make sense together: one call that sees all of them (MMKB-RAG, 2504.10074)."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from docrag.chat.events import SILENCE, Listener, StepEvent
from docrag.chat.fence import MakeMarker, random_marker
from docrag.chat.model import Chat
from docrag.chat.prompts import Prompt
from docrag.errors import BudgetExceeded, ModelError
from docrag.retrieve.cutoff.cut import Cut
from docrag.retrieve.rerank.cache import Cache, cached
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.judging import MakeCalls
from docrag.retrieve.rerank.relevance_filter import unseen
from docrag.retrieve.rerank.reranked import Reranked, describe, how_many
from docrag.retrieve.rerank.shown import Shown, Views
from docrag.retrieve.rerank.together import key_of, messages_of, shown_of
from docrag.types import Fused, Query, SourceScore

REASON_CHARS = 200


class LeftOut(BaseModel):
    """A page that does not fit, and why."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    page: int
    why: str = ""


class Subset(BaseModel):
    """Which pages fit together; the others say why they do not."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    keep: list[int]
    left_out: list[LeftOut] = Field(default_factory=list[LeftOut])


class ConsistencyFilter:
    """Shows the first `n_head` units to a chat model at once and keeps the coherent subset that it chooses.

    Order and scores of what is kept do not change. Everything else is cut with the model's reason, and what
    lies beyond `n_head`, which nobody looked at, too. A choice of nothing, of unknown pages only, or a call
    that fails leaves the ranking whole, with a warning. The prompt is ``rerank_consistency``.
    """

    name = "consistency filter"

    def __init__(
        self,
        chat: Chat,
        prompt: Prompt,
        views: Views,
        *,
        cache: Cache,
        make_calls: MakeCalls = Calls,
        n_head: int = 8,
        timeout_s: float | None = 60.0,
        make_marker: MakeMarker = random_marker,
    ) -> None:
        self._chat = chat
        self._prompt = prompt
        self._views = views
        self._cache = cache
        self._make_calls = make_calls
        self._n_head = n_head
        self._timeout_s = timeout_s
        self._make_marker = make_marker

    def rerank(self, query: Query, candidates: Sequence[Fused], *, listener: Listener = SILENCE) -> Reranked:
        """Return those of `candidates` that fit together."""
        question = query.text.strip()
        head, tail = candidates[: self._n_head], candidates[self._n_head :]
        if not question or len(head) < 2:
            return Reranked(list(candidates))
        listener.on_event(StepEvent(self.name, f"choosing among {how_many(head)}"))
        calls = self._make_calls(listener.cancelled)
        shown, failed = shown_of(self._views, head)
        pages = list(shown.values())
        warnings = [
            f"{self.name}: {describe(head[place].unit)} stays unseen: {error}"
            for place, error in failed.items()
        ]
        subset = self._choose(question, pages, calls) if len(pages) > 1 else None
        if not isinstance(subset, Subset):
            if subset is not None:
                warnings.append(f"{self.name}: {subset}; nothing is left out")
            return Reranked(list(candidates), warnings=tuple(warnings), usage=calls.usage)
        reasons = {
            pages[entry.page - 1].unit: " ".join(entry.why.split())[:REASON_CHARS]
            for entry in subset.left_out
            if 1 <= entry.page <= len(pages)
        }
        kept_units = {pages[n - 1].unit for n in subset.keep}
        seen = {page.unit for page in pages}
        kept: list[Fused] = []
        cuts: list[Cut] = []
        for rank, item in enumerate(head, 1):
            if item.unit in kept_units or item.unit not in seen:
                kept.append(item)
            else:
                why = reasons.get(item.unit) or "not part of the coherent subset"
                cuts.append(Cut(item.unit, self.name, rank, item.score, why))
        seen_ranks = {unit: rank for rank, unit in enumerate((i.unit for i in kept if i.unit in seen), 1)}
        return Reranked(
            [
                Fused(
                    item.unit,
                    item.score,
                    {**item.sources, self.name: SourceScore(seen_ranks[item.unit], 1.0)},
                )
                if item.unit in seen
                else item
                for item in kept
            ],
            cuts=(*cuts, *unseen(self.name, tail, self._n_head)),
            warnings=tuple(warnings),
            usage=calls.usage,
            detail={"n_judged": len(pages), "n_kept": len(kept)},
        )

    def _choose(self, question: str, pages: Sequence[Shown], calls: Calls) -> Subset | str:
        """The model's choice, with ids that exist and each once; or what went wrong."""
        key = key_of(self.name, self._chat, self._prompt, question, pages)
        known = cached(self._cache, key, lambda text: _read_subset(text, len(pages)))
        if known is not None:
            return known
        try:
            messages = messages_of(self._prompt, pages, self._make_marker(), question=question)
            chosen = calls.ask_for(self._chat, messages, Subset, timeout_s=self._timeout_s)
        except (ModelError, BudgetExceeded) as error:
            return str(error)
        keep = [n for n in dict.fromkeys(chosen.keep) if 1 <= n <= len(pages)]
        if not keep:
            return f"the model kept {chosen.keep} of {len(pages)} pages"
        subset = Subset(keep=keep, left_out=chosen.left_out)
        self._cache.put(key, subset.model_dump_json())
        return subset


def _read_subset(text: str, n: int) -> Subset:
    """The choice that a cache holds; raises ValueError unless it keeps some of the pages 1 to `n`."""
    subset = Subset.model_validate_json(text)
    if not subset.keep or not 1 <= min(subset.keep) <= max(subset.keep) <= n:
        raise ValueError(f"kept are the pages {subset.keep}, expected some of 1 to {n}")
    return subset
