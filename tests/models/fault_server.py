"""An OpenAI-compatible server on this machine that answers as it is told, or fails in every way it can."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Exchange"], None]


class Exchange:
    """One request, and the ways to answer it; `path` is a whole URL where a proxy is asked."""

    def __init__(self, handler: Any, body: bytes, stopping: threading.Event) -> None:
        self._handler = handler
        self._stopping = stopping
        self.path: str = handler.path
        self.body: Any = json.loads(body) if body else None

    def send(self, status: int, payload: Any, **headers: str) -> None:
        """Answer with a whole body: JSON, or bytes as they are."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        fields = {
            "content-type": "application/json",
            "content-length": str(len(data)),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.raw(f"HTTP/1.1 {status} said\r\n{head}\r\n".encode() + data)

    def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def open_stream(self) -> None:
        """Begin a stream of events whose end is the end of the connection."""
        self.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        self._handler.close_connection = True

    def event(self, payload: Any) -> None:
        """Write one event."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.raw(b"data: " + data + b"\n\n")

    def stream(self, text: str, *, n_chars: int = 7, **more: Any) -> None:
        """Stream a whole reply as a well-behaved server does."""
        self.open_stream()
        self.event(chunk({"role": "assistant", "content": ""}))
        for start in range(0, len(text), n_chars):
            self.event(chunk({"content": text[start : start + n_chars]}))
        self.event(chunk({}, finish_reason="stop", **more))
        if (self.body.get("stream_options") or {}).get("include_usage"):
            self.event({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 3}})
        self.event(b"[DONE]")

    def drop(self) -> None:
        """Cut the connection with a reset."""
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # on, for 0 seconds
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._handler.connection.close()
        self._handler.close_connection = True

    def drip(self, data: bytes, *, every_s: float = 0.05) -> None:
        """Write byte by byte, again and again, until the client has gone."""
        while not self._stopping.is_set():
            for i in range(len(data)):
                self.raw(data[i : i + 1])
                if self._stopping.wait(every_s):
                    return

    def hang(self) -> None:
        """Say nothing until the client has gone."""
        self._handler.connection.settimeout(0.05)
        while not self._stopping.is_set():
            try:
                if not self._handler.connection.recv(1):
                    return
            except TimeoutError:
                continue


def chunk(delta: Mapping[str, Any], **choice: Any) -> dict[str, Any]:
    """One event of a stream."""
    return {
        "id": "c",
        "model": "served",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None, **choice}],
    }


def whole(text: str | None, **message: Any) -> dict[str, Any]:
    """A reply that is not streamed."""
    said = {"role": "assistant", "content": text, **message}
    return {
        "id": "c",
        "model": "served",
        "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3},
    }


class FaultServer:
    """Answers request after request with `behaviours`, the last one again and again.

    `n_gone` counts clients that left before their answer was complete.
    """

    def __init__(self) -> None:
        self.behaviours: list[Behaviour] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.n_gone = 0
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer._answer(self, body)

            def do_GET(self) -> None:
                outer._answer(self, b"")

            def do_CONNECT(self) -> None:
                outer._answer(self, b"")

            def log_message(self, *_: object) -> None:
                pass

            def handle(self) -> None:
                with suppress(ConnectionError, ValueError):  # the client left, or `drop` closed it
                    super().handle()

            def finish(self) -> None:
                with suppress(ValueError, OSError):
                    super().finish()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def _answer(self, handler: Any, body: bytes) -> None:
        with self._lock:
            self.bodies.append(body)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
        try:
            behaviour(Exchange(handler, body, self._stopping))
        except (ConnectionError, TimeoutError):
            with self._lock:
                self.n_gone += 1
            raise ConnectionError("the client has gone") from None

    @property
    def requests(self) -> Sequence[Any]:
        """Bodies of all requests so far."""
        return [json.loads(body) for body in self.bodies if body]

    def reset(self, *behaviours: Behaviour) -> None:
        """Forget what was asked, and behave like this from now on."""
        with self._lock:
            self.behaviours = list(behaviours)
            self.bodies, self.headers, self.n_gone = [], [], 0

    def wait_until_gone(self, n: int, *, within_s: float = 5.0) -> bool:
        """Whether `n` clients leave in time."""
        end = time.monotonic() + within_s
        while self.n_gone < n and time.monotonic() < end:
            time.sleep(0.01)
        return self.n_gone >= n

    def close(self) -> None:
        """Stop, hanging answers included."""
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def fault_server() -> Iterator[FaultServer]:
    """Run a server."""
    server = FaultServer()
    try:
        yield server
    finally:
        server.close()


def say(text: str) -> Behaviour:
    """Stream `text`, as a well-behaved server does."""
    return lambda exchange: exchange.stream(text)


def shared_share(before: bytes, after: bytes) -> float:
    """Share of `after` that `before` begins with, too."""
    n = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before))
    return n / len(after)
