"""Relevance by yes and no, the order that it gives, its cache, its budget, and what a failure does."""

from __future__ import annotations

import math
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.retrieve.rerank_fakes import (
    BEST_FIRST,
    CORPUS,
    PAGES,
    BrokenScorer,
    Clock,
    FakePictures,
    ListScorer,
    candidates,
)
from tests.retrieve.small_corpus import SmallCorpus, unit

from docrag.errors import BudgetExceeded, ModelError, ModelUnavailable, StorageError
from docrag.geometry import Box
from docrag.retrieve.rerank.cache import Cache, FileCache, MemoryCache, cache_key
from docrag.retrieve.rerank.calls import Calls, each
from docrag.retrieve.rerank.judging import Judge, MakeCalls
from docrag.retrieve.rerank.relevance import Relevance, RelevanceScorer, from_logits
from docrag.retrieve.rerank.relevance_reranker import RelevanceReranker
from docrag.retrieve.rerank.shown import Views
from docrag.types import PageRef, Query, SourceScore

QUESTION = Query("Where is the gold?")


def reranker(
    scorer: RelevanceScorer | None = None,
    *,
    n_head: int = 20,
    cache: Cache | None = None,
    views: Views | None = None,
    make_calls: MakeCalls = Calls,
) -> RelevanceReranker:
    judge = Judge(scorer or ListScorer(), views or Views(CORPUS), cache or MemoryCache(), make_calls)
    return RelevanceReranker(judge, n_head=n_head)


# ── the rule ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_score_is_the_softmax_over_the_pair():
    # e^2 / (e^2 + e^0) = 7.389056 / 8.389056
    assert from_logits(2.0, 0.0).score == pytest.approx(0.880797, abs=1e-6)
    assert from_logits(math.log(0.6), math.log(0.2)).score == pytest.approx(0.75)
    assert from_logits(math.log(0.2), math.log(0.6)).score == pytest.approx(0.25)
    assert from_logits(-3.0, -3.0).score == 0.5
    assert from_logits(7.0, 3.0).logits == (7.0, 3.0)


@given(
    z_yes=st.floats(-1e4, 1e4),
    z_no=st.floats(-1e4, 1e4),
    constant=st.integers(-100, 100),
)
def test_the_score_is_a_probability_that_a_constant_does_not_change(z_yes: float, z_no: float, constant: int):
    relevance = from_logits(z_yes, z_no)
    assert 0 <= relevance.score <= 1
    assert relevance.score + from_logits(z_no, z_yes).score == pytest.approx(1)
    assert from_logits(z_yes + constant, z_no + constant).score == pytest.approx(relevance.score, abs=1e-9)


@pytest.mark.parametrize("bad", [(math.nan, 0.0), (math.inf, math.inf), (math.inf, 0.0), (0.0, -math.inf)])
def test_logits_must_be_finite(bad: tuple[float, float]):
    with pytest.raises(ModelError, match="expected finite numbers"):
        from_logits(*bad)


@pytest.mark.parametrize("relevance", [Relevance(0.25), from_logits(1.5, -2.25)])
def test_a_relevance_survives_the_cache(relevance: Relevance):
    assert Relevance.from_json(relevance.to_json()) == relevance


# ── the order ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_head_is_sorted_and_shares_out_its_fused_scores_and_the_tail_follows():
    result = reranker(n_head=4).rerank(QUESTION, candidates())
    assert [item.unit for item in result.ranking] == [*BEST_FIRST[1:], BEST_FIRST[0]]
    assert [item.score for item in result.ranking] == [0.0, -1.0, -2.0, -3.0, -4.0]
    silver, *_, gold = result.ranking
    assert silver.sources == {"bm25": SourceScore(4, 7.0), "list": SourceScore(1, 0.7)}
    assert gold.sources == {"bm25": SourceScore(5, 6.0)}
    assert result.warnings == ()


