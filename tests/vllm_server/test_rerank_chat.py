"""Pointwise and listwise reranking through a real vLLM chat server, whose tiny model says noise in form."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from tests.retrieve.rerank_fakes import CORPUS, PAGES, candidates
from tests.vllm_server.server import VllmServer

from docrag.chat.model import Chats
from docrag.chat.prompts import Prompts
from docrag.models.build import build_chat
from docrag.models.client import ModelChat
from docrag.models.options import OpenAiCompatibleOptions
from docrag.retrieve.rerank.build import RerankParts, build_rerankers
from docrag.retrieve.rerank.options import RerankOptions
from docrag.types import Query

pytestmark = pytest.mark.loopback


@pytest.fixture
def chat(vllm_chat_server: VllmServer) -> Iterator[ModelChat]:
    made = build_chat(
        OpenAiCompatibleOptions(
            base_url=vllm_chat_server.base_url, model=vllm_chat_server.model, max_output_tokens=64
        )
    )
    assert isinstance(made, ModelChat)
    yield made
    made.close()


@pytest.mark.parametrize("kind", ["pointwise", "listwise"])
def test_every_page_is_judged_and_none_is_lost(chat: ModelChat, kind: str):
    options = RerankOptions.model_validate({"steps": [{"kind": kind, "n_parallel": 2}]})
    (step,) = build_rerankers(options, RerankParts(CORPUS, lambda: Chats(chat), None, Prompts()))
    result = step.rerank(Query("Where is the gold?"), candidates())
    assert sorted(item.unit for item in result.ranking) == sorted(PAGES)
    assert result.usage
    assert sum(usage.n_input_tokens for usage in result.usage) > 100
    if kind == "pointwise":
        assert result.warnings == ()
        scores = [item.sources[step.name].score for item in result.ranking]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 and math.isfinite(score) for score in scores)
