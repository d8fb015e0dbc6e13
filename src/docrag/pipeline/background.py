"""One thread a run: its events as a generator, or awaited; whoever stops listening calls the run off."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from typing import TypeVar

from docrag.chat.events import AnswerEvent, Event, Listener
from docrag.types import Answer

T = TypeVar("T")

Run = Callable[[Listener], Answer]
"""Answers one question; polls the listener whether it should end."""

_WAKE_S = 0.2
"""How often a waiting generator looks up, so that Ctrl-C gets in on every system."""


class Hearer:
    """Passes events on until `cancel` is set."""

    def __init__(self, send: Callable[[Event], None], cancel: threading.Event) -> None:
        self._send = send
        self._cancel = cancel

    def on_event(self, event: Event) -> None:
        """Pass it on."""
        if not self._cancel.is_set():
            self._send(event)

    def cancelled(self) -> bool:
        """Whether somebody has stopped listening."""
        return self._cancel.is_set()


def events_of(run: Run) -> Generator[Event]:
    """Events of a run in a thread of its own, the answer last; closing the generator calls the run off.

    The thread has ended when the generator has. What the run raises is raised here.
    """
    events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
    cancel = threading.Event()

    def work() -> None:
        try:
            last: Event | BaseException = AnswerEvent(run(Hearer(events.put, cancel)))
        except BaseException as error:  # raised again where the events are read
            last = error
        events.put(last)

    thread = _start(work)
    try:
        while True:
            try:
                event = events.get(timeout=_WAKE_S)
            except queue.Empty:
                continue
            if isinstance(event, BaseException):
                raise event
            yield event
            if isinstance(event, AnswerEvent):
                return
    finally:
        cancel.set()
        thread.join()


async def events_of_async(run: Run) -> AsyncGenerator[Event]:
    """`events_of` for an event loop; cancelling the reading task calls the run off and waits for its end."""
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Event | None] = asyncio.Queue()

    def send(event: Event) -> None:
        _call_soon(loop, partial(events.put_nowait, event))

    working = asyncio.ensure_future(in_thread(lambda cancel: run(Hearer(send, cancel))))
    working.add_done_callback(lambda _: events.put_nowait(None))
    try:
        while (event := await events.get()) is not None:
            yield event
        yield AnswerEvent(await working)
    finally:
        working.cancel()
        await asyncio.wait((working,))
        if not working.cancelled():
            working.exception()  # raised above, unless nobody reads any more


async def result_of(run: Callable[[Listener], T]) -> T:
    """Result of a run in a thread of its own, whose events nobody hears; cancelling the task calls it off."""
    return await in_thread(lambda cancel: run(Hearer(lambda _event: None, cancel)))


async def in_thread(work: Callable[[threading.Event], T]) -> T:
    """Result of `work`, run in a thread of its own.

    Cancelling the awaiting task sets the event that `work` was given and waits until it has ended.
    """
    loop = asyncio.get_running_loop()
    cancel = threading.Event()
    done: asyncio.Future[T] = loop.create_future()

    def call() -> None:
        try:
            result = work(cancel)
        except BaseException as error:  # raised again where the result is awaited
            _call_soon(loop, partial(done.set_exception, error))
        else:
            _call_soon(loop, partial(done.set_result, result))

    thread = _start(call)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        cancel.set()
        await asyncio.wait((done,))
        done.exception()  # seen: nobody awaits it any more
        raise
    finally:
        if done.done():
            thread.join()


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop was closed over a run that nobody awaits
        loop.call_soon_threadsafe(call)


def _start(work: Callable[[], None]) -> threading.Thread:
    """Start a thread that sees the caller's context variables."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name="docrag-run", daemon=True)
    thread.start()
    return thread
