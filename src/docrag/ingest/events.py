"""What an `index` run tells while it works, and the rate and remaining time that follow from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from docrag.ingest.report import FileResult
from docrag.types import PageFailure


@dataclass(frozen=True, slots=True)
class PlanMade:
    """The files have been compared with the index; `n_bytes_to_read` is the size of those to read."""

    n_files: int
    n_to_read: int
    n_bytes_to_read: int


@dataclass(frozen=True, slots=True)
class FileStarted:
    """A file was opened and declares `n_pages` pages; `n_pages_done` of them were read by an earlier run."""

    doc: str
    n_pages: int
    n_pages_done: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PagesDone:
    """`n_pages` more pages of a file are read, those that failed included; they are stored soon after."""

    doc: str
    n_pages: int


@dataclass(frozen=True, slots=True)
class PageFailed:
    """A page could not be read."""

    doc: str
    failure: PageFailure


@dataclass(frozen=True, slots=True)
class FileDone:
    """A file has come to its end; `n_bytes_unopened` is its size when it was to be read and never opened."""

    result: FileResult
    n_bytes_unopened: int = 0


Event = PlanMade | FileStarted | PagesDone | PageFailed | FileDone
OnEvent = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Tell nobody."""


class Meter:
    """Pages so far, pages per second and remaining seconds of a run, from its events.

    The pages of files not opened yet are estimated from their size and the pages per byte seen so far.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started_s = clock()
        self._bytes_unopened = 0
        self._bytes_opened = 0
        self._pages_opened = 0
        self._pages_given_up = 0
        self._pages_left: dict[str, int] = {}
        self.n_files = 0
        self.n_files_done = 0
        self.n_pages_done = 0
        self.n_pages_failed = 0
        self.n_files_refused = 0

    def update(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case PlanMade():
                self.n_files = event.n_to_read
                self._bytes_unopened = event.n_bytes_to_read
            case FileStarted():
                if event.doc not in self._pages_left:  # one that changed is read a second time
                    self._bytes_unopened -= event.size_bytes
                    self._bytes_opened += event.size_bytes
                self._give_up(event.doc)
                self._pages_left[event.doc] = event.n_pages - event.n_pages_done
                self._pages_opened += self._pages_left[event.doc]
            case PagesDone():
                self.n_pages_done += event.n_pages
                self._pages_left[event.doc] = self._pages_left.get(event.doc, 0) - event.n_pages
            case PageFailed():
                self.n_pages_failed += 1
            case FileDone():
                self.n_files_done += 1
                self.n_files_refused += event.result.status == "refused"
                self._bytes_unopened -= event.n_bytes_unopened
                self._give_up(event.result.doc)

    def _give_up(self, doc: str) -> None:
        """Expect no more pages of a file: it was refused, or is read from the beginning."""
        self._pages_given_up += max(0, self._pages_left.get(doc, 0))
        if doc in self._pages_left:
            self._pages_left[doc] = 0

    @property
    def pages_per_s(self) -> float:
        """Mean rate since the start; 0 before the first page."""
        elapsed_s = self._clock() - self._started_s
        return self.n_pages_done / elapsed_s if elapsed_s > 0 else 0.0

    @property
    def n_pages_expected(self) -> int:
        """Pages of the run: declared by the files opened, estimated for the others."""
        opened = self._pages_opened - self._pages_given_up
        if not self._bytes_opened:
            return opened
        return opened + round(max(0, self._bytes_unopened) * self._pages_opened / self._bytes_opened)

    @property
    def is_estimate(self) -> bool:
        """Whether files are left whose pages nobody has counted yet."""
        return self._bytes_unopened > 0

    @property
    def eta_s(self) -> float | None:
        """Seconds that remain at the present rate; None before the first page."""
        rate = self.pages_per_s
        return max(0, self.n_pages_expected - self.n_pages_done) / rate if rate else None
