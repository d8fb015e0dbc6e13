"""Calls of models within the budget of one reranking."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import BaseModel

from docrag.chat.ask import reading_again, repair
from docrag.chat.json_reply import parse_reply
from docrag.chat.messages import Message, images_of
from docrag.chat.model import CallUsage, Chat, Reply, Request, never
from docrag.chat.side_by_side import Ending, side_by_side
from docrag.errors import (
    BudgetExceeded,
    Cancelled,
    ConfigError,
    DocragError,
    ModelFormatError,
    ModelUnavailable,
)

Item = TypeVar("Item")
Result = TypeVar("Result")
Schema = TypeVar("Schema", bound=BaseModel)


class Calls:
    """Counts calls and seconds; safe to use from several threads. None is no limit.

    Once an endpoint is unavailable no further call starts. `cancelled` says whether the search was called
    off: calls end then, and no further one starts. `clock` returns seconds.
    """

    def __init__(
        self,
        cancelled: Callable[[], bool] = never,
        *,
        max_calls: int | None = None,
        max_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ending = Ending(cancelled)
        self._max_calls = max_calls
        self._max_seconds = max_seconds
        self._clock = clock
        self._start_s = clock()
        self._lock = threading.Lock()
        self._n_started = 0
        self._unavailable: ModelUnavailable | None = None
        self._usage: list[CallUsage] = []

    @property
    def usage(self) -> tuple[CallUsage, ...]:
        """What every call cost so far."""
        with self._lock:
            return tuple(self._usage)

    @property
    def remaining_s(self) -> float | None:
        """Seconds left, 0 when none are; None without a limit."""
        if self._max_seconds is None:
            return None
        return max(0.0, self._max_seconds - (self._clock() - self._start_s))

    @property
    def n_left(self) -> int | None:
        """Calls that may still start; None without a limit."""
        return None if self._max_calls is None else max(0, self._max_calls - self._n_started)

    def calls_used(self) -> BudgetExceeded:
        """Return what is said when there is no call left."""
        return BudgetExceeded(f"all {self._max_calls} calls are used (max_calls)")

    def start(self, timeout_s: float | None = None) -> float | None:
        """Count a call, and return how long it may take: `timeout_s` or what is left, if that is less.

        Raises
        ------
        BudgetExceeded
            There is no call or no time left.
        ModelUnavailable
            An earlier call found the endpoint gone.
        Cancelled
            The search was called off.
        """
        if self.ending():
            raise Cancelled("the search was called off")
        with self._lock:
            if self._unavailable is not None:
                raise self._unavailable
            if self._max_calls is not None and self._n_started >= self._max_calls:
                raise self.calls_used()
            left_s = self.remaining_s
            if left_s == 0:
                raise BudgetExceeded(f"{self._max_seconds:g} seconds are over (max_seconds)")
            self._n_started += 1
        given = [seconds for seconds in (timeout_s, left_s) if seconds is not None]
        return min(given, default=None)

    def charge(self, usage: CallUsage) -> None:
        """Add what a call cost."""
        with self._lock:
            self._usage.append(usage)

    def failed(self, error: ModelUnavailable) -> DocragError:
        """Return what the failure of an endpoint means here: its end, or the end of the time it was given."""
        if self.remaining_s == 0:
            return BudgetExceeded(f"{self._max_seconds:g} seconds are over (max_seconds)")
        with self._lock:
            self._unavailable = self._unavailable or error
        return error

    def ask(
        self, chat: Chat, messages: Sequence[Message], request: Request, *, timeout_s: float | None
    ) -> Reply:
        """Make one call of a chat model; raises as `start`, and as `docrag.chat.model.Chat.complete`."""
        left_s = self.start(timeout_s)
        try:
            reply = chat.complete(
                messages,
                Request(
                    schema=request.schema,
                    schema_name=request.schema_name,
                    max_output_tokens=request.max_output_tokens,
                    n_logprobs=request.n_logprobs,
                    timeout_s=left_s,
                    cancelled=self.ending,
                ),
            )
        except DocragError as error:
            self.charge(CallUsage(n_images=len(images_of(messages))))
            if isinstance(error, ModelUnavailable):
                raise self.failed(error) from error
            raise
        self.charge(reply.usage)
        return reply

    def ask_for(
        self, chat: Chat, messages: Sequence[Message], schema: type[Schema], *, timeout_s: float | None
    ) -> Schema:
        """Make a call whose reply follows `schema`; one that does not is returned to the model once."""
        request = Request(schema=schema.model_json_schema(), schema_name=schema.__name__)
        reply = self.ask(chat, messages, request, timeout_s=timeout_s)
        try:
            return parse_reply(reply.text, schema)
        except ModelFormatError as error:
            again = repair(messages, reply.text, error)
        second = self.ask(chat, again, request, timeout_s=timeout_s)
        with reading_again(chat.name):
            return parse_reply(second.text, schema)


def each(
    work: Callable[[Item], Result], items: Sequence[Item], calls: Calls, *, n_parallel: int
) -> list[Result | DocragError]:
    """Result of `work` for every item, `n_parallel` at a time; an error stands in the place of its result.

    Items for which `calls` has no call left are not begun: the last ones, whatever thread is fastest. Wrong
    configuration and cancelling are no results: they are raised, and end what is under way.
    """
    begun = items[: calls.n_left]  # all of them where that is None
    left_out = [calls.calls_used() for _ in items[len(begun) :]]

    def attempt(item: Item) -> Result | DocragError:
        try:
            return work(item)
        except (Cancelled, ConfigError):
            raise
        except DocragError as error:
            return error

    return [*side_by_side(attempt, begun, n_parallel=n_parallel, ending=calls.ending), *left_out]
