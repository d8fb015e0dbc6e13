"""Judge the head of a ranking: show the units, look into the cache, ask for the rest, and sort."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from docrag.errors import BudgetExceeded, DocragError, IngestError, ModelError, ModelUnavailable
from docrag.retrieve.rerank.cache import Cache, cache_key, cached
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.relevance import Relevance, RelevanceScorer
from docrag.retrieve.rerank.reranked import describe
from docrag.retrieve.rerank.shown import Shown, Views
from docrag.types import Fused, UnitRef

MakeCalls = Callable[[Callable[[], bool]], Calls]
"""Begins the budget of one reranking; given is what says whether the search was called off."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of the units of a head.

    `relevances` holds those that were judged, `failed` the others and why. With `fallback` none of it may be
    used: the model could not be asked, or nothing was judged.
    """

    relevances: Mapping[UnitRef, Relevance]
    failed: Mapping[UnitRef, DocragError]
    n_cached: int = 0
    fallback: str = ""

    @property
    def unaffordable(self) -> frozenset[UnitRef]:
        """Units that the budget did not reach."""
        return frozenset(u for u, error in self.failed.items() if isinstance(error, BudgetExceeded))

    def warnings(self, name: str) -> tuple[str, ...]:
        """Say what failed, and what that means for the order."""
        if self.fallback:
            return (f"{name}: {self.fallback}; the order of fusion stays",)
        unaffordable = self.unaffordable
        broken = [unit for unit in self.failed if unit not in unaffordable]
        warnings: list[str] = []
        if broken:
            warnings.append(
                f"{name}: {len(broken)} of {len(self.relevances) + len(self.failed)} results could not be"
                f" judged and keep their place; the first is {describe(broken[0])}: {self.failed[broken[0]]}"
            )
        if unaffordable:
            error = next(e for u, e in self.failed.items() if u in unaffordable)
            warnings.append(
                f"{name}: {error}; {len(unaffordable)} results are not judged"
                " and follow in the order of fusion"
            )
        return tuple(warnings)

    def detail(self) -> dict[str, object]:
        """For explaining: how many were judged, and every judged unit's logits."""
        logits = {
            describe(unit): [round(z, 4) for z in relevance.logits]
            for unit, relevance in self.relevances.items()
            if relevance.logits is not None
        }
        detail: dict[str, object] = {"n_judged": len(self.relevances), "n_cached": self.n_cached}
        return detail | ({"logits": logits} if logits else {})


@dataclass(frozen=True, slots=True)
class Judge:
    """A scorer, what it is shown, and what it said before."""

    scorer: RelevanceScorer
    views: Views
    cache: Cache
    make_calls: MakeCalls = field(default=Calls)

    @property
    def name(self) -> str:
        """Name of the scorer, under which its opinion stands in a hit's sources."""
        return self.scorer.name

    def judge(self, question: str, head: Sequence[Fused], calls: Calls) -> Judged:
        """Judge every unit of `head`, as far as the budget goes."""
        try:
            identity = self.scorer.identify(calls)
        except ModelError as error:
            return Judged({}, {}, fallback=str(error))
        found: dict[UnitRef, Relevance] = {}
        failed: dict[UnitRef, DocragError] = {}
        asked: dict[str, list[Shown]] = {}  # by key: equal pages are judged once
        for item in head:
            try:
                shown = self.views.shown(item.unit)
            except IngestError as error:
                failed[item.unit] = error
                continue
            key = cache_key(self.name, identity, question, shown.digest)
            known = cached(self.cache, key, Relevance.from_json)
            if known is None:
                asked.setdefault(key, []).append(shown)
            else:
                found[item.unit] = known
        n_cached = len(found)
        try:
            results = self._score(question, [alike[0] for alike in asked.values()], calls)
        except ModelError as error:
            return Judged({}, {}, fallback=str(error))
        for (key, alike), result in zip(asked.items(), results, strict=True):
            if isinstance(result, ModelUnavailable):
                return Judged({}, {}, fallback=str(result))
            if isinstance(result, DocragError):
                failed |= {shown.unit: result for shown in alike}
            else:
                found |= {shown.unit: result for shown in alike}
                self.cache.put(key, result.to_json())
        if failed and not found:
            return Judged({}, {}, fallback=str(next(iter(failed.values()))))
        return Judged(found, failed, n_cached)

    def _score(
        self, question: str, pages: Sequence[Shown], calls: Calls
    ) -> Sequence[Relevance | DocragError]:
        if not pages:
            return []
        results = self.scorer.score(question, pages, calls)
        if len(results) != len(pages):
            raise ModelError(f"got {len(results)} scores for {len(pages)} pages")
        return [
            ModelError(f"the score is {result.score}, expected a finite number")
            if isinstance(result, Relevance) and not math.isfinite(result.score)
            else result
            for result in results
        ]


def best_first(head: Sequence[Fused], judged: Judged) -> list[Fused]:
    """`head` by relevance; ties by fused score, which judges with few grades leave much to, then by unit.

    What the budget did not reach comes after what was judged, in its old order. What could not be judged for
    another reason stays at its place: that its picture cannot be made says nothing against a page.
    """
    unaffordable = judged.unaffordable
    scored = [item for item in head if item.unit in judged.relevances]
    scored.sort(key=lambda item: (*_descending(judged.relevances[item.unit]), -item.score, item.unit))
    moving = iter([*scored, *(item for item in head if item.unit in unaffordable)])
    stays = judged.failed.keys() - unaffordable
    return [item if item.unit in stays else next(moving) for item in head]


def _descending(relevance: Relevance) -> tuple[float, float]:
    return -relevance.score, -relevance.margin
