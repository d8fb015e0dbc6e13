"""POST to an endpoint and stream its reply back: interruptible at any byte, by a deadline or a person."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import httpx

from docrag.errors import ModelError
from docrag.http.client import make_client
from docrag.http.faults import connection_problem, is_lasting
from docrag.http.loop import HttpLoop
from docrag.http.options import EndpointOptions
from docrag.models.call import Call, Mailbox
from docrag.models.faults import TransientFault

MAX_REPLY_BYTES = 16 * 2**20
"""A longer reply is not read to its end: no model writes that much into one."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of a reply; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]


class Endpoint:
    """Posts to one path of a server, with `headers`; `where` names it in errors."""

    def __init__(
        self, options: EndpointOptions, path: str, *, headers: Mapping[str, str], where: str
    ) -> None:
        self._options = options
        self._url = options.base_url + path
        self._where = where
        client = make_client(options, headers={"accept-encoding": "identity", **headers})
        self._http = HttpLoop(client, where=where)

    def post(self, body: bytes, call: Call) -> Generator[Head | bytes]:
        """Yield the reply's head, then its body in pieces. Closing the generator ends the request.

        Raises
        ------
        TransientFault
            The connection cannot be made, or breaks.
        ModelError
            The certificate is not trusted, a proxy lets nobody in, or the reply has no end.
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
        except httpx.RequestError as error:
            mailbox.finish(self._fault(error))
        except Exception as error:  # handed over to the thread that waits
            mailbox.finish(error)
        else:
            mailbox.finish()

    def _fault(self, error: httpx.RequestError) -> ModelError:
        said = f"{self._where}: {connection_problem(error, self._options)}"
        return ModelError(said) if is_lasting(error) else TransientFault(said)
