"""Builds the trace of an answer: named steps with their times."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

from docrag.types import Trace, TraceStep


class TraceBuilder:
    """Collects the steps of one run; `clock` returns seconds and is replaced in tests."""

    def __init__(
        self, *, clock: Callable[[], float] = time.perf_counter, trace_id: str | None = None
    ) -> None:
        self._clock = clock
        self._start = clock()
        self._id = trace_id if trace_id is not None else uuid.uuid4().hex
        self._steps: list[TraceStep] = []

    @contextmanager
    def step(self, name: str) -> Generator[dict[str, Any]]:
        """Time a block as one step; what the block puts into the yielded dict becomes the step's detail.

        The step is recorded when the block raises, too.
        """
        detail: dict[str, Any] = {}
        start = self._clock()
        try:
            yield detail
        finally:
            self._steps.append(TraceStep(name, self._clock() - start, detail))

    def add(self, steps: Iterable[TraceStep]) -> None:
        """Add steps that were recorded elsewhere."""
        self._steps += steps

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._start

    def build(self) -> Trace:
        """Return the steps so far."""
        return Trace(self._id, tuple(self._steps))
