"""The client of ``/score`` and ``/rerank`` against a server here that answers as vLLM does, or does not."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr
from tests.retrieve.rerank_fakes import BEST_FIRST, CORPUS, PAGES, FakePictures, candidates, worth_of
from tests.retrieve.small_corpus import unit

from docrag.errors import BudgetExceeded, Cancelled, ModelError, ModelUnavailable
from docrag.retrieve.rerank.cache import MemoryCache
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.judging import Judge
from docrag.retrieve.rerank.options import VllmScoreOptions
from docrag.retrieve.rerank.relevance import Relevance
from docrag.retrieve.rerank.relevance_reranker import RelevanceReranker
from docrag.retrieve.rerank.shown import Shown, Views
from docrag.retrieve.rerank.vllm_score import VllmScorer
from docrag.types import Query

pytestmark = pytest.mark.loopback


class Double:
    """A server; `answer` may be replaced by what a broken one does."""

    def __init__(self) -> None:
        self.models: Any = [{"id": "tiny", "root": "/models/tiny"}]
        self.trickle_s = 0.0
        self.requests: list[dict[str, Any]] = []
        self.answer: Callable[[str, dict[str, Any]], tuple[int, Any]] = self.score
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(200, {"data": double.models} if self.path == "/v1/models" else {})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                double.requests.append(body | {"path": self.path, "key": self.headers.get("authorization")})
                self._send(*double.answer(self.path, body))

            def _send(self, status: int, body: Any) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                if status == 307:
                    self.send_header("location", "/elsewhere")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                with suppress(ConnectionError):  # the client has gone
                    if self.command == "GET" or not double.trickle_s:
                        self.wfile.write(data)
                        return
                    for i in range(len(data)):
                        self.wfile.write(data[i : i + 1])
                        time.sleep(double.trickle_s)

            def log_message(self, *_: object) -> None:
                pass

        self._handler = Handler
        self.start(0)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def start(self, port: int) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", port), self._handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self.server.shutdown()
        self.server.server_close()

    def score(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """A tenth of what is worth; documents come back in another order than they went."""
        documents = body["text_2"] if path == "/score" else body["documents"]
        if isinstance(documents, dict):
            assert documents["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
            documents = [" ".join(part.get("text", "") for part in documents["content"])]
        scored = list(enumerate(worth_of(text) / 10 for text in documents))[::-1]
        usage = {"prompt_tokens": 11, "total_tokens": 11}
        if path == "/score":
            return 200, {"data": [{"index": i, "score": s} for i, s in scored], "usage": usage}
        return 200, {"results": [{"index": i, "relevance_score": s} for i, s in scored], "usage": usage}


@pytest.fixture
def double() -> Iterator[Double]:
    double = Double()
    yield double
    double.stop()


@pytest.fixture
def client(double: Double) -> Iterator[Callable[..., VllmScorer]]:
    made: list[VllmScorer] = []

    def make(**more: Any) -> VllmScorer:
        made.append(VllmScorer(VllmScoreOptions(base_url=double.url, **more), pause=no_pause))
        return made[-1]

    yield make
    for scorer in made:
        scorer.close()


async def no_pause(_seconds: float) -> None:
    """Do not wait."""


Make = Callable[..., VllmScorer]
TEXTS = [Shown(page, CORPUS.page(page.page).text) for page in PAGES]
SCORES = [Relevance(worth / 10) for worth in (1, 2, 4, 7, 9)]


@pytest.mark.parametrize("endpoint", ["score", "rerank"])
def test_scores_come_back_to_the_pages_that_they_belong_to(double: Double, client: Make, endpoint: str):
    calls = Calls()
    scorer = client(endpoint=endpoint, batch_size=2, api_key=SecretStr("secret"))
    assert scorer.score("Where is it?", TEXTS, calls) == SCORES
    assert sorted(len(r["text_2" if endpoint == "score" else "documents"]) for r in double.requests) == [
        1,
        2,
        2,
    ]
    assert {(r["path"], r["model"], r["key"]) for r in double.requests} == {
        (f"/{endpoint}", "tiny", "Bearer secret")
    }
    assert {r["text_1" if endpoint == "score" else "query"] for r in double.requests} == {"Where is it?"}
    assert [usage.n_input_tokens for usage in calls.usage] == [11, 11, 11]
    assert scorer.identify(Calls()) == f"tiny|/models/tiny|{endpoint}"


@pytest.mark.parametrize("endpoint", ["score", "rerank"])
def test_pictures_travel_one_by_one_with_their_text(double: Double, client: Make, endpoint: str):
    views = Views(CORPUS, FakePictures(), show="both")
    pages = [views.shown(page) for page in PAGES]
    calls = Calls()
    assert client(endpoint=endpoint).score("Where?", pages, calls) == SCORES
    assert len(double.requests) == 5
    assert sum(usage.n_images for usage in calls.usage) == 5


def test_a_reranker_on_it_sorts_pages(client: Make):
    judge = Judge(client(), Views(CORPUS), MemoryCache())
    result = RelevanceReranker(judge).rerank(Query("Where?"), candidates())
    assert [item.unit for item in result.ranking] == BEST_FIRST


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((200, {"data": [{"index": 0, "score": 0.5}]}), "got 1 scores for 5 documents"),
        ((200, {"data": [{"index": i, "score": 0.5} for i in (0, 1, 2, 3, 3)]}), "some that are no number"),
        ((200, {"data": [{"index": 9, "score": 0.5}]}), "score for document 9, expected 0 to 4"),
        ((200, {"data": [{"index": i, "score": "much"} for i in range(5)]}), "no data with index and score"),
        ((200, {"results": []}), "no data with index and score"),
        ((200, b"<html>"), "something else than JSON"),
        ((400, {"error": "too   long"}), 'HTTP 400 {"error": "too long"}'),
        ((401, b"no key"), "HTTP 401 no key"),
        ((307, b""), "HTTP 307"),
        ((404, b"what?"), "HTTP 404 what?; serve a reranker with --runner pooling, or set endpoint"),
    ],
)
def test_an_answer_that_cannot_be_used_is_an_error(
    double: Double, client: Make, answer: tuple[int, Any], problem: str
):
    double.answer = lambda *_: answer
    results = client(batch_size=9).score("Where?", TEXTS, Calls())
    assert all(isinstance(result, ModelError) for result in results)
    assert not any(isinstance(result, ModelUnavailable) for result in results)
    assert problem in str(results[0])
    assert "127.0.0.1" in str(results[0])
    assert len(double.requests) == 1


def test_nan_is_no_score(double: Double, client: Make):
    double.answer = lambda *_: (200, b'{"data": [{"index": 0, "score": NaN}]}')
    (result,) = client().score("Where?", TEXTS[:1], Calls())
    assert isinstance(result, ModelError)


def test_a_busy_server_is_asked_again_and_a_failing_one_given_up(double: Double, client: Make):
    replies = iter([(503, b"busy"), (429, b"slow down")])
    double.answer = lambda path, body: next(replies, None) or double.score(path, body)
    assert client(max_retries=2).score("Where?", TEXTS, Calls()) == SCORES
    double.answer = lambda *_: (500, b"boom")
    calls = Calls()
    results = client(max_retries=1, n_parallel=1, batch_size=1).score("Where?", TEXTS, calls)
    assert [type(result) for result in results] == [ModelUnavailable] * 5
    assert "HTTP 500 boom" in str(results[0])
    assert len(double.requests) == 3 + 2  # the first page's two tries, and none for the others
    assert len(calls.usage) == 1


def test_a_server_that_is_too_slow_spends_the_time(double: Double, client: Make):
    def slow(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        time.sleep(0.6)
        return double.score(path, body)

    double.answer = slow
    (result,) = client(max_retries=0).score("Where?", TEXTS[:1], Calls(max_seconds=0.2))
    assert isinstance(result, BudgetExceeded)


def test_a_server_that_trickles_does_not_get_more_time(double: Double, client: Make):
    double.trickle_s = 0.1
    double.answer = lambda *_: (200, b" " * 1_000)
    start_s = time.monotonic()
    (result,) = client(max_retries=0).score("Where?", TEXTS[:1], Calls(max_seconds=0.5))
    assert isinstance(result, BudgetExceeded)
    assert time.monotonic() - start_s < 20  # all of it would take 100 s


@pytest.mark.parametrize("n_parallel", [1, 3])
def test_requests_of_a_search_that_is_called_off_are_dropped(double: Double, client: Make, n_parallel: int):
    over = threading.Event()

    def hang(*_: object) -> tuple[int, Any]:
        over.wait(60)
        return 200, {}

    double.answer = hang
    calls = Calls(lambda: len(double.requests) >= n_parallel)
    start_s = time.monotonic()
    with pytest.raises(Cancelled):
        client(batch_size=1, n_parallel=n_parallel, timeout_s=300).score("Where?", TEXTS, calls)
    assert time.monotonic() - start_s < 20
    assert len(double.requests) == n_parallel
    over.set()


def test_a_pause_between_two_tries_ends_when_the_search_is_called_off(double: Double):
    double.answer = lambda *_: (503, "busy")
    paused = threading.Event()

    async def pause(_seconds: float) -> None:
        paused.set()
        await asyncio.sleep(300)

    options = VllmScoreOptions(base_url=double.url, max_retries=20, timeout_s=300)
    scorer = VllmScorer(options, pause=pause)
    start_s = time.monotonic()
    try:
        with pytest.raises(Cancelled):
            scorer.score("Where?", TEXTS[:1], Calls(paused.is_set))
        assert time.monotonic() - start_s < 20
        assert len(double.requests) == 1
    finally:
        scorer.close()


def test_a_closed_scorer_says_so(client: Make):
    scorer = client()
    scorer.close()
    with pytest.raises(ModelError, match="was closed"):
        scorer.identify(Calls())


def test_the_model_must_be_named_when_there_are_several(double: Double, client: Make):
    double.models = [{"id": "a"}, {"id": "b"}]
    with pytest.raises(ModelError, match=r"has the models \['a', 'b'\], asked for its only one; set model"):
        _ = client().identify(Calls())
    with pytest.raises(ModelError, match="asked for c"):
        _ = client(model="c").identify(Calls())
    assert client(model="b").identify(Calls()).startswith("b|")
    double.models = None
    with pytest.raises(ModelError, match="no list of models"):
        _ = client().identify(Calls())


def test_without_a_server_the_fused_order_stays_until_it_is_there(double: Double, client: Make):
    port = double.server.server_port
    double.stop()
    scorer = client(max_retries=1)
    with pytest.raises(ModelUnavailable, match="gave up"):
        _ = scorer.identify(Calls())
    step = RelevanceReranker(Judge(scorer, Views(CORPUS), MemoryCache()))
    result = step.rerank(Query("Where?"), candidates())
    assert result.ranking == candidates()
    assert "ConnectError" in result.warnings[0]
    double.start(port)
    assert [item.unit for item in step.rerank(Query("Where?"), candidates()).ranking] == BEST_FIRST


def test_a_region_without_text_is_a_document_too(client: Make):
    assert client().score("Where?", [Shown(unit("b.pdf", 3), "")], Calls()) == [Relevance(0.0)]
