"""Progress of an `index` run on stderr: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from docrag.cli.output import Output
from docrag.ingest.events import Event, FileDone, FileStarted, Meter, OnEvent, PageFailed, PlanMade, ignore
from docrag.ingest.report import DAMAGED, FileResult
from docrag.report.printable import one_line, printable
from docrag.types import Reason

if TYPE_CHECKING:
    from docrag.pipeline.visual_index import VisualProgress

PLAIN_INTERVAL_S = 10.0
"""Seconds between two lines of progress where there is no terminal."""

_NAME_WIDTH = 40


@contextmanager
def index_progress(output: Output, *, clock: Callable[[], float] = time.monotonic) -> Generator[OnEvent]:
    """Yield the function that takes the events of a run and shows them until the block ends."""
    if output.quiet:
        yield ignore
    elif output.stderr.is_terminal:
        with _live(output) as on_event:
            yield on_event
    else:
        yield _Lines(output, clock)


def failure_line(event: Event) -> str | None:
    """One line about a failed page, or a refused or damaged file, None for other events."""
    match event:
        case PageFailed():
            failure = event.failure
            return f"{event.doc}, page {failure.page_no}: {failure.reason} ({failure.message})"
        case FileDone():
            return warning_line(event.result)
        case _:
            return None


def warning_line(result: FileResult) -> str | None:
    """Why a file was refused, or that it was read and is damaged; None for other ones."""
    if result.status == "refused":
        return refusal_line(result)
    is_read = result.status in ("indexed", "partial") and result.reason != Reason.DUPLICATE_OF
    if is_read and DAMAGED in result.notes:
        return (
            f"{result.doc}: damaged; what was found in it is indexed, pages and parts of them may be missing"
        )
    return None


def refusal_line(result: FileResult) -> str:
    """Why a file was refused: ``bad.pdf: refused, empty_file (the file has 0 bytes)``."""
    name = result.doc.rpartition("/")[2]
    return f"{result.doc}: refused, {result.reason} ({result.message.removeprefix(f'{name}: ')})"


def counted(count: int, noun: str) -> str:
    """``1 page``, ``2 pages``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def describe(meter: Meter) -> str:
    """Pages, rate, remaining time and failures so far: ``120/400 pages, 31.2 pages/s, 9 s left``.

    "120 of about 400" while files are left that were not opened yet.
    """
    of = " of about " if meter.is_estimate else "/"
    parts = [
        f"{meter.n_pages_done}{of}{meter.n_pages_expected} pages",
        f"{meter.pages_per_s:.1f} pages/s",
    ]
    if meter.eta_s is not None:
        parts.append(f"{duration(meter.eta_s)} left")
    if meter.n_pages_failed:
        parts.append(f"{counted(meter.n_pages_failed, 'page')} failed")
    if meter.n_files_refused:
        parts.append(f"{counted(meter.n_files_refused, 'file')} refused")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """``8 s``, ``2 min 5 s``, ``1 h 12 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@contextmanager
def visual_progress(
    output: Output, *, clock: Callable[[], float] = time.monotonic
) -> Generator[Callable[[VisualProgress], None]]:
    """Yield the function that takes the progress of a visual pass and shows it until the block ends."""
    if output.quiet:
        yield lambda _progress: None
        return
    next_s = clock() + PLAIN_INTERVAL_S
    started_s: float | None = None

    def text(progress: VisualProgress) -> str:
        nonlocal started_s
        started_s = clock() if started_s is None else started_s  # only now is the page encoder loaded
        done = f"encoded {progress.n_done}/{progress.n_units} pages and regions"
        if not progress.n_done:
            return done
        each_s = max(clock() - started_s, 1e-9) / progress.n_done
        rate = f"{1 / each_s:.1f} a second" if each_s < 1 else f"{each_s:.1f} s each"
        return f"{done}, {rate}, {duration(each_s * (progress.n_units - progress.n_done))} left"

    if not output.stderr.is_terminal:

        def print_line(progress: VisualProgress) -> None:
            nonlocal next_s
            line = text(progress)
            if clock() >= next_s:
                next_s = clock() + PLAIN_INTERVAL_S
                output.note(line)

        yield print_line
        return
    with output.stderr.status("loading the page encoder") as status:
        yield lambda progress: status.update(f"{one_line(progress.doc, limit=_NAME_WIDTH)}  {text(progress)}")


class _Lines:
    """Progress as lines, one every so often, for logs and pipes."""

    def __init__(self, output: Output, clock: Callable[[], float]) -> None:
        self._output = output
        self._clock = clock
        self._meter = Meter(clock)
        self._next_s = clock() + PLAIN_INTERVAL_S

    def __call__(self, event: Event) -> None:
        self._meter.update(event)
        if isinstance(event, PlanMade) and event.n_to_read:
            self._output.note(f"reading {event.n_to_read} of {counted(event.n_files, 'file')}")
        if line := failure_line(event):
            self._output.warn(line)
        if self._meter.n_pages_expected and self._clock() >= self._next_s:
            self._next_s = self._clock() + PLAIN_INTERVAL_S
            self._output.note(describe(self._meter))


@contextmanager
def _live(output: Output) -> Generator[OnEvent]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[file]}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[counts]}", markup=False),
    )
    meter = Meter()
    with Progress(*columns, console=output.stderr, transient=True) as progress:
        task = progress.add_task("", total=None, file="looking for changes", counts="")

        def on_event(event: Event) -> None:
            meter.update(event)
            if line := failure_line(event):
                progress.console.print(printable(line), style="yellow")
            if isinstance(event, FileStarted):
                progress.update(task, file=one_line(event.doc, limit=_NAME_WIDTH))
            progress.update(
                task,
                total=meter.n_pages_expected or None,
                completed=meter.n_pages_done,
                counts=describe(meter),
            )

        yield on_event
