"""HTTP requests that can be given up at any byte, by whoever waits for them.

A request that hangs, in a name look-up, a handshake or between two bytes of a header, can be dropped at once
only on an event loop. Threads that wait for something else, too, therefore leave requests to one of these.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, wait
from typing import Any, TypeVar

import httpx

from docrag.errors import Cancelled, ModelError

T = TypeVar("T")

POLL_S = 0.05
"""How often a waiting thread looks whether its request was called off: below what a person notices."""


class HttpLoop:
    """A client and the event loop that its requests run on, in a daemon thread that the first one starts.

    `where` names what is talked to, for errors. The loop and its connections end with `close`, or when the
    object is forgotten.
    """

    def __init__(self, client: httpx.AsyncClient, *, where: str) -> None:
        self._client = client
        self._where = where
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: weakref.finalize[..., HttpLoop] | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def start(self, send: Callable[[httpx.AsyncClient], Coroutine[Any, Any, T]]) -> Future[T]:
        """Begin what `send` does with the client; cancelling the future drops its request.

        Raises `docrag.errors.ModelError` once this is closed.
        """
        loop = self._running_loop()
        return asyncio.run_coroutine_threadsafe(send(self._client), loop)

    def run(
        self, send: Callable[[httpx.AsyncClient], Coroutine[Any, Any, T]], *, cancelled: Callable[[], bool]
    ) -> T:
        """Result of what `send` does with the client.

        When `cancelled` turns true, or Ctrl-C gets in, the request is dropped. Raises
        `docrag.errors.Cancelled`, `docrag.errors.ModelError` when this is closed, and what `send` raises.
        """
        return self.result(self.start(send), cancelled=cancelled)

    def result(self, request: Future[T], *, cancelled: Callable[[], bool]) -> T:
        """Result of what `start` began; waiting ends, and the request is dropped, as in `run`."""
        try:
            while not wait([request], timeout=POLL_S).done:
                if cancelled():
                    raise Cancelled(f"{self._where}: the request was called off")
            return request.result()
        except CancelledError:
            raise self._closed() from None
        finally:
            request.cancel()

    def close(self) -> None:
        """End all requests and connections."""
        with self._lock:
            self._is_closed = True
            if self._end is not None:
                self._end()

    def _closed(self) -> ModelError:
        return ModelError(f"{self._where}: the model was closed")

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_closed:
                raise self._closed()
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=_serve, args=(self._loop,), name="docrag-endpoint", daemon=True
                ).start()
                # One that is forgotten ends its thread; at the interpreter's end a daemon ends by itself.
                self._end = weakref.finalize(self, _end, self._loop, self._client)
                self._end.atexit = False
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped; the body of its thread."""
    try:
        loop.run_forever()
    finally:
        loop.close()


def _end(loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient) -> None:
    """Cancel what a loop does, close the connections and stop it; returns at once."""

    async def end() -> None:
        running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await client.aclose()
        loop.stop()

    def start() -> None:
        kept.append(loop.create_task(end()))

    kept: list[asyncio.Task[None]] = []  # a loop holds its tasks weakly
    loop.call_soon_threadsafe(start)
