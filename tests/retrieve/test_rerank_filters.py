"""Filters by relevance and by consistency: what stays, what is cut, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.retrieve.rerank_fakes import (
    BEST_FIRST,
    CORPUS,
    PAGES,
    DamagedCache,
    FakeChat,
    FakePictures,
    ListScorer,
    candidates,
)

from docrag.chat.messages import Message
from docrag.chat.model import Reply, Request
from docrag.chat.prompts import Prompts
from docrag.errors import ModelError
from docrag.protocols import Cutoff
from docrag.retrieve.cutoff.adaptive import AdaptiveCutoff
from docrag.retrieve.cutoff.largest_gap import LargestGapCutoff
from docrag.retrieve.rerank.cache import MemoryCache
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.consistency_filter import ConsistencyFilter
from docrag.retrieve.rerank.judging import Judge
from docrag.retrieve.rerank.relevance_filter import RelevanceFilter
from docrag.retrieve.rerank.shown import Views
from docrag.types import Query, SourceScore

QUESTION = Query("Where is the gold?")


def relevance_filter(
    cutoff: Cutoff,
    *,
    n_head: int = 20,
    scorer: ListScorer | None = None,
    views: Views | None = None,
    **budget: Any,
) -> RelevanceFilter:
    judge = Judge(
        scorer or ListScorer(),
        views or Views(CORPUS),
        MemoryCache(),
        lambda cancelled: Calls(cancelled, **budget),
    )
    return RelevanceFilter(judge, cutoff, n_head=n_head)


def test_pages_below_the_threshold_are_cut_with_a_reason():
    result = relevance_filter(AdaptiveCutoff(0.4, max_kept=5)).rerank(QUESTION, candidates())
    assert [item.unit for item in result.ranking] == BEST_FIRST[:3]
    assert [item.score for item in result.ranking] == [0.0, -1.0, -2.0]
    assert result.ranking[0].sources == {"bm25": SourceScore(5, 6.0), "list filter": SourceScore(1, 0.9)}
    assert [(cut.unit, cut.ranking, cut.rank, cut.score, cut.reason) for cut in result.cuts] == [
        (BEST_FIRST[3], "list filter", 4, 0.2, "scores less than 0.4"),
        (BEST_FIRST[4], "list filter", 5, 0.1, "scores less than 0.4"),
    ]


def test_at_most_k_stay_however_relevant_they_are():
    result = relevance_filter(AdaptiveCutoff(0.4, max_kept=2)).rerank(QUESTION, candidates())
    assert [item.unit for item in result.ranking] == BEST_FIRST[:2]
    assert {cut.reason for cut in result.cuts} == {"beyond the first 2"}


def test_none_stays_when_none_is_relevant():
    result = relevance_filter(AdaptiveCutoff(0.95, max_kept=5)).rerank(QUESTION, candidates())
    assert result.ranking == []
    assert [cut.rank for cut in result.cuts] == [1, 2, 3, 4, 5]


def test_any_cut_off_may_decide():
    result = relevance_filter(LargestGapCutoff()).rerank(QUESTION, candidates())  # 9 7 | 4 2 1
    assert [item.unit for item in result.ranking] == BEST_FIRST[:2]


def test_what_nobody_looked_at_is_cut_too():
    result = relevance_filter(AdaptiveCutoff(0.0, max_kept=9), n_head=3).rerank(QUESTION, candidates())
    assert [item.unit for item in result.ranking] == [PAGES[2], PAGES[1], PAGES[0]]
    assert [(cut.unit, cut.rank, cut.score, cut.reason) for cut in result.cuts] == [
        (PAGES[3], 4, -3.0, "beyond the first 3, which are judged"),
        (PAGES[4], 5, -4.0, "beyond the first 3, which are judged"),
    ]


def test_what_could_not_be_judged_stays_after_what_is_relevant():
    result = relevance_filter(
        AdaptiveCutoff(0.15, max_kept=9),
        scorer=ListScorer({"page with lead": ModelError("refused")}),
        views=Views(CORPUS, FakePictures(PAGES[4].page), show="both"),
        max_calls=3,
    ).rerank(QUESTION, candidates())
    # Lead is refused, tin and bronze are judged, silver is beyond three calls, gold has no picture.
    assert [item.unit for item in result.ranking] == [PAGES[2], PAGES[1], PAGES[0], PAGES[3], PAGES[4]]
    assert result.cuts == ()
    assert len(result.warnings) == 2


# ── consistency ──────────────────────────────────────────────────────────────────────────────────────────


def consistency(
    text: str | list[str], *, n_head: int = 20, **more: Any
) -> tuple[ConsistencyFilter, FakeChat]:
    replies = [text] if isinstance(text, str) else list(text)

    def reply(messages: Sequence[Message], request: Request) -> Reply:
        return Reply(replies.pop(0) if len(replies) > 1 else replies[0])

    chat = FakeChat(reply)
    views = more.pop("views", Views(CORPUS))
    step = ConsistencyFilter(
        chat,
        Prompts().get("rerank_consistency"),
        views,
        cache=more.pop("cache", MemoryCache()),
        n_head=n_head,
        **more,
    )
    return step, chat


def test_the_coherent_subset_stays_in_its_order_and_the_others_say_why():
    step, _ = consistency(
        '{"keep": [4, 1], "left_out": [{"page": 2, "why": "another\\n year"}, {"page": 99}]}'
    )
    result = step.rerank(QUESTION, candidates())
    assert [(item.unit, item.score) for item in result.ranking] == [(PAGES[0], 0.0), (PAGES[3], -3.0)]
    assert result.ranking[1].sources == {"bm25": SourceScore(4, 7.0), step.name: SourceScore(2, 1.0)}
    assert [(cut.unit, cut.rank, cut.score, cut.reason) for cut in result.cuts] == [
        (PAGES[1], 2, -1.0, "another year"),
        (PAGES[2], 3, -2.0, "not part of the coherent subset"),
        (PAGES[4], 5, -4.0, "not part of the coherent subset"),
    ]


def test_what_the_filter_does_not_show_is_cut():
    step, _ = consistency('{"keep": [1, 2]}', n_head=2)
    result = step.rerank(QUESTION, candidates())
    assert [item.unit for item in result.ranking] == PAGES[:2]
    assert {cut.reason for cut in result.cuts} == {"beyond the first 2, which are judged"}


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ('{"keep": []}', "the model kept [] of 5 pages"),
        ('{"keep": [0, 6]}', "the model kept [0, 6] of 5 pages"),
        ("all of them", "there is no JSON object in the reply"),
        ('{"keep": "all"}', "keep"),
    ],
)
def test_a_choice_that_cannot_be_used_leaves_everything(reply: str, problem: str):
    step, _ = consistency(reply)
    result = step.rerank(QUESTION, candidates())
    assert (result.ranking, result.cuts) == (candidates(), ())
    (warning,) = result.warnings
    assert problem in warning
    assert warning.endswith("nothing is left out")


def test_a_faulty_reply_is_returned_once():
    step, chat = consistency(["what?", '{"keep": [2, 2, 7]}'])
    result = step.rerank(QUESTION, candidates())
    assert [item.unit for item in result.ranking] == [PAGES[1]]
    assert len(chat.requests) == len(result.usage) == 2


def test_a_page_without_a_picture_stays_unseen():
    views = Views(CORPUS, FakePictures(PAGES[0].page), show="both")
    step, chat = consistency('{"keep": [1]}', views=views)
    result = step.rerank(QUESTION, candidates())
    assert [item.unit for item in result.ranking] == PAGES[:2]
    assert len(chat.conversations[0][-1].images) == 4
    assert "a.pdf p. 1 stays unseen" in result.warnings[0]


def test_an_equal_choice_is_made_once():
    cache = MemoryCache()
    first, chat = consistency('{"keep": [3], "left_out": [{"page": 1, "why": "no"}]}', cache=cache)
    second, other = consistency('{"keep": [1]}', cache=cache)
    assert first.rerank(QUESTION, candidates()).cuts == second.rerank(QUESTION, candidates()).cuts
    assert (len(chat.requests), len(other.requests)) == (1, 0)


@pytest.mark.parametrize(
    "damaged", ['{"keep": [1', "[1]", '{"keep": []}', '{"keep": [6]}', '{"keep": [0]}', '{"keep": null}']
)
def test_a_choice_of_the_cache_that_cannot_be_read_is_made_anew(damaged: str):
    cache = DamagedCache(damaged)
    for n_asked in (1, 0):
        step, chat = consistency('{"keep": [3]}', cache=cache)
        assert [item.unit for item in step.rerank(QUESTION, candidates()).ranking] == [PAGES[2]]
        assert len(chat.requests) == n_asked


def test_pages_are_numbered_and_fenced():
    step, chat = consistency('{"keep": [1]}', make_marker=lambda: "MARK")
    step.rerank(QUESTION, candidates())
    text = chat.conversations[0][-1].text
    assert "<<<MARK [5]\npage with gold" in text
    assert "Question: Where is the gold?" in text
