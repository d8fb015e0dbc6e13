"""The endpoint encoder against a scripted server on this machine."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from docrag.embed.openai_embeddings import OpenAiEmbedder
from docrag.embed.options import OpenAiEmbeddingsOptions
from docrag.errors import ModelError

pytestmark = pytest.mark.loopback

KEY = "canary-key-7431"
Reply = tuple[int, dict[str, str], Any]


class Script:
    """Replies to give, in order (the last one again and again), and the requests seen."""

    def __init__(self) -> None:
        self.replies: list[Reply | Callable[[Any], Reply]] = [letters]
        self.requests: list[tuple[str, dict[str, str], Any]] = []


def letters(body: Any) -> Reply:
    """Embed a text as (count of a, count of b, 1), rows in reverse order."""
    rows = [
        {"index": i, "embedding": [text.count("a"), text.count("b"), 1]}
        for i, text in enumerate(body["input"])
    ]
    return 200, {}, {"data": rows[::-1]}


@pytest.fixture
def server() -> Iterator[tuple[Script, str]]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.requests.append((self.path, headers, body))
            reply = script.replies.pop(0) if len(script.replies) > 1 else script.replies[0]
            status, headers, payload = reply(body) if callable(reply) else reply
            data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script, f"http://127.0.0.1:{httpd.server_address[1]}/v1"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def make(server: tuple[Script, str]) -> Iterator[Callable[..., OpenAiEmbedder]]:
    made: list[OpenAiEmbedder] = []

    def build(pauses: list[float] | None = None, **options: Any) -> OpenAiEmbedder:
        settings = {"model": "m", "base_url": server[1], "api_key": KEY, "dim": 3, **options}
        pauses = [] if pauses is None else pauses

        async def pause(seconds: float) -> None:
            pauses.append(seconds)

        made.append(OpenAiEmbedder(OpenAiEmbeddingsOptions(**settings), pause=pause))
        return made[-1]

    yield build
    for embedder in made:
        embedder.close()


def test_rows_come_in_input_order_and_have_unit_length(make: Any, server: tuple[Script, str]):
    vectors = make(batch_size=2).embed_passages(["", "aa", "ab"])
    np.testing.assert_allclose(
        vectors, [[0, 0, 1], [2 / 5**0.5, 0, 1 / 5**0.5], [3**-0.5, 3**-0.5, 3**-0.5]], rtol=1e-6
    )
    path, headers, body = server[0].requests[0]
    assert path == "/v1/embeddings"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body == {"model": "m", "input": [" ", "aa"], "encoding_format": "float", "dimensions": 3}
    assert len(server[0].requests) == 2


def test_prompts_are_put_before_queries_and_passages(make: Any, server: tuple[Script, str]):
    embedder = make(query_prompt="q: ", passage_prompt="p: ")
    embedder.embed_queries(["x"])
    embedder.embed_passages(["x"])
    assert [body["input"] for _, _, body in server[0].requests] == [["q: x"], ["p: x"]]


def test_dimension_is_asked_of_the_endpoint_when_not_configured(make: Any):
    assert make(dim=None).identity.dim == 3


def test_busy_and_broken_servers_are_tried_again_as_they_ask(make: Any, server: tuple[Script, str]):
    pauses: list[float] = []
    server[0].replies = [
        (429, {"Retry-After": "7"}, {}),
        (503, {"Retry-After": "9999"}, {}),
        (500, {}, {}),
        letters,
    ]
    assert make(pauses).embed_queries(["a"]).shape == (1, 3)
    assert pauses[0] == 7
    assert pauses[1] == 30
    assert 0 <= pauses[2] <= 2


def test_tries_are_bounded_and_the_error_tells_the_last_reply(make: Any, server: tuple[Script, str]):
    server[0].replies = [(503, {}, {"error": "overloaded"})]
    with pytest.raises(ModelError, match=r"after 3 tries.*503.*overloaded"):
        make(max_retries=2).embed_queries(["a"])
    assert len(server[0].requests) == 3


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_request_that_cannot_succeed_is_not_repeated(make: Any, server: tuple[Script, str], status: int):
    server[0].replies = [(status, {}, {"error": "no"})]
    with pytest.raises(ModelError, match=str(status)):
        make().embed_queries(["a"])
    assert len(server[0].requests) == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"<html>",
        [],
        {"data": []},
        {"data": [{"index": 1, "embedding": [1, 2, 3]}]},
        {"data": [{"index": 0, "embedding": ["x"]}]},
        {"data": [{"index": 0, "embedding": [0, 0, 0]}]},
        {"data": [{"index": 0, "embedding": [1, 2]}]},
        b'{"data": [{"index": 0, "embedding": [NaN, 1, 1]}]}',
    ],
)
def test_an_answer_that_is_no_embedding_is_refused(make: Any, server: tuple[Script, str], payload: Any):
    server[0].replies = [(200, {}, payload)]
    with pytest.raises(ModelError):
        make().embed_queries(["a"])


def test_the_key_stands_in_no_message_and_no_log(
    make: Any, server: tuple[Script, str], caplog: pytest.LogCaptureFixture
):
    server[0].replies = [(401, {}, {"error": "bad key"})]
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelError) as caught:
        make().embed_queries(["a"])
    assert KEY not in str(caught.value)
    assert KEY not in caplog.text
    assert KEY not in repr(OpenAiEmbeddingsOptions(model="m", api_key=KEY))  # type: ignore[arg-type]
