"""The vLLM client against a server on this machine that answers as vLLM does, or does not."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from docrag.embed.visual.build import build_page_embedder
from docrag.embed.visual.options import VllmVisualOptions
from docrag.embed.visual.vllm import VllmPageEmbedder
from docrag.errors import ModelError, ModelUnavailable

pytestmark = pytest.mark.loopback
DIM = 8


class Double:
    """A server; `answer` may be replaced by what a broken one does."""

    def __init__(self) -> None:
        self.models = [{"id": "tiny", "root": "/models/tiny"}]
        self.requests: list[dict[str, Any]] = []
        self.images: list[np.ndarray] = []
        self.answer: Callable[[dict[str, Any]], tuple[int, Any]] = self.embed
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(200, {"data": double.models} if self.path == "/v1/models" else {})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                double.requests.append(body | {"path": self.path, "key": self.headers.get("authorization")})
                self._send(*double.answer(body))

            def _send(self, status: int, body: Any) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self.server.shutdown()
        self.server.server_close()

    def embed(self, body: dict[str, Any]) -> tuple[int, Any]:
        if "input" in body:
            seed, n = len(body["input"]), len(body["input"].split())
        else:
            url = body["messages"][0]["content"][0]["image_url"]["url"]
            assert url.startswith("data:image/png;base64,")
            image = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
            self.images.append(image)
            seed, n = int(image.sum()), 5
        vectors = np.random.default_rng(seed).standard_normal((n, DIM)) * 3  # not of unit length
        return 200, {"data": [{"index": 0, "object": "pooling", "data": vectors.tolist()}]}


@pytest.fixture
def double() -> Iterator[Double]:
    double = Double()
    yield double
    double.stop()


def client(double: Double, **more: Any) -> VllmPageEmbedder:
    return VllmPageEmbedder(VllmVisualOptions(base_url=double.url, **more), pause=no_pause)


async def no_pause(_seconds: float) -> None:
    """Do not wait."""


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (80, 60, 3), dtype=np.uint8)


def test_images_and_queries_become_unit_vectors_in_input_order(double: Double):
    embedder = build_page_embedder(VllmVisualOptions(base_url=double.url, batch_size=3))
    images = [picture(i) for i in range(7)]
    items = embedder.embed_images(images)
    for image, item in zip(images, items, strict=True):
        raw = np.random.default_rng(int(image.sum())).standard_normal((5, DIM))
        expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        np.testing.assert_allclose(item.vectors, expected, atol=1e-6)
    (query,) = embedder.embed_queries(["three word query"])
    assert query.vectors.shape == (3, DIM)
    assert len(query.tokens) == 3
    assert embedder.identity.dim == DIM
    assert embedder.identity.name == "tiny"
    assert sorted(image.tobytes() for image in double.images) == sorted(image.tobytes() for image in images)


def test_requests_say_what_vllm_expects(double: Double):
    embedder = client(double, query_prefix="Query: ", query_suffix="<pad>", api_key="secret")
    embedder.embed_queries(["what"])
    last = double.requests[-1]
    assert (last["path"], last["model"], last["task"]) == ("/pooling", "tiny", "token_embed")
    assert last["input"] == "Query: what<pad>"
    assert last["key"] == "Bearer secret"


def test_a_flat_answer_is_a_single_vector(double: Double):
    double.answer = lambda _: (200, {"data": [{"data": [3.0, 4.0]}]})
    assert client(double).embed_queries(["q"])[0].vectors.tolist() == [[np.float32(0.6), np.float32(0.8)]]


def test_the_model_must_be_named_when_there_are_several(double: Double):
    double.models = [{"id": "a"}, {"id": "b"}]
    with pytest.raises(ModelError, match=r"\['a', 'b'\].*visual.encoder.model"):
        client(double)
    with pytest.raises(ModelError, match="asked for c"):
        client(double, model="c")
    assert client(double, model="b").identity.name == "b"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, {"data": [{"data": [[1.0, 2.0]]}]}), r"shape \(1, 2\), expected \(n > 0, 8\)"),
        ((200, {"data": [{"data": []}]}), "shape"),
        ((200, {"data": []}), "no vectors of one input"),
        ((200, {"data": [{"data": [[0.0] * DIM]}]}), "zero or not finite"),
        ((200, {"nothing": 1}), "no vectors"),
        ((200, b"<html>"), "something else than JSON"),
        ((400, {"message": "prompt too long"}), r"HTTP 400.*prompt too long"),
        ((307, b""), "HTTP 307"),
    ],
)
def test_an_answer_that_cannot_be_used_is_an_error(double: Double, answer: tuple[int, Any], message: str):
    embedder = client(double)
    double.answer = lambda _: answer
    n_before = len(double.requests)
    with pytest.raises(ModelError, match=message) as caught:
        embedder.embed_images([picture(1)])
    assert not isinstance(caught.value, ModelUnavailable)
    assert len(double.requests) == n_before + 1


def test_a_failing_server_is_tried_again_and_then_given_up(double: Double):
    embedder = client(double, max_retries=2)
    statuses = [503, 500]

    def recovering(body: dict[str, Any]) -> tuple[int, Any]:
        return (statuses.pop(), {}) if statuses else double.embed(body)

    double.answer = recovering
    assert len(embedder.embed_images([picture(1)])) == 1
    double.answer = lambda _: (502, {"message": "bad gateway"})
    n_before = len(double.requests)
    with pytest.raises(ModelUnavailable, match=r"after 3 tries.*HTTP 502.*what is indexed stays"):
        embedder.embed_queries(["q"])
    assert len(double.requests) == n_before + 3


def test_a_server_that_is_gone_is_unavailable(double: Double):
    embedder = client(double, max_retries=0)
    double.stop()
    with pytest.raises(
        ModelUnavailable, match=r"http://127\S+: /pooling: ConnectError.*is the server running"
    ):
        embedder.embed_images([picture(1)])
