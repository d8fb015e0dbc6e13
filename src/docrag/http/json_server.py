"""A server that is asked for JSON: again where that helps, and no longer than somebody waits for it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx

from docrag.errors import ModelError, ModelUnavailable
from docrag.http.calling_off import current_call_off
from docrag.http.client import make_client
from docrag.http.faults import (
    RETRIED_STATUS,
    RequestRefused,
    connection_problem,
    is_lasting,
    redirect_of,
    refusal,
    retry_after_s,
    shortened,
)
from docrag.http.loop import HttpLoop
from docrag.http.options import EndpointOptions
from docrag.http.secrets import headers_of, mask_of

MAX_PAUSE_S = 30.0
"""Longest pause between two tries, whatever a Retry-After header asks for."""

PATIENCE = "when the server is there again, repeat the command: what is indexed stays"
"""What `JsonServer` is told by those whose requests make an index."""

MAX_REPLY_BYTES = 256 * 2**20
"""Far more than a batch of vectors in JSON; a longer reply has no end, or is none."""

_SHOWN_CHARS = 80


class _Request(NamedTuple):
    """What is asked for, and how long: `within_s` from the start, until `end_s` of `time.monotonic`."""

    method: str
    path: str
    content: bytes | None
    next_steps: Mapping[int, str]
    within_s: float | None
    end_s: float | None

    @property
    def left_s(self) -> float | None:
        """Seconds left, 0 when none are; None without an end."""
        return None if self.end_s is None else max(0.0, self.end_s - time.monotonic())


class _Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    content: bytes


class JsonServer:
    """One server. Requests are dropped when the search they belong to is called off, and on Ctrl-C.

    Statuses and broken connections that may pass are tried again, after a pause that a Retry-After header
    says, or else of 0.5, 1, 2, … seconds at most. Keys stand in no message. Safe to use from several threads.

    Parameters
    ----------
    where
        What the server is, and its URL, for messages.
    timeout_s
        Seconds for one try, from connecting to the last byte; None for no limit.
    max_retries
        Tries after the first.
    patience
        What to do once the server is there again, for messages.
    pause
        Waits between tries.
    """

    def __init__(
        self,
        options: EndpointOptions,
        *,
        where: str,
        timeout_s: float | None,
        max_retries: int,
        max_pause_s: float = MAX_PAUSE_S,
        patience: str = "",
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        headers = headers_of(options)
        self._options = options
        self._where = where
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._max_pause_s = max_pause_s
        self._patience = patience
        self._pause = pause
        self._mask = mask_of(options, headers)
        self._http = HttpLoop(make_client(options, headers=headers), where=where)

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        next_steps: Mapping[int, str] = MappingProxyType({}),
        within_s: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Any:  # noqa: ANN401 (JSON)
        """Answer to one request, below `base_url`, within `within_s` for all tries together.

        `next_steps` say what to do about a status, where that is known better than usually. `cancelled` is by
        default what `docrag.http.calling_off` says of the calling thread.

        Raises
        ------
        ModelUnavailable
            It cannot be reached, or keeps failing.
        RequestRefused
            It refuses the request.
        ModelError
            It answers with something else than JSON, or this is closed.
        Cancelled
            The search was called off.
        """
        (answer,) = self.ask_each(
            method,
            path,
            [body],
            n_parallel=1,
            next_steps=next_steps,
            within_s=within_s,
            cancelled=cancelled,
        )
        return answer

    def ask_each(
        self,
        method: str,
        path: str,
        bodies: Iterable[Mapping[str, Any] | None],
        *,
        n_parallel: int,
        next_steps: Mapping[int, str] = MappingProxyType({}),
        within_s: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Any]:
        """Answers to several requests in their order, `n_parallel` at a time; raises as `ask`.

        Bodies are taken one after the other while the requests before them are on their way. The first that
        fails ends the others.
        """
        stop = cancelled if cancelled is not None else current_call_off()
        end_s = None if within_s is None else time.monotonic() + within_s
        gate = asyncio.Semaphore(n_parallel)
        requests: list[Future[bytes]] = []
        try:
            for body in bodies:
                content = None if body is None else _encoded(body)
                asked = _Request(method, path, content, next_steps, within_s, end_s)
                requests.append(
                    self._http.start(lambda client, asked=asked: self._through(gate, client, asked))
                )
            return [self._json(path, self._http.result(one, cancelled=stop)) for one in requests]
        finally:
            for one in requests:
                one.cancel()

    def close(self) -> None:
        """End all requests and connections."""
        self._http.close()

    def error(self, problem: str) -> ModelError:
        """Return the error that says what is wrong with this server's answer."""
        return ModelError(f"{self._where}: {self._mask(problem)}")

    # ── on the loop ──────────────────────────────────────────────────────────────────────────────────

    async def _through(self, gate: asyncio.Semaphore, client: httpx.AsyncClient, asked: _Request) -> bytes:
        async with gate:
            return await self._tried(client, asked)

    async def _tried(self, client: httpx.AsyncClient, asked: _Request) -> bytes:
        """Content of the first answer that is no failure."""
        problem, n_tries = "no time is left", 0
        while n_tries <= self._max_retries and (left_s := asked.left_s) != 0:
            n_tries += 1
            asked_pause_s = None
            is_last = left_s is not None and (self._timeout_s is None or left_s <= self._timeout_s)
            try:
                reply = await self._once(client, asked, left_s if is_last else self._timeout_s)
            except TimeoutError:
                given_s = asked.within_s if is_last else self._timeout_s
                problem = f"{asked.path}: no complete answer within {given_s:.3g} s; raise timeout_s"
            except httpx.RequestError as error:
                problem = f"{asked.path}: {connection_problem(error, self._options)}"
                if is_lasting(error):
                    raise self.error(problem) from error
            else:
                if 200 <= reply.status < 300:
                    return reply.content
                problem = f"{asked.path}: {self._refused(reply, asked.next_steps)}"
                if reply.status not in RETRIED_STATUS:
                    raise RequestRefused(f"{self._where}: {problem}", status=reply.status)
                asked_pause_s = retry_after_s(reply.headers, now=datetime.now(UTC))
            if n_tries > self._max_retries:
                break
            pause_s = self._pause_s(n_tries, asked_pause_s)
            if (left_s := asked.left_s) is not None and pause_s >= left_s:
                if left_s > 0:
                    problem += f"; waiting {pause_s:.3g} s more would take too long"
                break
            await self._pause(pause_s)
        tried = f"gave up after {n_tries} tries; the last one: " if n_tries > 1 else ""
        patience = f"; {self._patience}" if self._patience else ""
        raise ModelUnavailable(f"{self._where}: {tried}{self._mask(problem)}{patience}")

    def _pause_s(self, n_faults: int, asked_pause_s: float | None) -> float:
        # Full jitter below 0.5, 1, 2, … seconds, so that clients do not come back in step.
        pause_s = random.uniform(0, 0.5 * 2 ** (n_faults - 1)) if asked_pause_s is None else asked_pause_s
        return min(pause_s, self._max_pause_s)

    async def _once(self, client: httpx.AsyncClient, asked: _Request, timeout_s: float | None) -> _Reply:
        """One answer, however slowly it trickles in; TimeoutError after `timeout_s`."""
        received = bytearray()
        url = self._options.base_url + asked.path
        headers = {} if asked.content is None else {"content-type": "application/json"}
        async with (
            asyncio.timeout(timeout_s),
            client.stream(asked.method, url, content=asked.content, headers=headers) as response,
        ):
            async for piece in response.aiter_bytes():
                received += piece
                if len(received) > MAX_REPLY_BYTES:
                    raise self.error(f"{asked.path}: answered with more than {MAX_REPLY_BYTES} bytes")
            return _Reply(response.status_code, dict(response.headers), bytes(received))

    # ── what came ────────────────────────────────────────────────────────────────────────────────────

    def _refused(self, reply: _Reply, next_steps: Mapping[int, str]) -> str:
        is_redirect = 300 <= reply.status < 400
        detail = redirect_of(reply.headers) if is_redirect else reply.content.decode("utf-8", "replace")
        return refusal(
            reply.status, shortened(self._mask(detail)), next_step=next_steps.get(reply.status, "")
        )

    def _json(self, path: str, content: bytes) -> Any:  # noqa: ANN401 (JSON)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            got = " ".join(content[: 4 * _SHOWN_CHARS].decode("utf-8", "replace").split())[:_SHOWN_CHARS]
            raise self.error(
                f"{path}: answered with something else than JSON: got {got!r}; check base_url"
            ) from None


def shape_of(answer: Any) -> str:  # noqa: ANN401 (JSON)
    """Say what an answer is, without what it holds: that may be text of a document."""
    if isinstance(answer, Mapping):
        return f"an object with {', '.join(sorted(map(str, answer))[:8]) or 'nothing in it'}"
    if isinstance(answer, list):
        return f"a list of {len(answer)}"
    return f"a {type(answer).__name__}"


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
