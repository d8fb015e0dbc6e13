"""One call of a model: what is asked, until when, and how its pieces get from one thread to another."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from docrag.chat.model import never
from docrag.errors import Cancelled, ModelUnavailable

T = TypeVar("T")

_POLL_S = 0.05
"""How often a waiting call looks whether it was cancelled: below what a person notices."""


class DeadlinePassed(ModelUnavailable):
    """The time of a call is over; trying again is no use."""


@dataclass(frozen=True, slots=True)
class Call:
    """What `docrag.chat.model.Request` asks, with a point in time where that has a duration.

    `deadline` is on the clock of `time.monotonic`, None for no limit. `timeout_s` is what it was made from,
    for messages.
    """

    schema: Mapping[str, Any] | None = None
    schema_name: str = "reply"
    max_output_tokens: int | None = None
    n_logprobs: int = 0
    deadline: float | None = None
    timeout_s: float | None = None
    cancelled: Callable[[], bool] = never

    @property
    def remaining_s(self) -> float | None:
        """Seconds left, 0 when none are; None without a deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def check(self) -> None:
        """Raise `docrag.errors.Cancelled` or `DeadlinePassed` when the call should end."""
        if self.cancelled():
            raise Cancelled("the call of the model was called off")
        if self.remaining_s == 0:
            raise DeadlinePassed(f"no complete reply within {self.timeout_s:.3g} s")

    def pause(self, seconds: float) -> None:
        """Wait, but not past the deadline and not after a cancellation; raises as `check` does."""
        end = time.monotonic() + seconds
        self.check()
        while (left_s := end - time.monotonic()) > 0:
            time.sleep(min(left_s, self.step_s))
            self.check()

    @property
    def step_s(self) -> float:
        """How long to wait before the next look at deadline and cancellation."""
        remaining_s = self.remaining_s
        return _POLL_S if remaining_s is None else min(_POLL_S, remaining_s)


class Mailbox(Generic[T]):
    """Carries what one thread makes to the one that waits for it, within a deadline."""

    def __init__(self) -> None:
        self._entries: queue.SimpleQueue[tuple[T] | BaseException | None] = queue.SimpleQueue()

    def put(self, item: T) -> None:
        """Hand over the next item."""
        self._entries.put((item,))

    def finish(self, error: BaseException | None = None) -> None:
        """Say that nothing follows, or that making it failed."""
        self._entries.put(error)

    def receive(self, call: Call) -> Iterator[T]:
        """Yield items as they come; raises what `finish` was given, and as `Call.check`."""
        while True:
            call.check()
            try:
                entry = self._entries.get(timeout=call.step_s)
            except queue.Empty:
                continue
            if entry is None:
                return
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
