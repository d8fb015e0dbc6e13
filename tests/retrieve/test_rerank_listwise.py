"""Orders from a chat model: what is read out of a reply, windows, shuffling, and aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.retrieve.rerank_fakes import (
    CORPUS,
    PAGES,
    DamagedCache,
    FakeChat,
    FakePictures,
    candidates,
    fenced_pages,
    order_reply,
)
from tests.retrieve.small_corpus import SmallCorpus, unit

from docrag.chat.messages import Message
from docrag.chat.model import Reply, Request
from docrag.chat.prompts import Prompts
from docrag.errors import ModelError, ModelFormatError, ModelUnavailable
from docrag.retrieve.rerank.cache import MemoryCache
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.listwise import (
    ListwiseReranker,
    parse_order,
    permutations,
    places_of,
    windows,
)
from docrag.retrieve.rerank.shown import Views
from docrag.types import Query, SourceScore

QUESTION = Query("Where is the gold?")


def reranker(chat: FakeChat, **more: Any) -> ListwiseReranker:
    views = more.pop("views", Views(CORPUS))
    more = {"cache": MemoryCache(), "n_parallel": 1, **more}
    return ListwiseReranker(chat, Prompts().get("rerank_listwise"), views, **more)


# ── reading a reply ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"order": [3, 1, 2]}', [3, 1, 2]),
        ('Page 2 is out. {"order": [1, 2, 3]} No: {"order": ["3", "[1]", 2]}', [3, 1, 2]),
        ("[3] > [1] > [2]", [3, 1, 2]),
        ("3 > 1 > 2", [3, 1, 2]),
        ("[3, 1, 2]", [3, 1, 2]),
        ("3\n1\n2", [3, 1, 2]),
        ("I compare [1], [2] first. The order is [3] > [1] > [2].", [3, 1, 2]),
        ("[2]", [2]),
        ('{"order": [2, 2, 3, 2]}', [2, 3]),
        ("[3] > [7] > [0] > [3] > [1]", [3, 1]),
        ('{"order": [2, null, -1, 2.5, "one"]}', [2]),
        ('{"order": [99999999999999999999, 2]}', [2]),
    ],
)
def test_an_order_is_found_in_what_a_model_says(text: str, expected: list[int]):
    assert parse_order(text, 3) == expected


@pytest.mark.parametrize("text", ["", "none of them", '{"order": []}', '{"order": [9]}', "[9] > [8]", "2024"])
def test_a_reply_without_an_order_is_an_error(text: str):
    with pytest.raises(ModelFormatError, match="expected the numbers 1 to 3"):
        parse_order(text, 3)


@given(text=st.text(alphabet='0123456789[]{}>, \n"order:', max_size=60), n=st.integers(1, 12))
def test_whatever_is_said_the_order_holds_known_numbers_once(text: str, n: int):
    try:
        order = parse_order(text, n)
    except ModelFormatError:
        return
    assert len(set(order)) == len(order) > 0
    assert set(order) <= set(range(1, n + 1))


def test_those_left_out_share_the_places_that_are_left():
    assert places_of([2, 1, 3], 3).tolist() == [1, 0, 2]
    assert places_of([4], 4).tolist() == [2, 2, 2, 0]  # places 1, 2 and 3 are left, 2 on average
    assert places_of([3, 1], 5).tolist() == [1, 3, 0, 3, 3]


# ── windows and orders ───────────────────────────────────────────────────────────────────────────────────


def test_windows_go_from_the_back_to_the_front():
    assert windows(5, size=10, stride=5) == [(0, 5)]
    assert windows(10, size=10, stride=5) == [(0, 10)]
    assert windows(12, size=4, stride=2) == [(8, 12), (6, 10), (4, 8), (2, 6), (0, 4)]
    assert windows(7, size=4, stride=2) == [(3, 7), (1, 5), (0, 3)]
    assert windows(0, size=4, stride=2) == []


@given(n=st.integers(1, 60), size=st.integers(2, 12), stride=st.integers(1, 12))
def test_every_place_is_in_a_window_and_the_last_starts_at_the_front(n: int, size: int, stride: int):
    found = windows(n, size=size, stride=min(stride, size))
    assert found[-1][0] == 0
    assert set().union(*(range(*window) for window in found)) == set(range(n))
    assert all(0 < end - start <= size for start, end in found)


def test_orders_are_as_it_is_then_backwards_then_random_but_repeatable():
    assert permutations(3, 1, seed="x") == [[0, 1, 2]]
    assert permutations(3, 2, seed="x") == [[0, 1, 2], [2, 1, 0]]
    many = permutations(9, 6, seed="x")
    assert many == permutations(9, 6, seed="x")
    assert many != permutations(9, 6, seed="y")
    assert all(sorted(order) == list(range(9)) for order in many)


# ── the reranker ─────────────────────────────────────────────────────────────────────────────────────────


def first_shown_wins(messages: Sequence[Message], request: Request) -> Reply:
    """A model with nothing but position bias."""
    return Reply(f'{{"order": {sorted(fenced_pages(messages[-1].text))}}}')


def test_a_window_orders_all_and_says_its_place():
    result = reranker(FakeChat(order_reply), n_head=5).rerank(QUESTION, candidates())
    assert [item.unit for item in result.ranking] == PAGES[::-1]
    shares = [1.0, 0.8, 0.6, 0.4, 0.2]
    assert [item.sources["listwise"] for item in result.ranking] == [
        SourceScore(rank, share) for rank, share in enumerate(shares, 1)
    ]
    assert [item.score for item in result.ranking] == [0.0, -1.0, -2.0, -3.0, -4.0]


def test_position_bias_cancels_out():
    backwards = candidates()[::-1]
    biased = reranker(FakeChat(first_shown_wins), n_permutations=1)
    assert [item.unit for item in biased.rerank(QUESTION, backwards).ranking] == PAGES[::-1]
    # Put both ways every page has the mean place 2: a tie, in the order of the fused scores ...
    fair = reranker(FakeChat(first_shown_wins), n_permutations=2)
    assert [item.unit for item in fair.rerank(QUESTION, backwards).ranking] == PAGES
    # ... and where these tie too, in unit order.
    equal = [item._replace(score=1.0) for item in candidates()]
    assert [item.unit for item in fair.rerank(QUESTION, equal).ranking] == sorted(PAGES)


def test_the_mean_place_decides():
    # Shown forwards, the order is 2 1 3. Shown backwards, "1 2 3" is page 3, page 2, page 1.
    orders = iter(['{"order": [2, 1, 3]}', '{"order": [1, 2, 3]}'])
    chat = FakeChat(lambda *_: Reply(next(orders)))
    result = reranker(chat, n_permutations=2).rerank(QUESTION, candidates(PAGES[:3]))
    # Places: first page 1 and 2, second 0 and 1, third 2 and 0.
    assert [item.unit for item in result.ranking] == [PAGES[1], PAGES[2], PAGES[0]]


def test_the_best_page_of_all_bubbles_up_through_the_windows():
    texts = [f"page {n}" for n in range(1, 12)] + ["page with gold"]
    corpus = SmallCorpus({"long.pdf": texts})
    units = [unit("long.pdf", n) for n in range(1, 13)]
    chat = FakeChat(order_reply)
    result = reranker(chat, views=Views(corpus), n_head=12, window=4, stride=2, n_permutations=1).rerank(
        QUESTION, candidates(units)
    )
    assert result.ranking[0].unit == units[-1]
    assert len(chat.requests) == 5


def test_texts_and_pictures_stand_under_their_numbers():
    chat = FakeChat(order_reply)
    views = Views(CORPUS, FakePictures(), show="both")
    reranker(chat, views=views, n_permutations=1, make_marker=lambda: "MARK").rerank(
        QUESTION, candidates(PAGES[:2])
    )
    (conversation,) = chat.conversations
    message = conversation[-1]
    assert "<<<MARK [1]\npage with lead\nMARK>>>" in message.text
    assert [image.data for image in message.images] == [
        FakePictures().picture(page.page, dpi=100).data for page in PAGES[:2]
    ]
    assert message.parts[1].text == "Picture of [1]:"  # type: ignore[union-attr]
    assert chat.requests[0].schema is not None


def test_one_lost_reply_is_noticed_and_the_others_decide():
    replies = iter(["what?", '{"order": [5, 4, 3, 2, 1]}'])  # the second is shown backwards
    chat = FakeChat(lambda *_: Reply(next(replies)))
    result = reranker(chat).rerank(QUESTION, candidates())
    assert [item.unit for item in result.ranking] == PAGES
    assert result.warnings == ("listwise: 1 of 2 replies for the results 1 to 5 failed; the others decide",)


def test_a_page_without_picture_keeps_its_place():
    views = Views(CORPUS, FakePictures(PAGES[0].page), show="both")
    result = reranker(FakeChat(order_reply), views=views).rerank(QUESTION, candidates())
    assert [item.unit for item in result.ranking] == [PAGES[0], *PAGES[:0:-1]]
    assert result.warnings == ("listwise: a.pdf p. 1 keeps its place: id-a.pdf page 1: the file is gone",)


def test_a_budget_leaves_what_the_windows_so_far_have_done():
    result = reranker(
        FakeChat(order_reply),
        window=2,
        stride=1,
        n_permutations=1,
        make_calls=lambda cancelled: Calls(cancelled, max_calls=2),
    ).rerank(QUESTION, candidates())
    # The windows 4-5 and 3-4 are ordered: gold comes up two places.
    assert [item.unit for item in result.ranking] == [PAGES[0], PAGES[1], PAGES[4], PAGES[2], PAGES[3]]
    assert "max_calls" in result.warnings[0]


def test_an_endpoint_lost_on_the_way_gives_back_the_fused_order():
    replies = iter([order_reply, None])

    def reply(messages: Sequence[Message], request: Request) -> Reply:
        found = next(replies)
        if found is None:
            raise ModelUnavailable("gone")
        return found(messages, request)

    result = reranker(FakeChat(reply), window=2, stride=1, n_permutations=1).rerank(QUESTION, candidates())
    assert result.ranking == candidates()
    assert result.warnings == ("listwise: gone; the order of fusion stays",)


def test_equal_windows_are_put_to_the_model_once():
    cache = MemoryCache()
    chat = FakeChat(order_reply)
    first = reranker(chat, cache=cache, n_permutations=3).rerank(QUESTION, candidates())
    again = reranker(chat, cache=cache, n_permutations=3).rerank(QUESTION, candidates())
    assert len(chat.requests) == 3
    assert (again.ranking, again.usage) == (first.ranking, ())
    reranker(chat, cache=cache, n_permutations=3).rerank(Query("other?"), candidates())
    assert len(chat.requests) == 6


@pytest.mark.parametrize(
    "damaged", ["[2, ", "{}", "3", "[]", "[0, 1]", "[6]", "[1, 1]", "[true, 2]", '["1"]', "[1.0]"]
)
def test_an_order_of_the_cache_that_cannot_be_read_is_asked_for_anew(damaged: str):
    cache = DamagedCache(damaged)
    chat = FakeChat(order_reply)
    first = reranker(chat, cache=cache, n_permutations=1).rerank(QUESTION, candidates())
    assert [item.unit for item in first.ranking] == PAGES[::-1]
    reranker(chat, cache=cache, n_permutations=1).rerank(QUESTION, candidates())
    assert len(chat.requests) == 1


def test_two_pages_have_two_orders_and_each_is_asked_for_once():
    chat = FakeChat(order_reply)
    result = reranker(chat, n_permutations=9).rerank(QUESTION, candidates(PAGES[:2]))
    assert len(chat.requests) == 2
    assert [item.unit for item in result.ranking] == [PAGES[1], PAGES[0]]


def test_the_stride_must_fit_into_the_window():
    with pytest.raises(ValueError, match="stride is 9, expected 1 to 4"):
        reranker(FakeChat(order_reply), window=4, stride=9)


def test_errors_of_the_model_are_not_taken_for_orders():
    def reply(messages: Sequence[Message], request: Request) -> Reply:
        raise ModelError("refused")

    result = reranker(FakeChat(reply)).rerank(QUESTION, candidates())
    assert result.warnings == ("listwise: refused; the order of fusion stays",)
    assert np.all([item.score for item in result.ranking] == [item.score for item in candidates()])
