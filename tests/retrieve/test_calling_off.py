"""Searches that are called off: whatever a model is being asked for is dropped, and nothing waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from tests.models.fault_server import Exchange, FaultServer, fault_server
from tests.retrieve.rerank_fakes import CORPUS, FakeChat, ListScorer, candidates, verdict_reply
from tests.retrieve.small_corpus import FixedRetriever, unit

from docrag.chat.events import Event, StepEvent
from docrag.chat.model import Chats
from docrag.chat.prompts import Prompts
from docrag.chat.side_by_side import Ending, side_by_side
from docrag.embed.openai_embeddings import OpenAiEmbedder
from docrag.embed.options import OpenAiEmbeddingsOptions
from docrag.embed.visual.options import VllmVisualOptions
from docrag.embed.visual.vllm import VllmPageEmbedder
from docrag.errors import Cancelled
from docrag.late_interaction.maxsim import MaxSim
from docrag.models.client import ModelChat
from docrag.models.openai_compatible import OpenAiCompatibleChatModel
from docrag.models.options import OpenAiCompatibleOptions
from docrag.protocols import Retriever
from docrag.retrieve.dense import DenseRetriever
from docrag.retrieve.fusion.weighted_sum import WeightedSum
from docrag.retrieve.query.build import build_planners
from docrag.retrieve.query.decompose import Decomposer
from docrag.retrieve.query.follow_up import PromptedRewriter, Turn
from docrag.retrieve.query.options import QueryOptions
from docrag.retrieve.query.plan import plan_for
from docrag.retrieve.rerank.build import RerankParts, build_rerankers
from docrag.retrieve.rerank.cache import MemoryCache
from docrag.retrieve.rerank.judging import Judge
from docrag.retrieve.rerank.options import RerankOptions
from docrag.retrieve.rerank.relevance_reranker import RelevanceReranker
from docrag.retrieve.rerank.shown import Views
from docrag.retrieve.stage import RetrievalStage
from docrag.retrieve.visual.retriever import VisualRetriever
from docrag.types import Fused, Query, Scored

PROMPTS = Prompts()
QUESTION = Query("Where is gold?")
DEADLINE_S = 20.0
"""Far longer than dropping a request takes, far shorter than the 300 s that the models are given."""


class Hears:
    """Remembers events, and calls off when `enough` says so."""

    def __init__(self, enough: Callable[[], bool] = lambda: False) -> None:
        self.events: list[Event] = []
        self._enough = enough

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def cancelled(self) -> bool:
        return self._enough()


class Hanging:
    """A chat endpoint that never says anything; `n_left` counts the clients that hung up."""

    def __init__(self, server: FaultServer) -> None:
        self.server = server
        self.n_left = 0
        self._lock = threading.Lock()
        server.reset(self._hang)
        options = OpenAiCompatibleOptions(model="tiny", base_url=server.url, timeout_s=300, max_tries=1)
        self.chat = ModelChat(OpenAiCompatibleChatModel(options=options), name="tiny", max_tries=1)

    def _hang(self, exchange: Exchange) -> None:
        exchange.hang()
        with self._lock:
            self.n_left += 1

    @property
    def n_asked(self) -> int:
        return len(self.server.bodies)

    def all_left(self) -> bool:
        end_s = time.monotonic() + DEADLINE_S
        while self.n_left < self.n_asked and time.monotonic() < end_s:
            time.sleep(0.01)
        return self.n_left == self.n_asked


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    with fault_server() as server:
        endpoint = Hanging(server)
        yield endpoint
        endpoint.chat.close()


def called_off(hanging: Hanging, work: Callable[[Hears], object], *, n_asked: int) -> Hears:
    """Call `work` off as soon as `n_asked` requests hang, and see that all of them are dropped."""
    hears = Hears(lambda: hanging.n_asked >= n_asked)
    start_s = time.monotonic()
    with pytest.raises(Cancelled):
        work(hears)
    assert time.monotonic() - start_s < DEADLINE_S
    assert hanging.n_asked == n_asked
    assert hanging.all_left()
    return hears


PLANNERS = {
    "gate": ({"gate": {}}, 1),
    "router": ({"route": {"router": "prompted"}}, 1),
    "decompose": ({"decompose": {}}, 1),
    "ensemble": ({"ensemble": {"n_instructions": 3, "n_parallel": 3}}, 3),
    "ensemble, one at a time": ({"ensemble": {"n_instructions": 3, "n_parallel": 1}}, 1),
}


@pytest.mark.loopback
@pytest.mark.parametrize("name", PLANNERS)
def test_a_planner_drops_its_requests(hanging: Hanging, name: str):
    values, n_asked = PLANNERS[name]
    options = QueryOptions.model_validate({**values, "timeout_s": 300})
    planners = build_planners(options, chats=lambda: Chats(hanging.chat), prompts=PROMPTS)
    called_off(hanging, lambda hears: plan_for(QUESTION, planners, listener=hears), n_asked=n_asked)


LONG = {"timeout_s": 300, "max_seconds": None}
STEPS = {
    "pointwise": ({"kind": "pointwise", "n_parallel": 3, **LONG}, 3, "reranking 5 pages"),
    "pointwise, one at a time": ({"kind": "pointwise", "n_parallel": 1, **LONG}, 1, "reranking 5 pages"),
    "listwise": ({"kind": "listwise", "window": 4, "stride": 2, **LONG}, 2, "reranking 5 pages"),
    "consistency": ({"kind": "consistency-filter", "n_head": 4, **LONG}, 1, "choosing among 4 pages"),
    "filter": (
        {"kind": "relevance-filter", "judge": {"kind": "pointwise", "n_parallel": 2, **LONG}},
        2,
        "judging 5 pages",
    ),
}


@pytest.mark.loopback
@pytest.mark.parametrize("name", STEPS)
def test_a_reranker_says_what_it_does_and_drops_its_requests(hanging: Hanging, name: str):
    values, n_asked, message = STEPS[name]
    options = RerankOptions.model_validate({"steps": [values]})
    (step,) = build_rerankers(options, RerankParts(CORPUS, lambda: Chats(hanging.chat), prompts=PROMPTS))
    hears = called_off(
        hanging, lambda hears: step.rerank(QUESTION, candidates(), listener=hears), n_asked=n_asked
    )
    assert hears.events == [StepEvent(step.name, message)]


@pytest.mark.loopback
def test_a_follow_up_drops_its_request(hanging: Hanging):
    rewriter = PromptedRewriter(hanging.chat, PROMPTS.get("query_follow_up"), timeout_s=300)
    turns = [Turn("Where is gold?", "On page 1.")]
    called_off(hanging, lambda hears: rewriter.rewrite(turns, "And tin?", listener=hears), n_asked=1)


def test_a_judge_in_this_process_ends_before_its_next_batch():
    scorer = ListScorer()
    hears = Hears(lambda: len(scorer.asked) == 2)
    with pytest.raises(Cancelled):
        RelevanceReranker(Judge(scorer, Views(CORPUS), MemoryCache())).rerank(
            QUESTION, candidates(), listener=hears
        )
    assert len(scorer.asked) == 2


@pytest.mark.parametrize("n_parallel", [2, 8])
def test_an_interruption_ends_what_runs_beside_it(n_parallel: int):
    ending = Ending()
    begun: list[int] = []

    def work(n: int) -> int:
        begun.append(n)
        if n == 0:
            raise KeyboardInterrupt  # as Ctrl-C would be raised in the thread that waits
        end_s = time.monotonic() + DEADLINE_S
        while not ending():
            assert time.monotonic() < end_s, "nobody ended it"
            time.sleep(0.01)
        return n

    start_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        side_by_side(work, list(range(40)), n_parallel=n_parallel, ending=ending)
    assert time.monotonic() - start_s < DEADLINE_S
    assert len(begun) < 40


def test_an_ending_comes_from_the_listener_or_from_who_waits():
    said = [False]
    ending = Ending(lambda: said[0])
    assert not ending()
    said[0] = True
    assert ending()
    left = Ending()
    left.leave()
    assert left()


# ── encoders behind servers ──────────────────────────────────────────────────────────────────────────────


class NoVectors:
    """`docrag.protocols.VectorIndex` that is not looked into: the question has no vectors yet."""

    def view(self) -> Any:
        return None


def dense(url: str) -> Retriever:
    options = OpenAiEmbeddingsOptions(model="tiny", base_url=url, dim=2, timeout_s=300)
    return DenseRetriever(CORPUS, OpenAiEmbedder(options))


def visual(url: str) -> Retriever:
    embedder = VllmPageEmbedder(VllmVisualOptions(base_url=url, timeout_s=300))
    return VisualRetriever(CORPUS, NoVectors(), embedder, MaxSim("numpy"))


@pytest.mark.loopback
@pytest.mark.parametrize(("make", "path"), [(dense, "/v1/embeddings"), (visual, "/pooling")])
def test_a_search_drops_the_request_for_the_vectors_of_its_question(
    make: Callable[[str], Retriever], path: str
):
    asked: list[str] = []
    left = threading.Event()

    def behave(exchange: Exchange) -> None:
        if exchange.path.endswith("/models"):
            exchange.send(200, {"data": [{"id": "tiny"}]})
        elif exchange.body["input"] == "dimension":
            exchange.send(200, {"data": [{"data": [[3.0, 4.0]]}]})
        else:
            asked.append(exchange.path)
            exchange.hang()
            left.set()

    with fault_server() as server:
        server.reset(behave)
        retriever = make(server.url)
        search = RetrievalStage(CORPUS, [retriever], WeightedSum({retriever.name: 1}))
        start_s = time.monotonic()
        with pytest.raises(Cancelled):
            search.search(QUESTION, k=3, listener=Hears(lambda: bool(asked)))
        assert time.monotonic() - start_s < DEADLINE_S
        assert left.wait(DEADLINE_S), "the server still has a client"
        assert asked == [path]


# ── the stage ────────────────────────────────────────────────────────────────────────────────────────────

PAGES = [unit("a.pdf", n) for n in (1, 2, 3)]


class Backwards:
    def rerank(self, query: Query, candidates: Sequence[Fused]) -> list[Fused]:
        return list(candidates)[::-1]


def stage(**parts: object) -> tuple[RetrievalStage, FixedRetriever]:
    retriever = FixedRetriever("one", [Scored(page, 3.0 - i) for i, page in enumerate(PAGES)])
    return RetrievalStage(CORPUS, [retriever], WeightedSum({"one": 1}), **parts), retriever  # type: ignore[arg-type]


def test_a_search_announces_what_models_and_other_rerankers_do():
    chat = FakeChat(lambda messages, request: verdict_reply(messages, request))
    splitter = Decomposer(chat, PROMPTS.get("query_split"))
    search, _ = stage(planners=[splitter], rerankers=[Backwards()])
    hears = Hears()
    search.search(QUESTION, k=3, listener=hears)
    assert hears.events == [
        StepEvent("query plan", "planning the query"),
        StepEvent("Backwards", "reranking 3 pages"),
    ]


def test_a_search_without_models_announces_nothing():
    hears = Hears()
    stage()[0].search(QUESTION, k=3, listener=hears)
    assert hears.events == []


def test_a_search_that_is_called_off_ends_with_the_step_that_runs():
    asked: list[str] = []

    class Counts(Backwards):
        def rerank(self, query: Query, candidates: Sequence[Fused]) -> list[Fused]:
            asked.append(query.text)
            return super().rerank(query, candidates)

    search, _ = stage(rerankers=[Counts(), Counts()])
    with pytest.raises(Cancelled):
        search.search(QUESTION, k=3, listener=Hears(lambda: bool(asked)))
    assert len(asked) == 1
