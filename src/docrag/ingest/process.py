"""The parent's side of one worker process: start it, talk to it, and end it when it costs too much."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import psutil

from docrag.errors import DocragError
from docrag.ingest.options import IngestLimits
from docrag.ingest.worker import (
    EXIT_MEMORY,
    Hello,
    Message,
    ReaderFactory,
    Ready,
    Task,
    read_frame,
    write_frame,
)
from docrag.types import Reason

ONE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
}
"""Each worker computes on one thread; the pool is what uses the CPUs."""
_COMMAND = (
    f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); "
    "from docrag.ingest.worker import main; main()"
)
_MEGABYTE = 1 << 20
_STDERR_TAIL_BYTES = 2000


class WorkerStartError(DocragError):
    """No worker process can be started: the installation or the machine is at fault, not a file."""


class WorkerDied(Exception):
    """A worker ended, or was ended, in the middle of something."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class StepLimit:
    """What the worker may spend until its next message."""

    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class _Step:
    limit: StepLimit
    started_s: float
    cpu_s: float


class WorkerProcess:
    """A started worker. One thread talks to it; another may call `check` and `kill`.

    It can take tasks when `wait_until_ready` returns.
    """

    def __init__(self, factory: ReaderFactory, limits: IngestLimits) -> None:
        self._limits = limits
        self._step: _Step | None = None
        self._verdict: tuple[Reason, str] | None = None
        self._lock = threading.Lock()
        self._stderr = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - closed by `close`
        # A session of its own keeps the terminal's Ctrl-C from the worker; `spawn` of multiprocessing would
        # import the caller's main module again, which breaks scripts without a __main__ guard.
        self._process = subprocess.Popen(
            # -P: else a types.py in the current folder, which may be one of documents, would be imported.
            [sys.executable, "-P", "-c", _COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, **ONE_THREAD},
            start_new_session=True,
        )
        self._watched = psutil.Process(self._process.pid)
        self.n_pages = 0
        self._hello = Hello(
            tuple(sys.path), pickle.dumps(factory), limits.memory_mb, limits.open_cpu_s, limits.page_cpu_s
        )

    def wait_until_ready(self, limit: StepLimit) -> None:
        """Have the worker load what it needs; `WorkerStartError` when it ends instead, and it is closed."""
        try:
            self._write(self._hello)
            ready = self.receive(limit)
        except WorkerDied as error:
            tail = self._stderr_tail()
            self.close()
            raise WorkerStartError(
                f"a worker process ended while it was starting: {error}\n{tail}\n"
                "Run `docrag doctor` to see which part of the installation fails."
            ) from error
        if not isinstance(ready, Ready):
            self.close()
            raise WorkerStartError(f"a worker process sent {type(ready).__name__}, expected Ready")

    def send(self, task: Task) -> None:
        """Hand over a task; `WorkerDied` when nobody is there to take it."""
        self._write(task)

    def receive(self, limit: StepLimit) -> Message:
        """Wait for the next message; `WorkerDied` when the worker ends first, by itself or over the limit."""
        with self._lock:
            self._step = _Step(limit, time.monotonic(), self._cpu_s())
        try:
            return cast("Message", read_frame(cast("BinaryIO", self._process.stdout)))
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise self._death() from error
        finally:
            with self._lock:
                self._step = None

    def check(self) -> None:
        """End the worker when the step under way is over a limit. Called every now and then."""
        with self._lock:
            step = self._step
            if step is None:
                return
            try:
                cpu_s, rss = self._cpu_s(), self._watched.memory_info().rss
            except psutil.Error:
                return
            wall_s = time.monotonic() - step.started_s
            if cpu_s - step.cpu_s > step.limit.cpu_s:
                self._verdict = (Reason.CPU_LIMIT, f"took more than {step.limit.cpu_s:g} s of CPU time")
            elif wall_s > step.limit.wall_s:
                self._verdict = (Reason.WALL_LIMIT, f"took more than {step.limit.wall_s:g} s")
            elif rss > self._limits.memory_mb * _MEGABYTE:
                self._verdict = (
                    Reason.MEMORY_LIMIT,
                    f"needed more than {self._limits.memory_mb} MB of memory",
                )
            else:
                return
            self._process.kill()

    @property
    def rss_mb(self) -> float:
        """Resident memory; 0 when the process is gone."""
        try:
            return self._watched.memory_info().rss / _MEGABYTE
        except psutil.Error:
            return 0.0

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the worker at once."""
        self._process.kill()

    def close(self) -> None:
        """End the worker and release its pipes."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                with contextlib.suppress(OSError):  # unsent bytes of a task for a dead worker
                    stream.close()

    def _write(self, value: Hello | Task) -> None:
        try:
            write_frame(cast("BinaryIO", self._process.stdin), value)
        except OSError as error:
            raise self._death() from error

    def _death(self) -> WorkerDied:
        self._process.kill()  # it may live on with its output closed
        code = self._process.wait()
        with self._lock:
            if self._verdict is not None:
                return WorkerDied(*self._verdict)
        if _describe(code) == "SIGXCPU":  # the limit it set itself: the parent was stopped or late
            return WorkerDied(Reason.CPU_LIMIT, "took more CPU time than its limit")
        if code == EXIT_MEMORY:
            return WorkerDied(Reason.MEMORY_LIMIT, f"needed more than {self._limits.memory_mb} MB of memory")
        return WorkerDied(Reason.PARSER_CRASH, f"the worker process ended with {_describe(code)}")

    def _cpu_s(self) -> float:
        try:
            times = self._watched.cpu_times()
        except psutil.Error:
            return 0.0
        return times.user + times.system

    def _stderr_tail(self) -> str:
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - _STDERR_TAIL_BYTES))
        return self._stderr.read().decode(errors="replace").strip()


def _describe(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
