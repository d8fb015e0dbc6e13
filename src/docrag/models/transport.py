"""POST to an endpoint and stream its reply back: interruptible at any byte, by a deadline or a person."""

from __future__ import annotations

import ssl
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from docrag.errors import ConfigError, ModelError
from docrag.http_loop import HttpLoop
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

    `where` names the endpoint in errors.
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
        client = httpx.AsyncClient(
            headers={"accept-encoding": "identity", **headers},
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            trust_env=False,
            proxy=proxy,
            verify=trusted(ca_file) if url.startswith("https:") or proxy else _NOBODY,
        )
        self._http = HttpLoop(client, where=where)

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
        request = self._http.start(lambda client: self._fetch(client, body, mailbox))
        try:
            yield from mailbox.receive(call)
        finally:
            request.cancel()

    def close(self) -> None:
        """End all requests and connections."""
        self._http.close()

    async def _fetch(self, client: httpx.AsyncClient, body: bytes, mailbox: Mailbox[Head | bytes]) -> None:
        try:
            n_bytes = 0
            async with client.stream("POST", self._url, content=body) as response:
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


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the usual authorities, and those in a file."""
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"ca_file {ca_file}: cannot be read as certificates: {error}") from error
    return context
