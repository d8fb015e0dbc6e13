"""Answers and searches that are called off while the search asks a model, which never replies."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest
from tests.api.conftest import settings_with
from tests.models.fault_server import fault_server

from docrag import DocRAG
from docrag.chat.events import StepEvent

DEADLINE_S = 30.0


@pytest.fixture(autouse=True)
def no_run_goes_on():
    yield
    names = {thread.name.rpartition("_")[0] or thread.name for thread in threading.enumerate()}
    assert not names & {"docrag-run", "docrag-calls"}


@pytest.fixture
def hanging(folder):
    """An index whose searches ask a model to rerank, which never replies; and its server."""
    with fault_server() as server:
        server.reset(lambda exchange: exchange.hang())
        model = {"kind": "openai", "base_url": server.url, "model": "tiny", "timeout_s": 300}
        step = {"kind": "pointwise", "n_parallel": 2, "timeout_s": 300, "max_seconds": None}
        settings = settings_with(
            f"models.default={json.dumps(model)}", f"retrieval.rerank.steps=[{json.dumps(step)}]"
        )
        with DocRAG.open(folder, settings=settings) as rag:
            yield rag, server


def wait_until_asked(server, n_times=1):
    end_s = time.monotonic() + DEADLINE_S
    while len(server.bodies) < n_times:
        assert time.monotonic() < end_s
        time.sleep(0.01)


@pytest.mark.loopback
def test_closing_a_stream_does_not_wait_for_the_models_of_its_search(hanging):
    rag, server = hanging
    events = rag.stream("Who is the chief executive?")
    while (step := next(events)).name != "pointwise":
        pass
    assert step.message.startswith("reranking ")
    wait_until_asked(server)
    start_s = time.monotonic()
    events.close()
    assert time.monotonic() - start_s < DEADLINE_S


@pytest.mark.loopback
@pytest.mark.parametrize("verb", ["aask", "asearch"])
def test_cancelling_the_task_drops_the_requests_of_its_search(hanging, verb):
    rag, server = hanging

    async def cancel():
        task = asyncio.create_task(getattr(rag, verb)("Who is the chief executive?"))
        await asyncio.to_thread(wait_until_asked, server)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, DEADLINE_S)

    asyncio.run(cancel())


@pytest.mark.loopback
@pytest.mark.parametrize("kind", ["gated", "summaries"])
def test_cancelling_the_task_drops_what_pages_are_asked_about(folder, kind):
    n_left = []

    def hang(exchange):
        exchange.hang()
        n_left.append(1)

    async def cancel(rag, server):
        task = asyncio.create_task(rag.aask("Who is the chief executive, and what was the revenue in 2023?"))
        await asyncio.to_thread(wait_until_asked, server, 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, DEADLINE_S)

    with fault_server() as server:
        server.reset(hang)
        model = {"kind": "openai", "base_url": server.url, "model": "tiny", "timeout_s": 300}
        of_a_page = "answer.n_parallel=2" if kind == "gated" else "answer.pages_per_call=1"
        settings = settings_with(f"models.default={json.dumps(model)}", f"answer.kind={kind}", of_a_page)
        with DocRAG.open(folder, settings=settings) as rag:
            asyncio.run(cancel(rag, server))
            end_s = time.monotonic() + DEADLINE_S
            while len(n_left) < len(server.bodies) and time.monotonic() < end_s:
                time.sleep(0.01)
            assert len(n_left) == len(server.bodies) >= 2


@pytest.mark.loopback
def test_closing_a_conversation_does_not_wait_for_its_follow_up(folder):
    with fault_server() as server:
        server.reset(lambda exchange: exchange.hang())
        model = {"kind": "openai", "base_url": server.url, "model": "tiny", "timeout_s": 300}
        settings = settings_with(f"models.default={json.dumps(model)}", "chat.timeout_s=300")
        with DocRAG.open(folder, settings=settings) as rag:
            chat = rag.chat()
            chat.ask("What was the revenue in 2023?")
            events = chat.stream("And in 2022?")
            assert next(events) == StepEvent("follow-up", "reading the conversation")
            wait_until_asked(server)
            start_s = time.monotonic()
            events.close()
            assert time.monotonic() - start_s < DEADLINE_S
            assert len(chat.history) == 1


# ── encoders behind servers ──────────────────────────────────────────────────────────────────────────────


def with_encoder(url, **options):
    encoder = {"kind": "openai", "base_url": url, "model": "tiny", "timeout_s": 300, **options}
    return settings_with(f"embed={json.dumps(encoder)}")


@pytest.mark.loopback
@pytest.mark.parametrize("verb", ["aask", "asearch", "aindex"])
def test_cancelling_the_task_drops_the_requests_of_its_encoder(folder, tmp_path, verb):
    """The first two hang when the encoder is made, indexing when it embeds the first pages."""
    left = threading.Event()

    def hang(exchange):
        exchange.hang()
        left.set()

    async def cancel(rag, server):
        arguments = [] if verb == "aindex" else ["Who is the chief executive?"]
        task = asyncio.create_task(getattr(rag, verb)(*arguments))
        await asyncio.to_thread(wait_until_asked, server)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, DEADLINE_S)

    with fault_server() as server:
        server.reset(hang)
        is_new = verb == "aindex"
        settings = with_encoder(server.url, **({"dim": 2} if is_new else {}))
        with DocRAG.open(folder, index=tmp_path / "new" if is_new else None, settings=settings) as rag:
            asyncio.run(cancel(rag, server))
            assert left.wait(DEADLINE_S)
