"""A pool of worker processes that survives whatever a file does to one of them.

Each slot is a thread with one worker; one more thread watches what the workers spend. Results are bounded:
a slow consumer stops the slots, so that pages do not pile up.
"""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import Self

from docrag.ingest.options import IngestLimits
from docrag.ingest.process import WorkerDied, WorkerProcess
from docrag.ingest.slot import WAKE_S, Fleet, Job, Result, Slot
from docrag.ingest.worker import ReaderFactory

CHECK_EVERY_S = 0.1
"""How often the limits of busy workers are looked at."""


class WorkerPool:
    """Reads pages in `n_workers` processes; a context manager that ends all of them at once when left.

    `factory` builds the reader inside each worker; it must be picklable by reference.
    """

    def __init__(
        self, factory: ReaderFactory, *, n_workers: int, limits: IngestLimits, recycle_after_pages: int = 2000
    ) -> None:
        self.n_workers = n_workers
        self._fleet = Fleet(factory, limits, recycle_after_pages)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"docrag-slot-{i}", daemon=True)
            for i in range(n_workers)
        ]
        self._threads.append(threading.Thread(target=self._watch, name="docrag-watch", daemon=True))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def n_waiting(self) -> int:
        """Jobs that no worker has taken yet."""
        return self._jobs.qsize()

    @property
    def n_crashes(self) -> int:
        """Workers lost so far."""
        return self._fleet.crashes.total()

    def processes(self) -> list[WorkerProcess]:
        """The workers there are at this moment."""
        return self._fleet.processes()

    def submit(self, job: Job) -> None:
        """Queue a job; jobs start in the order in which they were submitted."""
        self._jobs.put(job)

    def next(self) -> Result:
        """Wait for the next result. Results of one job are in order, those of several jobs are mixed.

        Raises
        ------
        WorkerStartError
            No worker can be started.
        """
        while True:
            try:
                result = self._fleet.results.get(timeout=WAKE_S)  # waking lets Ctrl-C in on every system
            except queue.Empty:
                continue
            if isinstance(result, Exception):
                raise result
            return result

    def close(self) -> None:
        """End all workers and threads; what was not consumed is lost."""
        self._fleet.end_all()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _watch(self) -> None:
        while not self._fleet.stop.wait(CHECK_EVERY_S):
            for process in self._fleet.processes():
                process.check()

    def _serve(self) -> None:
        slot = Slot(self._fleet)
        try:
            slot.start()  # before there is work: starting overlaps with planning
            while (job := self._jobs.get()) is not None and not self._fleet.stop.is_set():
                slot.run(job)
        except WorkerDied:
            pass  # the pool is being closed
        except Exception as error:  # raised again by `next`, in the consumer's thread
            self._fleet.put(error)
        finally:
            slot.close()
