"""A server for the whole folder: starting one for every test would take most of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.models.fault_server import FaultServer, fault_server, say

from docrag.models.client import ModelChat
from docrag.models.openai_compatible import OpenAiCompatibleChatModel
from docrag.models.options import OpenAiCompatibleOptions


@pytest.fixture(scope="session")
def _running_server() -> Iterator[FaultServer]:
    import os

    # The first test that asks for it is marked loopback, but fixtures of a session come before marks.
    before = os.environ.get("DOCRAG_TEST_SOCKETS")
    os.environ["DOCRAG_TEST_SOCKETS"] = "loopback"
    try:
        with fault_server() as server:
            yield server
    finally:
        if before is None:
            os.environ.pop("DOCRAG_TEST_SOCKETS", None)
        else:
            os.environ["DOCRAG_TEST_SOCKETS"] = before


@pytest.fixture
def server(_running_server: FaultServer) -> FaultServer:
    """The server, saying "fine" to everything."""
    _running_server.reset(say("fine"))
    return _running_server


@pytest.fixture
def make_chat(server: FaultServer) -> Iterator[Callable[..., ModelChat]]:
    """Makes clients of the server that do not wait between tries; `pauses` gets what they would wait."""
    made: list[ModelChat] = []

    def make(pauses: list[float] | None = None, **options: Any) -> ModelChat:
        kept = [] if pauses is None else pauses
        given = OpenAiCompatibleOptions(
            **{"model": "tiny", "base_url": server.url, "timeout_s": 10, **options}
        )
        made.append(
            ModelChat(
                OpenAiCompatibleChatModel(options=given),
                name=given.model,
                max_tries=given.max_tries,
                timeout_s=given.timeout_s,
                pause=lambda _call, seconds: kept.append(seconds),
            )
        )
        return made[-1]

    yield make
    for chat in made:
        chat.close()
