"""One place of a worker pool: a worker at a time, and what to do when it dies."""

from __future__ import annotations

import queue
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from docrag.ingest.options import IngestLimits
from docrag.ingest.page_images import PageImages
from docrag.ingest.process import StepLimit, WorkerDied, WorkerProcess, WorkerStartError
from docrag.ingest.worker import Message, Opened, ReaderFactory, Refused, Task, TaskDone
from docrag.types import Page, PageFailure, Reason

MAX_WAITING_RESULTS = 64
"""Messages between the slots and the consumer; a page takes some 100 kB."""
RECYCLE_SHARE = 0.7
"""A worker that holds this share of its memory limit between two tasks is replaced."""
START_LIMIT = StepLimit(cpu_s=120.0, wall_s=120.0)
"""Starting takes two seconds; a cold disk or a virus scanner may need many more."""
WAKE_S = 0.2
"""Waiting threads look this often whether the pool is being closed."""


@dataclass(frozen=True, slots=True)
class Job:
    """Pages of one file to read. `key` comes back with each result; `is_first` asks for ``Opened`` too."""

    key: int
    path: Path
    parser: str
    pages: tuple[int, ...]
    is_first: bool
    password: str | None = None

    def __repr__(self) -> str:
        return f"Job({self.key}, {str(self.path)!r}, {len(self.pages)} pages)"


@dataclass(frozen=True, slots=True)
class Result:
    """A message about the job's file. A job ends with ``Refused`` or ``TaskDone``."""

    key: int
    message: Message


class Fleet:
    """What the slots of a pool share: their processes, the crashes of each file, the results, the end."""

    def __init__(self, factory: ReaderFactory, limits: IngestLimits, recycle_after_pages: int) -> None:
        self.limits = limits
        self.results: queue.Queue[Result | Exception] = queue.Queue(MAX_WAITING_RESULTS)
        self.stop = threading.Event()
        self.crashes: Counter[int] = Counter()
        self._factory = factory
        self._recycle_after_pages = recycle_after_pages
        self._lock = threading.Lock()
        self._processes: set[WorkerProcess] = set()

    def start(self) -> WorkerProcess:
        """Start a worker, and wait until it can take tasks."""
        process = WorkerProcess(self._factory, self.limits)
        # Known before it is ready, so that one that hangs while it starts is watched and ended, too.
        with self._lock:
            self._processes.add(process)
            if self.stop.is_set():
                process.kill()
        try:
            process.wait_until_ready(START_LIMIT)
        except WorkerStartError:
            self.end(process)
            raise
        return process

    def end(self, process: WorkerProcess) -> None:
        """End a worker and forget it."""
        with self._lock:
            self._processes.discard(process)
        process.close()

    def end_all(self) -> None:
        """Have every slot stop, at once."""
        self.stop.set()
        for process in self.processes():
            process.kill()

    def processes(self) -> list[WorkerProcess]:
        """The workers there are."""
        with self._lock:
            return list(self._processes)

    def must_recycle(self, process: WorkerProcess) -> bool:
        """Whether a worker has read enough pages, or grown enough, to be replaced."""
        return (
            process.n_pages >= self._recycle_after_pages
            or process.rss_mb > self.limits.memory_mb * RECYCLE_SHARE
        )

    def count_crash(self, key: int) -> bool:
        """Count a crash of a file; whether it has now had too many."""
        with self._lock:
            self.crashes[key] += 1
            return self.crashes[key] >= self.limits.max_crashes

    def put(self, result: Result | Exception) -> None:
        """Pass on a result; waits while too many wait to be consumed."""
        while not self.stop.is_set():
            try:
                self.results.put(result, timeout=WAKE_S)
            except queue.Full:
                continue
            return


