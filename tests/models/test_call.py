"""Deadlines, cancellation, and what goes from one thread to another."""

from __future__ import annotations

import threading
import time

import pytest

from docrag.errors import Cancelled
from docrag.models.call import Call, DeadlinePassed, Mailbox


def within(seconds: float, **more: object) -> Call:
    return Call(deadline=time.monotonic() + seconds, timeout_s=seconds, **more)  # type: ignore[arg-type]


def test_a_call_without_limits_never_ends():
    call = Call()
    call.check()
    assert call.remaining_s is None


def test_a_deadline_is_a_point_in_time():
    assert 9 < (within(10).remaining_s or 0) <= 10
    late = within(-1)
    assert late.remaining_s == 0
    with pytest.raises(DeadlinePassed, match=r"no complete reply within -1 s"):
        late.check()


def test_cancellation_goes_before_the_deadline():
    with pytest.raises(Cancelled):
        within(-1, cancelled=lambda: True).check()


def test_a_pause_waits_as_long_as_it_should():
    start_s = time.monotonic()
    Call().pause(0.12)
    assert time.monotonic() - start_s >= 0.12
    Call().pause(0)


def test_a_pause_ends_with_the_deadline():
    start_s = time.monotonic()
    with pytest.raises(DeadlinePassed):
        within(0.1).pause(30)
    assert time.monotonic() - start_s < 10


def test_a_pause_ends_with_a_cancellation():
    called_off = threading.Event()
    threading.Timer(0.1, called_off.set).start()
    with pytest.raises(Cancelled):
        Call(cancelled=called_off.is_set).pause(30)


def test_items_arrive_in_order_and_end():
    box: Mailbox[int] = Mailbox()
    for i in range(3):
        box.put(i)
    box.finish()
    assert list(box.receive(Call())) == [0, 1, 2]


def test_nothing_is_waited_for_past_the_deadline_or_a_cancellation():
    box: Mailbox[int] = Mailbox()
    box.put(1)
    received = box.receive(within(0.1))
    assert next(received) == 1
    with pytest.raises(DeadlinePassed):
        next(received)
    with pytest.raises(Cancelled):
        next(box.receive(Call(cancelled=lambda: True)))


def test_an_error_of_the_other_thread_is_raised_here_after_what_came_before():
    box: Mailbox[str] = Mailbox()

    def work() -> None:
        box.put("a")
        box.finish(KeyError("b"))

    threading.Thread(target=work).start()
    received = box.receive(within(10))
    assert next(received) == "a"
    with pytest.raises(KeyError):
        next(received)