def test_what_rounds_to_the_same_score_is_told_apart_by_the_logits():
    scores = {"page with lead": from_logits(50.0, 0.0), "page with tin": from_logits(60.0, 0.0)}
    assert scores["page with lead"].score == scores["page with tin"].score == 1.0
    result = reranker(ListScorer(scores)).rerank(QUESTION, candidates(PAGES[:2]))
    assert [item.unit for item in result.ranking] == [PAGES[1], PAGES[0]]
    assert result.detail["logits"] == {"a.pdf p. 1": [50.0, 0.0], "b.pdf p. 1": [60.0, 0.0]}


def test_equal_relevances_are_in_the_order_of_fused_scores_and_then_of_units():
    same = ListScorer({CORPUS.page(page.page).text: Relevance(0.5) for page in PAGES})
    for head in (candidates(), candidates()[::-1]):
        assert [item.unit for item in reranker(same).rerank(QUESTION, head).ranking] == PAGES
    equal = [item._replace(score=1.0) for item in candidates()]
    assert [item.unit for item in reranker(same).rerank(QUESTION, equal).ranking] == sorted(PAGES)


def test_a_region_is_judged_by_its_own_text_and_picture():
    pictures = FakePictures()
    scorer = ListScorer()
    views = Views(CORPUS, pictures, show="both", dpi=50, max_chars=8)
    part = unit("a.pdf", 2, 2)
    reranker(scorer, views=views).rerank(QUESTION, candidates([part, unit("a.pdf", 2)]))
    assert scorer.asked == ["and a se", "page wit"]
    assert pictures.asked == [(part.page, 50, Box(0, 10, 500, 20)), (part.page, 50, None)]


def test_pictures_can_be_all_that_is_shown_and_must_then_be_there():
    shown = Views(CORPUS, FakePictures(), show="image").shown(PAGES[0])
    assert (shown.text, shown.picture is not None) == ("", True)
    assert Views(CORPUS, FakePictures(), show="text").shown(PAGES[0]).picture is None
    with pytest.raises(ValueError, match="needs pictures"):
        Views(CORPUS, show="image")


# ── the cache ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=["memory", "file"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Cache:
    return MemoryCache() if request.param == "memory" else FileCache(tmp_path / "deep" / "cache.sqlite")


def test_nothing_is_judged_twice(cache: Cache):
    scorer = ListScorer()
    first = reranker(scorer, cache=cache).rerank(QUESTION, candidates())
    assert len(scorer.asked) == 5
    again = reranker(scorer, cache=cache).rerank(QUESTION, candidates())
    assert len(scorer.asked) == 5
    assert again.ranking == first.ranking
    assert (again.usage, again.detail["n_cached"]) == ((), 5)


def test_equal_pages_are_judged_once():
    corpus = SmallCorpus({"a.pdf": ["tin", "tin", "gold"], "b.pdf": ["tin"]})
    units = [unit("a.pdf", 1), unit("a.pdf", 2), unit("a.pdf", 3), unit("b.pdf", 1)]
    scorer = ListScorer()
    result = reranker(scorer, views=Views(corpus)).rerank(QUESTION, candidates(units))
    assert scorer.asked == ["tin", "gold"]
    assert [item.unit for item in result.ranking] == [units[2], units[0], units[1], units[3]]
    assert [item.sources["list"].score for item in result.ranking] == [0.9, 0.2, 0.2, 0.2]


@pytest.mark.parametrize("change", ["question", "model", "name", "text", "picture"])
def test_whatever_changes_is_judged_anew(cache: Cache, change: str):
    reranker(cache=cache, views=Views(CORPUS, FakePictures(), show="both", dpi=50)).rerank(
        QUESTION, candidates(PAGES[:1])
    )
    scorer = ListScorer(
        identity="list 2" if change == "model" else "list 1", name="other" if change == "name" else "list"
    )
    views = Views(
        CORPUS,
        FakePictures(),
        show="both",
        dpi=60 if change == "picture" else 50,
        max_chars=5 if change == "text" else 6_000,
    )
    question = Query("Where is the tin?") if change == "question" else QUESTION
    reranker(scorer, cache=cache, views=views).rerank(question, candidates(PAGES[:1]))
    assert len(scorer.asked) == 1


def test_the_parts_of_a_key_do_not_run_into_one_another():
    assert cache_key("ab", "c") != cache_key("a", "bc")
    assert cache_key("lone \ud800") != cache_key("lone ")


