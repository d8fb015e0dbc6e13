"""POST to an endpoint and stream its reply back: interruptible at any byte, by a deadline or a person."""

from __future__ import annotations

import asyncio
import ssl
import threading
import weakref
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from docrag.errors import ConfigError, ModelError
from docrag.models.call import Call, Mailbox
from docrag.models.faults import TransientFault

MAX_REPLY_BYTES = 16 * 2**20
"""A longer reply is not read to its end: no model writes that much into one."""

CONNECT_TIMEOUT_S = 10.0
"""For a connection alone, so that a host that does not respond is tried again within the deadline."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of a reply; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]


class Endpoint:
    """Posts to one URL. Redirects are not followed, and no proxy is taken from the environment.

    Requests run on an event loop in a thread of their own, since only there a connection that hangs (in a
    name look-up, a handshake, between two bytes of a header) can be given up at once. `where` names the
    endpoint in errors.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        where: str,
        proxy: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._url = url
        self._where = where
        self._client = httpx.AsyncClient(
            headers={"accept-encoding": "identity", **headers},
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            trust_env=False,
            proxy=proxy,
            verify=_trusted(ca_file) if url.startswith("https:") or proxy else _NOBODY,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: weakref.finalize[..., Endpoint] | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def post(self, body: bytes, call: Call) -> Generator[Head | bytes]:
        """Yield the reply's head, then its body in pieces. Closing the generator ends the request.

        Raises
        ------
        TransientFault
            The connection cannot be made, or breaks.
        ModelError
            The certificate is not trusted, or the reply has no end.
        Cancelled, DeadlinePassed
            As `Call.check`.
        """
        mailbox: Mailbox[Head | bytes] = Mailbox()
        loop = self._running_loop()
        request = asyncio.run_coroutine_threadsafe(self._fetch(body, mailbox), loop)
        try:
            yield from mailbox.receive(call)
        finally:
            request.cancel()

    def close(self) -> None:
        """End all requests and connections."""
        with self._lock:
            self._is_closed = True
            if self._end is not None:
                self._end()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_closed:
                raise ModelError(f"{self._where}: the model was closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=_serve, args=(self._loop,), name="docrag-endpoint", daemon=True
                ).start()
                # A model that is forgotten ends its thread; at the interpreter's end a daemon ends by itself.
                self._end = weakref.finalize(self, _end, self._loop, self._client)
                self._end.atexit = False
            return self._loop

    async def _fetch(self, body: bytes, mailbox: Mailbox[Head | bytes]) -> None:
        try:
            n_bytes = 0
            async with self._client.stream("POST", self._url, content=body) as response:
                mailbox.put(Head(response.status_code, dict(response.headers)))
                async for piece in response.aiter_raw():
                    n_bytes += len(piece)
                    if n_bytes > MAX_REPLY_BYTES:
                        raise ModelError(f"{self._where}: the reply is longer than {MAX_REPLY_BYTES} bytes")
                    mailbox.put(piece)
        except httpx.TransportError as error:
            mailbox.finish(self._fault(error))
        except Exception as error:  # handed over to the thread that waits
            mailbox.finish(error)
        else:
            mailbox.finish()

    def _fault(self, error: httpx.TransportError) -> ModelError:
        causes = [error, error.__cause__, getattr(error.__cause__, "__cause__", None)]
        said = f"{self._where}: {type(error).__name__} {error}".rstrip()
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            return ModelError(f"{said}; name the certificate of the authority in ca_file")
        if isinstance(error, httpx.ConnectError):
            said += " (is the server running, and base_url right?)"
        return TransientFault(said)


_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For plain HTTP, which needs no certificates: loading them takes a tenth of a second."""


def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the usual authorities, and those in a file."""
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"ca_file {ca_file}: cannot be read as certificates: {error}") from error
    return context


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