class Slot:
    """Runs jobs one after the other; every page of a job ends in a message, whatever the worker does.

    The page in flight when a worker dies is tried once more, alone in a fresh worker, then it has failed. A
    file that kills while it is opened is tried once more, with the second parser if that may be chosen.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._process: WorkerProcess | None = None
        limits = fleet.limits
        self._open_limit = StepLimit(limits.open_cpu_s, limits.open_cpu_s * limits.wall_factor)
        self._page_limit = StepLimit(limits.page_cpu_s, limits.page_cpu_s * limits.wall_factor)

    def start(self) -> WorkerProcess:
        """The worker, started if there is none."""
        if self._process is None:
            self._process = self._fleet.start()
        return self._process

    def close(self) -> None:
        """End the worker."""
        if self._process is not None:
            self._fleet.end(self._process)
            self._process = None

    def run(self, job: Job) -> None:
        """Read the pages of a job. Raises `WorkerDied` only when the fleet is being stopped."""
        pages = deque(job.pages)
        parser, must_open = job.parser, job.is_first
        suspect: int | None = None
        n_open_deaths = 0
        while pages or must_open:
            is_open = False
            batch = (suspect,) if suspect is not None else tuple(pages)
            try:
                for message in self._attempt(Task(str(job.path), parser, batch, job.password)):
                    if isinstance(message, Refused):
                        self._refuse(job, pages, message, must_open=must_open)
                        return
                    if isinstance(message, Opened):
                        is_open = True
                        if must_open:
                            pages = deque(page_no for page_no in pages if page_no <= message.n_pages)
                            parser, must_open = message.parser, False
                            self._put(job, message)
                        else:
                            pages = self._without_gone(job, pages, message.n_pages)
                    elif isinstance(message, Page | PageImages | PageFailure):
                        pages.popleft()
                        suspect = None
                        self._put(job, message)
            except WorkerDied as death:
                self.close()
                if self._fleet.stop.is_set():
                    raise
                is_hopeless = self._fleet.count_crash(job.key)
                if not is_open:
                    n_open_deaths += 1
                    if n_open_deaths > 1 or is_hopeless:
                        self._refuse(job, pages, Refused(death.reason, str(death)), must_open=must_open)
                        return
                    if must_open and parser == "auto":
                        parser = "pdfium"  # the second parser may survive what ended the first
                elif pages and (suspect == pages[0] or is_hopeless):
                    self._put(job, PageFailure(pages.popleft(), death.reason, str(death)))
                    suspect = None
                elif pages:
                    suspect = pages[0]
                if is_hopeless:
                    self._give_up(job, pages, death)
        self._put(job, TaskDone())

    def _attempt(self, task: Task) -> Iterator[Message]:
        """Messages of a task, up to its end; `WorkerDied` where the worker dies."""
        process = self.start()
        process.send(task)
        message = process.receive(self._open_limit)
        yield message
        if isinstance(message, Refused):
            return
        while not isinstance(message := process.receive(self._page_limit), TaskDone):
            process.n_pages += 1
            yield message
        if self._fleet.must_recycle(process):
            self.close()

    def _refuse(self, job: Job, pages: Iterable[int], refusal: Refused, *, must_open: bool) -> None:
        """The file cannot be opened: refuse it, or fail the pages when it could be opened before."""
        if must_open:
            self._put(job, refusal)
            return
        for page_no in pages:
            self._put(job, PageFailure(page_no, refusal.reason, refusal.message))
        self._put(job, TaskDone())

    def _without_gone(self, job: Job, pages: deque[int], n_pages: int) -> deque[int]:
        """Fail the pages that the file does not have any more: another file has taken its place."""
        has = f"{n_pages} page{'' if n_pages == 1 else 's'}"
        for page_no in pages:
            if page_no > n_pages:
                message = f"page {page_no} is gone: the file has {has} now; index it again"
                self._put(job, PageFailure(page_no, Reason.CHANGED_WHILE_READING, message))
        return deque(page_no for page_no in pages if page_no <= n_pages)

    def _give_up(self, job: Job, pages: deque[int], death: WorkerDied) -> None:
        while pages:
            message = f"not tried: this file has ended {self._fleet.limits.max_crashes} workers ({death})"
            self._put(job, PageFailure(pages.popleft(), death.reason, message))

    def _put(self, job: Job, message: Message) -> None:
        self._fleet.put(Result(job.key, message))
