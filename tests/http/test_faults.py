"""Every client against every way in which a server may fail: the error says whose, what came, what to do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from tests.http.clients import CLIENTS, answer, failing
from tests.models.fault_server import Exchange, FaultServer, fault_server

from docrag.errors import ModelError, ModelUnavailable
from docrag.models.served import served_models

pytestmark = pytest.mark.loopback

KEY = "canary-key-7431"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as server:
        yield server


def status(code: int, said: str, **headers: str) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.send(code, {"error": {"message": f"{said} {KEY}"}}, **headers)


def truncated(exchange: Exchange) -> None:
    exchange.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n")
    exchange.raw(b'{"data": [')
    exchange.drop()


class Seen(NamedTuple):
    """Whether the server may come back, and what stands in the message."""

    behaviour: Callable[[Exchange], None]
    passes: bool
    said: tuple[str, ...]


FAULTS = {
    "401": Seen(status(401, "bad key"), False, ("refuses the key", "HTTP 401", "bad key", "api_key_env")),
    "404": Seen(status(404, "no such thing"), False, ("HTTP 404", "no such thing", ";")),
    "422": Seen(status(422, "bad field"), False, ("refuses the request", "HTTP 422", "bad field")),
    "429": Seen(status(429, "slow down", retry_after="0"), True, ("HTTP 429", "slow down", "send fewer")),
    "500": Seen(status(500, "oops"), True, ("HTTP 500", "oops", "server's log")),
    "timeout": Seen(lambda exchange: exchange.hang(), True, ("within 0.3 s", "raise timeout_s")),
    "truncated": Seen(truncated, True, ("the connection broke", "server's log")),
    "redirect": Seen(
        lambda exchange: exchange.send(
            307, b"", location=f"https://me:{KEY}@elsewhere.invalid/v1/x?key={KEY}"
        ),
        False,
        ("HTTP 307", "a redirect to https://elsewhere.invalid/v1/x", "not followed", "correct base_url"),
    ),
    "another shape": Seen(lambda exchange: exchange.send(200, {"version": 7}), False, ()),
    "no object": Seen(lambda exchange: exchange.send(200, [1, 2]), False, ()),
    "a page": Seen(
        lambda exchange: exchange.send(200, b"<html><title>Sign in</title>", content_type="text/html"),
        False,
        ("Sign in", "check base_url"),
    ),
}
SHAPES = {
    "chat": {"another shape": (True, "no choices"), "no object": (False, "not a reply of this interface")},
    "embeddings": "not a list of 1 embeddings, but {} (",
    "page encoder": "no vectors of one input, but is {} (",
    "reranker": "no data with index and score, but is {} (",
    "model list": "no list of models, but {}; expected data with an id each",
}
GOT = {"another shape": "an object with version", "no object": "a list of 2"}


def expected(name: str, fault: str) -> tuple[bool, tuple[str, ...]]:
    """Whether it passes, and what is said; a shape is described by everybody in other words."""
    seen = FAULTS[fault]
    if fault not in GOT:
        return seen.passes, seen.said
    shape = SHAPES[name]
    if isinstance(shape, str):
        return False, (shape.format(GOT[fault]),)
    passes, said = shape[fault]
    return passes, (said,)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", CLIENTS)
def test_a_fault_is_told_with_the_server_what_came_and_what_to_do(server: FaultServer, name: str, fault: str):
    client = CLIENTS[name]
    server.reset(failing(FAULTS[fault].behaviour, name=name))
    timeout_s = 0.3 if fault == "timeout" else 20
    options = client.make(server.url, api_key=KEY, timeout_s=timeout_s, **client.once)
    if (name, fault) == ("model list", "404"):  # many servers keep none
        assert served_models(options, timeout_s=20) is None  # type: ignore[arg-type]
        return
    passes, said = expected(name, fault)
    with pytest.raises(ModelError) as caught:
        client.use(options)
    message = str(caught.value)
    assert server.url.removesuffix("/v1") in message
    assert not [words for words in said if words not in message], message
    assert isinstance(caught.value, ModelUnavailable) == passes, message
    assert KEY not in message


@pytest.mark.parametrize("name", CLIENTS)
def test_a_server_that_is_not_there_is_unavailable(name: str):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # taken, and nobody listens
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        client = CLIENTS[name]
        with pytest.raises(ModelUnavailable, match=r"ConnectError.*is the server running") as caught:
            client.use(client.make(url, **client.once))
    assert url.removesuffix("/v1") in str(caught.value)


@pytest.mark.parametrize("fault", [fault for fault, seen in FAULTS.items() if seen.passes])
@pytest.mark.parametrize("name", sorted(CLIENTS.keys() - {"model list"}))
def test_a_fault_that_passes_costs_another_try(server: FaultServer, name: str, fault: str):
    client = CLIENTS[name]
    again: dict[str, Any] = {name: value + 1 for name, value in client.once.items()}
    failed: list[str] = []

    def behave(exchange: Exchange) -> None:
        if exchange.path.endswith("/models") or failed:
            answer(exchange)
        else:
            failed.append(exchange.path)
            FAULTS[fault].behaviour(exchange)

    server.reset(behave)
    if fault == "timeout" and name in ("chat", "reranker"):  # theirs is for all tries together
        with pytest.raises(ModelUnavailable, match=r"within 0\.3 s"):
            client.use(client.make(server.url, timeout_s=0.3, **again))
        return
    client.use(client.make(server.url, timeout_s=1 if fault == "timeout" else 20, **again))
    assert len(failed) == 1
