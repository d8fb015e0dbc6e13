"""Who may call off what a thread is doing, known to the requests made deep inside it.

A search asks retrievers, they ask encoders, and these ask servers. Retrievers and encoders, also those that
users write, are given a question and nothing else; so whoever runs them says here how their requests can be
called off, for as long as they run. Threads that one starts know nothing of it unless they are started with
a copy of the context.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar


def _never() -> bool:
    return False


_CANCELLED: ContextVar[Callable[[], bool]] = ContextVar("docrag_cancelled", default=_never)


@contextmanager
def called_off_by(cancelled: Callable[[], bool]) -> Generator[None]:
    """Drop requests that are made inside the block once `cancelled` turns true; it is polled meanwhile."""
    token = _CANCELLED.set(cancelled)
    try:
        yield
    finally:
        _CANCELLED.reset(token)


def current_call_off() -> Callable[[], bool]:
    """What the innermost `called_off_by` around the caller was given; never true without one."""
    return _CANCELLED.get()
