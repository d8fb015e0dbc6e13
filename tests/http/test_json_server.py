"""How a server is asked: how often, how long, side by side, and until when."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.models.fault_server import Exchange, FaultServer, fault_server

from docrag.errors import Cancelled, ModelError, ModelUnavailable
from docrag.http.calling_off import called_off_by, current_call_off
from docrag.http.faults import RequestRefused
from docrag.http.json_server import MAX_PAUSE_S, JsonServer
from docrag.http.options import EndpointOptions

pytestmark = pytest.mark.loopback

DEADLINE_S = 20.0
"""Far longer than dropping a request takes, far shorter than what hangs would take."""

Make = Callable[..., JsonServer]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as server:
        yield server


@pytest.fixture
def make(server: FaultServer) -> Iterator[Make]:
    """Make servers to ask that do not wait between tries; `pauses` gets what they would wait."""
    made: list[JsonServer] = []

    def build(pauses: list[float] | None = None, **given: Any) -> JsonServer:
        kept = [] if pauses is None else pauses

        async def pause(seconds: float) -> None:
            kept.append(seconds)

        settings = {"where": "it", "timeout_s": 60.0, "max_retries": 4, "pause": pause, **given}
        made.append(JsonServer(EndpointOptions(base_url=server.url), **settings))
        return made[-1]

    yield build
    for one in made:
        one.close()


def fails(status: int, **headers: str) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.send(status, {}, **headers)


def echo(exchange: Exchange) -> None:
    exchange.send(200, exchange.body)


def test_it_waits_as_long_as_it_is_asked_to_and_no_longer_than_half_a_minute(server: FaultServer, make: Make):
    later = (datetime.now(UTC) + timedelta(seconds=12)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    pauses: list[float] = []
    server.reset(
        fails(429, retry_after="7"),
        fails(503, retry_after=later),
        fails(503, retry_after="9999"),
        fails(500),
        echo,
    )
    assert make(pauses).ask("POST", "/x", {"a": "é"}) == {"a": "é"}
    assert pauses[0] == 7
    assert 0 < pauses[1] <= 12
    assert pauses[2] == MAX_PAUSE_S
    assert 0 <= pauses[3] <= 4  # 0.5 s, doubled three times, is the most after a fourth failure


def test_a_pause_that_would_outlast_the_time_is_not_begun(server: FaultServer, make: Make):
    pauses: list[float] = []
    server.reset(fails(429, retry_after="25"))
    with pytest.raises(ModelUnavailable, match=r"HTTP 429.*waiting 25 s more would take too long"):
        make(pauses).ask("POST", "/x", {}, within_s=20)
    assert (len(server.bodies), pauses) == (1, [])


def test_no_try_begins_when_the_time_is_over(server: FaultServer, make: Make):
    server.reset(echo)
    with pytest.raises(ModelUnavailable, match="no time is left"):
        make().ask("POST", "/x", {}, within_s=0)
    assert server.bodies == []


def test_a_reply_that_trickles_gets_no_more_time(server: FaultServer, make: Make):
    server.reset(lambda exchange: exchange.drip(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200))
    start_s = time.monotonic()
    with pytest.raises(ModelUnavailable, match=r"within 0\.3 s"):
        make(timeout_s=0.3, max_retries=0).ask("POST", "/x", {})
    assert time.monotonic() - start_s < DEADLINE_S


def test_tries_are_counted_and_told(server: FaultServer, make: Make):
    server.reset(fails(500))
    with pytest.raises(
        ModelUnavailable, match=r"^it: gave up after 3 tries; the last one: /x: .*; come back$"
    ):
        make(max_retries=2, patience="come back").ask("POST", "/x", {})
    assert len(server.bodies) == 3


def test_what_is_refused_is_told_with_its_status_and_the_better_advice(server: FaultServer, make: Make):
    server.reset(fails(404))
    with pytest.raises(RequestRefused, match=r"^it: /x: HTTP 404 \{\}; try the other door$") as caught:
        make().ask("POST", "/x", {}, next_steps={404: "try the other door"})
    assert caught.value.status == 404
    assert len(server.bodies) == 1


def test_several_are_asked_at_a_time_and_answered_in_their_order(server: FaultServer, make: Make):
    running, most, lock = [0], [0], threading.Lock()
    full = threading.Event()

    def slow(exchange: Exchange) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
            if running[0] == 3:
                full.set()
        assert full.wait(DEADLINE_S)
        # Long enough for more to come, if more did; every other one is later than the one after it.
        time.sleep(0.1 if exchange.body["n"] % 2 else 0.05)
        with lock:
            running[0] -= 1
        exchange.send(200, exchange.body)

    server.reset(slow)
    bodies = [{"n": n} for n in range(9)]
    assert make().ask_each("POST", "/x", iter(bodies), n_parallel=3) == bodies
    assert most[0] == 3


def test_the_first_that_fails_ends_the_others(server: FaultServer, make: Make):
    left = threading.Event()

    def behave(exchange: Exchange) -> None:
        if exchange.body["n"] == 0:
            while len(server.bodies) < 2:
                time.sleep(0.01)
            exchange.send(400, {})
        else:
            exchange.hang()
            left.set()

    server.reset(behave)
    with pytest.raises(RequestRefused):
        make(timeout_s=300.0).ask_each("POST", "/x", [{"n": 0}, {"n": 1}], n_parallel=2)
    assert left.wait(DEADLINE_S)


def test_nothing_is_asked_for_nothing(server: FaultServer, make: Make):
    assert make().ask_each("POST", "/x", [], n_parallel=2) == []


def test_a_closed_one_says_so(make: Make):
    closed = make()
    closed.close()
    with pytest.raises(ModelError, match="it: the model was closed"):
        closed.ask("GET", "/x")


# ── calling off ──────────────────────────────────────────────────────────────────────────────────────


def test_who_is_asked_last_whether_to_go_on_is_who_said_so_last():
    assert current_call_off()() is False
    with called_off_by(lambda: True):
        with called_off_by(lambda: False):
            assert current_call_off()() is False
        assert current_call_off()() is True
    assert current_call_off()() is False


def test_a_call_off_holds_for_its_own_thread_alone():
    seen: list[bool] = []
    with called_off_by(lambda: True):
        thread = threading.Thread(target=lambda: seen.append(current_call_off()()))
        thread.start()
        thread.join()
    assert seen == [False]


@pytest.mark.parametrize("n", [1, 4])
def test_requests_are_dropped_when_they_are_called_off(server: FaultServer, make: Make, n: int):
    gone = threading.Semaphore(0)

    def hang(exchange: Exchange) -> None:
        exchange.hang()
        gone.release()

    server.reset(hang)
    start_s = time.monotonic()
    with called_off_by(lambda: len(server.bodies) >= n), pytest.raises(Cancelled):
        make(timeout_s=300.0).ask_each("POST", "/x", [{}] * n, n_parallel=n)
    assert time.monotonic() - start_s < DEADLINE_S
    assert all(gone.acquire(timeout=DEADLINE_S) for _ in range(n))
    assert len(server.bodies) == n


def test_an_interruption_drops_them_all(server: FaultServer, make: Make):
    gone = threading.Semaphore(0)

    def hang(exchange: Exchange) -> None:
        exchange.hang()
        gone.release()

    def interrupted() -> bool:  # in the thread that waits, where Ctrl-C is raised
        if len(server.bodies) < 3:
            return False
        raise KeyboardInterrupt

    server.reset(hang)
    start_s = time.monotonic()
    with called_off_by(interrupted), pytest.raises(KeyboardInterrupt):
        make(timeout_s=300.0).ask_each("POST", "/x", [{}] * 3, n_parallel=3)
    assert time.monotonic() - start_s < DEADLINE_S
    assert all(gone.acquire(timeout=DEADLINE_S) for _ in range(3))


def test_a_pause_is_called_off_too(server: FaultServer, make: Make):
    paused = threading.Event()

    async def pause(_seconds: float) -> None:
        paused.set()
        await asyncio.sleep(300)

    server.reset(fails(500))
    with called_off_by(paused.is_set), pytest.raises(Cancelled):
        make(pause=pause).ask("POST", "/x", {})
    assert len(server.bodies) == 1
