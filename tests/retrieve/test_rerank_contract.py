"""What every reranker and filter promises."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from tests.retrieve.rerank_fakes import (
    BEST_FIRST,
    CORPUS,
    PAGES,
    BrokenScorer,
    FakeChat,
    ListScorer,
    candidates,
    failing,
    keep_all_reply,
    logprobs_reply,
    order_reply,
    verdict_reply,
)

from docrag.chat.model import Reply
from docrag.chat.prompts import Prompts
from docrag.errors import ContextOverflow, ModelUnavailable
from docrag.retrieve.cutoff.adaptive import AdaptiveCutoff
from docrag.retrieve.rerank.cache import MemoryCache
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.consistency_filter import ConsistencyFilter
from docrag.retrieve.rerank.judging import Judge
from docrag.retrieve.rerank.listwise import ListwiseReranker
from docrag.retrieve.rerank.pointwise import PointwiseScorer
from docrag.retrieve.rerank.relevance import RelevanceScorer
from docrag.retrieve.rerank.relevance_filter import RelevanceFilter
from docrag.retrieve.rerank.relevance_reranker import RelevanceReranker
from docrag.retrieve.rerank.reranked import RerankStep
from docrag.retrieve.rerank.shown import Views
from docrag.types import Fused, Query

QUESTION = Query("Where is the gold?")
PROMPTS = Prompts()
MakeStep = Callable[..., RerankStep]


def judge(scorer: RelevanceScorer, **budget: Any) -> Judge:
    return Judge(scorer, Views(CORPUS), MemoryCache(), lambda cancelled: Calls(cancelled, **budget))


def pointwise(reply: Any = logprobs_reply, *, n_head: int = 20, **budget: Any) -> RerankStep:
    scorer = PointwiseScorer(FakeChat(reply), PROMPTS, n_parallel=1)
    return RelevanceReranker(judge(scorer, **budget), n_head=n_head)


def scored(*, n_head: int = 20, broken: bool = False, **budget: Any) -> RerankStep:
    scorer = BrokenScorer(raises=True) if broken else ListScorer()
    return RelevanceReranker(judge(scorer, **budget), n_head=n_head)


def filtered(*, n_head: int = 20, broken: bool = False, **budget: Any) -> RerankStep:
    scorer = BrokenScorer(raises=True) if broken else ListScorer()
    cutoff = AdaptiveCutoff(0.4, max_kept=20, min_kept=1)
    return RelevanceFilter(judge(scorer, **budget), cutoff, n_head=n_head)


def listwise(reply: Any = order_reply, *, n_head: int = 20, **budget: Any) -> RerankStep:
    return ListwiseReranker(
        FakeChat(reply), PROMPTS.get("rerank_listwise"), Views(CORPUS), cache=MemoryCache(),
        make_calls=lambda cancelled: Calls(cancelled, **budget),
        n_head=n_head, window=4, stride=2, n_parallel=1,
    )  # fmt: skip


def consistency(reply: Any = keep_all_reply, *, n_head: int = 20, **budget: Any) -> RerankStep:
    return ConsistencyFilter(
        FakeChat(reply), PROMPTS.get("rerank_consistency"), Views(CORPUS), cache=MemoryCache(),
        make_calls=lambda cancelled: Calls(cancelled, **budget), n_head=n_head,
    )  # fmt: skip


GONE = failing(ModelUnavailable("nobody there"))
TOO_LONG = failing(ContextOverflow("too long"))


def nonsense(*_: Any) -> Reply:
    return Reply("I would rather talk about the weather.")


STEPS: dict[str, MakeStep] = {
    "pointwise": pointwise,
    "pointwise, verdicts": lambda **more: pointwise(verdict_reply, **more),
    "scored": scored,
    "listwise": listwise,
    "relevance filter": filtered,
    "consistency filter": consistency,
}
SORTING = ["pointwise", "pointwise, verdicts", "scored", "listwise"]
FAILING: dict[str, MakeStep] = {
    **{f"pointwise, {name}": lambda reply=reply, **more: pointwise(reply, **more)
       for name, reply in (("gone", GONE), ("too long", TOO_LONG), ("nonsense", nonsense))},
    **{f"listwise, {name}": lambda reply=reply, **more: listwise(reply, **more)
       for name, reply in (("gone", GONE), ("too long", TOO_LONG), ("nonsense", nonsense))},
    **{f"consistency, {name}": lambda reply=reply, **more: consistency(reply, **more)
       for name, reply in (("gone", GONE), ("too long", TOO_LONG), ("nonsense", nonsense))},
    "scored": lambda **more: scored(broken=True, **more),
    "relevance filter": lambda **more: filtered(broken=True, **more),
}  # fmt: skip
every_step = pytest.mark.parametrize("make", STEPS.values(), ids=STEPS.keys())
every_sorting_step = pytest.mark.parametrize("make", [STEPS[name] for name in SORTING], ids=SORTING)
every_failing_step = pytest.mark.parametrize("make", FAILING.values(), ids=FAILING.keys())


def check_promises(step: RerankStep, given: list[Fused]) -> None:
    result = step.rerank(QUESTION, given)
    units = [item.unit for item in result.ranking]
    cut = [cut.unit for cut in result.cuts]
    assert sorted(units + cut) == sorted(item.unit for item in given)
    assert all(cut.reason and cut.ranking == step.name for cut in result.cuts)
    scores = [item.score for item in result.ranking]
    assert scores == sorted(scores, reverse=True)
    before = {item.unit: item for item in given}
    for item in result.ranking:
        assert item.sources.items() >= before[item.unit].sources.items()
        assert item.sources.keys() - before[item.unit].sources.keys() <= {step.name}
    assert set(scores) <= {item.score for item in given}


@every_step
@pytest.mark.parametrize("n_head", [2, 3, 20])
@pytest.mark.parametrize("units", [PAGES, BEST_FIRST, PAGES[:1], []], ids=["worst", "best", "one", "none"])
def test_every_unit_is_there_or_cut_with_its_sources_and_in_order(make: MakeStep, n_head: int, units: list):
    check_promises(make(n_head=n_head), candidates(units))


@every_step
@pytest.mark.parametrize("units", [PAGES[:1], []])
def test_one_unit_or_none_is_no_reason_to_warn(make: MakeStep, units: list):
    result = make().rerank(QUESTION, candidates(units))
    assert ([item.unit for item in result.ranking], result.warnings) == (units[: len(result.ranking)], ())


@every_step
def test_an_empty_question_changes_nothing_and_costs_nothing(make: MakeStep):
    result = make().rerank(Query("  "), candidates())
    assert (result.ranking, result.cuts, result.usage) == (candidates(), (), ())


@every_sorting_step
def test_the_best_come_first_whatever_the_order_before(make: MakeStep):
    for units in itertools.islice(itertools.permutations(PAGES), 0, 120, 23):
        result = make().rerank(QUESTION, candidates(units))
        head = [item.unit for item in result.ranking]
        if make is listwise:  # one pass of windows makes sure of as many places as two of them share
            assert head[:2] == BEST_FIRST[:2]
        else:
            assert head == BEST_FIRST


@every_step
def test_equal_fused_scores_are_no_trouble(make: MakeStep):
    check_promises(make(), [item._replace(score=1.0) for item in candidates()])


@every_step
def test_a_budget_of_one_call_loses_nothing(make: MakeStep):
    step = make(max_calls=1)
    check_promises(step, candidates())
    result = make(max_calls=1).rerank(QUESTION, candidates())
    assert len(result.usage) <= 1
    if step.name != "consistency filter":  # it makes but one
        assert "all 1 calls are used (max_calls)" in result.warnings[-1]


@every_failing_step
def test_a_failure_leaves_the_fused_order_with_one_warning(make: MakeStep):
    result = make().rerank(QUESTION, candidates())
    assert (result.ranking, result.cuts) == (candidates(), ())
    assert len(result.warnings) == 1


@every_failing_step
def test_a_failure_is_not_remembered(make: MakeStep):
    step = make()
    assert step.rerank(QUESTION, candidates()).warnings == step.rerank(QUESTION, candidates()).warnings
