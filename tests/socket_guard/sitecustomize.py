"""Refuses the network, in the process that imports this and (by ``PYTHONPATH``) in every Python child of it.

An audit hook sees connections, binds and name look-ups of all Python code, compiled parts of the standard
library included, and costs no import of `socket`. What is allowed stands in the environment, so that a child
starts with what its parent had: nothing, or ``DOCRAG_TEST_SOCKETS=loopback``.
"""

from __future__ import annotations

import os
import sys
from typing import Any

VARIABLE = "DOCRAG_TEST_SOCKETS"
_ADDRESS_INDEX = {
    "socket.connect": 1,
    "socket.bind": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
    "socket.getnameinfo": 0,
}
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class NetworkBlocked(RuntimeError):
    """A test reached for the network. Not an OSError: client libraries must not swallow or retry it."""


def is_loopback(address: Any) -> bool:
    """Whether a socket address or host name is this machine's loopback, or a Unix socket's path."""
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(host, bytes):
        host = os.fsdecode(host)
    return host in _LOOPBACK or (isinstance(host, str) and host.startswith(("/", "\0")))


def _guard(event: str, args: tuple[Any, ...]) -> None:
    index = _ADDRESS_INDEX.get(event)
    if index is None:
        return
    address = args[index]
    if address is None:  # a message on a connected pair: nobody is named
        return
    if os.environ.get(VARIABLE) == "loopback" and is_loopback(address):
        return
    raise NetworkBlocked(
        f"{event} to {address!r} is blocked in tests; pass a fake, or, for a server on 127.0.0.1, "
        "mark the test with @pytest.mark.loopback"
    )


sys.addaudithook(_guard)