def test_the_memory_forgets_what_was_not_used_for_longest():
    cache = MemoryCache(2)
    cache.put("a", "1")
    cache.put("b", "2")
    assert cache.get("a") == "1"
    cache.put("c", "3")
    assert [cache.get(key) for key in "abc"] == ["1", None, "3"]


def test_a_file_keeps_values_between_runs_and_drops_the_oldest(tmp_path: Path):
    path = tmp_path / "cache.sqlite"
    cache = FileCache(path, max_entries=2)
    for key in "abc":
        cache.put(key, key.upper())
    opened = FileCache(path)
    assert [opened.get(key) for key in "abc"] == [None, "B", "C"]
    assert opened.get("b") == "B"
    opened.put("b", "new")
    assert FileCache(path).get("b") == "new"


def test_several_threads_share_a_file(tmp_path: Path):
    cache = FileCache(tmp_path / "cache.sqlite", memory=MemoryCache(1))

    def work(thread: int) -> None:
        for i in range(30):
            cache.put(f"{thread} {i}", str(i))
            assert cache.get(f"{thread} {i}") == str(i)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [cache.get(f"{n} 29") for n in range(4)] == ["29"] * 4


def test_a_file_that_is_no_cache_is_an_error_and_one_that_breaks_later_is_none(tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, and longer than the header of one" * 10)
    with pytest.raises(StorageError, match=r"notes.txt: no cache of rerank scores.*name another file"):
        FileCache(path)
    cache = FileCache(tmp_path / "cache.sqlite", memory=MemoryCache(1))
    (tmp_path / "cache.sqlite").unlink()
    (tmp_path / "cache.sqlite").mkdir()
    cache.put("a", "1")
    cache.put("b", "2")
    assert (cache.get("a"), cache.get("b")) == (None, "2")


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "0.7",
        "[]",
        '["0.7"]',
        "[0.7, 1.0]",
        "[0.7, 1.0, 0.0, 3.0]",
        "[NaN]",
        "[true]",
        '{"0": 1}',
        "[0.",
        "b'",
    ],
)
def test_a_value_of_the_cache_that_cannot_be_read_is_judged_anew_and_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damaged: str
):
    path = tmp_path / "cache.sqlite"
    reranker(cache=FileCache(path)).rerank(QUESTION, candidates())
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE judged SET value = ? WHERE value = '[0.9]'", (damaged,))
    scorer = ListScorer()
    result = reranker(scorer, cache=FileCache(path)).rerank(QUESTION, candidates())
    assert scorer.asked == ["page with gold\n\nand a second part"]
    assert [item.unit for item in result.ranking] == BEST_FIRST
    assert "cannot be read and is made anew" in caplog.text
    unasked = ListScorer()
    reranker(unasked, cache=FileCache(path)).rerank(QUESTION, candidates())
    assert unasked.asked == []


# ── the budget ───────────────────────────────────────────────────────────────────────────────────────────


def test_what_the_calls_do_not_reach_follows_in_its_old_order():
    result = reranker(make_calls=lambda cancelled: Calls(cancelled, max_calls=3)).rerank(
        QUESTION, candidates()
    )
    assert [item.unit for item in result.ranking] == [PAGES[2], PAGES[1], PAGES[0], PAGES[3], PAGES[4]]
    assert ["list" in item.sources for item in result.ranking] == [True, True, True, False, False]
    (warning,) = result.warnings
    assert warning == (
        "list: all 3 calls are used (max_calls); 2 results are not judged and follow in the order of fusion"
    )
    assert len(result.usage) == 3


def test_seconds_end_a_reranking_too():
    # One look at the clock to begin, one for every call: at 1, 2 and 3 s there is time, at 4 s none is left.
    result = reranker(
        make_calls=lambda cancelled: Calls(cancelled, max_seconds=3.5, clock=Clock(1.0))
    ).rerank(QUESTION, candidates())
    assert [item.unit for item in result.ranking][:3] == [PAGES[2], PAGES[1], PAGES[0]]
    assert "3.5 seconds are over (max_seconds)" in result.warnings[0]


