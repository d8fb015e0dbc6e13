"""Every client of a server that docrag has: its options, and one request through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tests.models.fault_server import Exchange
from tests.retrieve.small_corpus import unit

from docrag.chat.messages import user
from docrag.chat.model import Request
from docrag.embed.openai_embeddings import OpenAiEmbedder
from docrag.embed.options import OpenAiEmbeddingsOptions
from docrag.embed.visual.options import VllmVisualOptions
from docrag.embed.visual.vllm import VllmPageEmbedder
from docrag.errors import DocragError
from docrag.http.options import EndpointOptions
from docrag.models.build import build_chat
from docrag.models.client import ModelChat
from docrag.models.options import OpenAiCompatibleOptions
from docrag.models.served import served_models
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.options import VllmScoreOptions
from docrag.retrieve.rerank.shown import Shown
from docrag.retrieve.rerank.vllm_score import VllmScorer


@dataclass(frozen=True)
class Client:
    """`use` asks for one thing, and raises what goes wrong. `once` are options that try but once."""

    options: Callable[..., EndpointOptions]
    use: Callable[[Any], None]
    more: Mapping[str, Any] = field(default_factory=dict)
    once: Mapping[str, Any] = field(default_factory=lambda: {"max_retries": 0})

    def make(self, url: str, **given: Any) -> EndpointOptions:
        return self.options(base_url=url, **self.more, **given)


def _chat(options: OpenAiCompatibleOptions) -> None:
    chat = build_chat(options)
    assert isinstance(chat, ModelChat)
    try:
        assert chat.complete([user("?")], Request()).text == "fine"
    finally:
        chat.close()


def _embeddings(options: OpenAiEmbeddingsOptions) -> None:
    embedder = OpenAiEmbedder(options)
    try:
        np.testing.assert_allclose(embedder.embed_queries(["x"]), [[0.6, 0.8]], rtol=1e-6)
    finally:
        embedder.close()


def _page_encoder(options: VllmVisualOptions) -> None:
    embedder = VllmPageEmbedder(options)
    try:
        np.testing.assert_allclose(embedder.embed_queries(["x"])[0].vectors, [[0.6, 0.8]], rtol=1e-6)
    finally:
        embedder.close()


def _reranker(options: VllmScoreOptions) -> None:
    scorer = VllmScorer(options)
    try:
        (found,) = scorer.score("?", [Shown(unit("a.pdf", 1), "text")], Calls())
        if isinstance(found, DocragError):
            raise found
        assert found.score == 0.5
    finally:
        scorer.close()


def _model_list(options: OpenAiCompatibleOptions) -> None:
    assert served_models(options, timeout_s=options.timeout_s) == ("tiny",)


TINY = {"model": "tiny"}
CLIENTS = {
    "chat": Client(OpenAiCompatibleOptions, _chat, TINY, {"max_tries": 1}),
    "embeddings": Client(OpenAiEmbeddingsOptions, _embeddings, {"model": "tiny", "dim": 2}),
    "page encoder": Client(VllmVisualOptions, _page_encoder),
    "reranker": Client(VllmScoreOptions, _reranker),
    "model list": Client(OpenAiCompatibleOptions, _model_list, TINY, {"max_tries": 1}),
}


def answer(exchange: Exchange) -> None:
    """Answer whichever of them asks."""
    match exchange.path.rpartition("/")[2]:
        case "models":
            exchange.send(200, {"data": [{"id": "tiny"}]})
        case "completions":
            exchange.stream("fine")
        case "embeddings":
            exchange.send(200, {"data": [{"index": 0, "embedding": [3.0, 4.0]}]})
        case "pooling":
            exchange.send(200, {"data": [{"data": [[3.0, 4.0]]}]})
        case "score":
            exchange.send(200, {"data": [{"index": 0, "score": 0.5}]})
        case other:
            raise AssertionError(f"nobody asks for {other}")


def failing(fault: Callable[[Exchange], None], *, name: str) -> Callable[[Exchange], None]:
    """Answer the list of models, which two clients ask for first, and fail at all else."""

    def behave(exchange: Exchange) -> None:
        is_list = exchange.path.endswith("/models")
        (fault if not is_list or name == "model list" else answer)(exchange)

    return behave