def test_a_call_gets_what_is_left_of_the_time():
    clock = Clock()
    calls = Calls(max_seconds=10, clock=clock)
    assert calls.start(60) == 10
    clock.now_s = 7
    assert (calls.start(60), calls.start(2), calls.start()) == (3, 2, 3)
    clock.now_s = 11
    with pytest.raises(BudgetExceeded):
        calls.start()
    assert Calls().start(5) == 5
    assert Calls().start() is None


def test_once_an_endpoint_is_gone_no_call_starts():
    calls = Calls()
    calls.failed(ModelUnavailable("it is gone"))
    with pytest.raises(ModelUnavailable, match="it is gone"):
        calls.start()


def test_an_endpoint_that_takes_the_rest_of_the_time_spends_the_budget():
    clock = Clock()
    calls = Calls(max_seconds=5, clock=clock)
    clock.now_s = 5
    assert isinstance(calls.failed(ModelUnavailable("too slow")), BudgetExceeded)


def test_work_is_done_in_order_and_errors_stand_in_their_place():
    def work(n: int) -> int:
        if n == 2:
            raise ModelError("two")
        return n * 10

    for n_parallel in (1, 3):
        first, second, third = each(work, [1, 2, 3], Calls(), n_parallel=n_parallel)
        assert (first, str(second), third) == (10, "two", 30)
    assert each(work, [], Calls(), n_parallel=3) == []


def test_work_that_no_call_is_left_for_is_not_begun():
    begun: list[int] = []
    calls = Calls(max_calls=3)
    calls.start()
    results = each(begun.append, [1, 2, 3, 4], calls, n_parallel=1)
    assert begun == [1, 2]
    assert [isinstance(result, BudgetExceeded) for result in results] == [False, False, True, True]


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("scorer", "problem"),
    [
        (BrokenScorer(raises=True), "no weights today"),
        (BrokenScorer(raises=False), "got 4 scores for 5 pages"),
        (ListScorer({"page with tin": ModelUnavailable("nobody there")}), "nobody there"),
        (ListScorer({CORPUS.page(p.page).text: Relevance(math.nan) for p in PAGES}), "the score is nan"),
    ],
)
def test_a_judge_that_cannot_be_used_leaves_the_fused_order(scorer: RelevanceScorer, problem: str):
    result = reranker(scorer).rerank(QUESTION, candidates())
    assert result.ranking == candidates()
    (warning,) = result.warnings
    assert problem in warning
    assert warning.endswith("the order of fusion stays")


def test_a_page_that_cannot_be_judged_keeps_its_place_among_the_others():
    missing = PAGES[1]
    views = Views(CORPUS, FakePictures(missing.page), show="both")
    scorer = ListScorer({"page with bronze": ModelError("refused"), "page with gold": Relevance(math.inf)})
    result = reranker(scorer, views=views).rerank(
        QUESTION, candidates([PAGES[0], missing, PAGES[2], PAGES[3]])
    )
    assert [item.unit for item in result.ranking] == [PAGES[3], missing, PAGES[2], PAGES[0]]
    assert [item.score for item in result.ranking] == [0.0, -1.0, -2.0, -3.0]
    assert result.ranking[3].sources["list"] == SourceScore(2, 0.1)
    (warning,) = result.warnings
    assert warning == (
        "list: 2 of 4 results could not be judged and keep their place; the first is b.pdf p. 1: "
        "id-b.pdf page 1: the file is gone"
    )


def test_when_no_page_can_be_judged_the_fused_order_stays():
    views = Views(CORPUS, FakePictures(*(PageRef(p.doc_id, p.page_no) for p in PAGES)), show="image")
    result = reranker(views=views).rerank(QUESTION, candidates())
    assert result.ranking == candidates()
    assert "the file is gone; the order of fusion stays" in result.warnings[0]


def test_failures_are_not_cached():
    cache = MemoryCache()
    reranker(ListScorer({"page with tin": ModelError("refused")}), cache=cache).rerank(QUESTION, candidates())
    scorer = ListScorer()
    reranker(scorer, cache=cache).rerank(QUESTION, candidates())
    assert scorer.asked == ["page with tin"]
