"""The worker process: opens a file, reads pages one by one, and sends each as soon as it is done.

Run as ``python -c "from docrag.ingest.worker import main; main()"`` with frames on stdin and stdout. A frame
is an 8-byte length and a pickle. The parent is the only peer; a password travels in a frame and nowhere else.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from docrag.errors import IngestError
from docrag.ingest.limits import limit_address_space, limit_cpu
from docrag.ingest.page_images import PageImages
from docrag.protocols import PageSource
from docrag.types import OutlineEntry, Page, PageFailure, Reason

EXIT_MEMORY = 77
"""A worker that runs out of memory ends with this code: its heap cannot be trusted any more."""
_OUT_OF_MEMORY = (
    "bad_alloc",
    "Failed to allocate memory",
    "OutOfMemoryError",
    "malloc (",
    "Insufficient memory",
)
"""How ONNX Runtime, OpenCV and MuPDF say that an allocation failed."""
_LENGTH = struct.Struct("<Q")
_OWN_CPU_FACTOR = 2.0
"""The worker's own CPU limit stands this much above the parent's, which says more precisely what happened."""


class DocumentReader(Protocol):
    """What a worker does with a file; built once per process."""

    def open(self, path: Path, *, parser: str, password: str | None) -> PageSource:
        """Open a file; `IngestError` with a reason when that fails."""
        ...

    def read(self, source: PageSource, page_no: int) -> Page | PageImages:
        """Read one page; `IngestError` with a reason when that fails."""
        ...


class ReaderFactory(Protocol):
    """Builds the reader inside the worker; must be picklable by reference."""

    def __call__(self) -> DocumentReader:
        """Make the reader."""
        ...


@dataclass(frozen=True, slots=True)
class Hello:
    """First frame to a worker; `factory` is a pickle of its own, to be read when `sys_path` is in place."""

    sys_path: tuple[str, ...]
    factory: bytes
    memory_mb: int
    open_cpu_s: float
    page_cpu_s: float


@dataclass(frozen=True, slots=True)
class Task:
    """Pages of one file; numbers beyond its end are ignored. `repr` leaves the password out."""

    path: str
    parser: str
    pages: tuple[int, ...]
    password: str | None = None

    def __repr__(self) -> str:
        return f"Task({self.path!r}, {self.parser!r}, {self.pages!r})"


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker can take tasks."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The file is open; `parser` says with what."""

    n_pages: int
    parser: str
    title: str
    outline: Sequence[OutlineEntry]
    metadata: Mapping[str, str]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Refused:
    """The file cannot be opened; the task is over."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class TaskDone:
    """All pages of the task have been sent."""


Message = Ready | Opened | Refused | Page | PageImages | PageFailure | TaskDone


def read_frame(stream: BinaryIO) -> object:
    """Next frame of a stream; EOFError at its end, also in the middle of a frame."""
    (length,) = _LENGTH.unpack(_read_exactly(stream, _LENGTH.size))
    return pickle.loads(_read_exactly(stream, length))


def write_frame(stream: BinaryIO, value: object) -> None:
    """Write a frame and flush it."""
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def _read_exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data


class Worker:
    """Serves tasks from one stream to another, with one file open at a time."""

    def __init__(self, reader: DocumentReader, hello: Hello, output: BinaryIO) -> None:
        self._reader = reader
        self._hello = hello
        self._output = output
        self._source: PageSource | None = None
        self._key: tuple[str, str, str | None, int] | None = None

    def run(self, task: Task) -> None:
        """Send ``Opened`` or ``Refused``, a page or failure for every page of the task, and ``TaskDone``."""
        limit_cpu(_OWN_CPU_FACTOR * self._hello.open_cpu_s)
        try:
            source = self._open(task)
        except Exception as error:  # a file's fault, recorded as the reason it is refused
            self._send(Refused(*_diagnosis(error, otherwise=Reason.XREF_UNRECOVERABLE)))
            return
        self._send(
            Opened(
                source.n_pages,
                source.parser,
                source.title,
                tuple(source.outline),
                dict(source.metadata),
                tuple(source.notes),
            )
        )
        for page_no in task.pages:
            if page_no <= source.n_pages:
                limit_cpu(_OWN_CPU_FACTOR * self._hello.page_cpu_s)
                self._send(self._read(source, page_no))
        self._send(TaskDone())

    def _open(self, task: Task) -> PageSource:
        key = (task.path, task.parser, task.password, os.stat(task.path).st_mtime_ns)
        if self._source is None or self._key != key:
            if self._source is not None:
                self._source.close()
            self._source = self._key = None
            self._source = self._reader.open(Path(task.path), parser=task.parser, password=task.password)
            self._key = key
        return self._source

    def _read(self, source: PageSource, page_no: int) -> Page | PageImages | PageFailure:
        try:
            return self._reader.read(source, page_no)
        except Exception as error:  # a page's fault, recorded as its failure
            return PageFailure(page_no, *_diagnosis(error, otherwise=Reason.PAGE_UNREADABLE))

    def _send(self, message: Message) -> None:
        write_frame(self._output, message)


def _diagnosis(error: Exception, *, otherwise: Reason) -> tuple[Reason, str]:
    """Reason and message of an error; does not return when the process has run out of memory."""
    text = str(error)
    if any(_is_out_of_memory(cause) for cause in _causes(error)):
        os._exit(EXIT_MEMORY)
    if isinstance(error, IngestError):
        return Reason(error.reason), text
    if isinstance(error, OSError):
        return Reason.IO_ERROR, f"cannot be read ({error.strerror or text})"
    return otherwise, f"{type(error).__name__}: {text}"


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, MemoryError) or any(sign in text for sign in _OUT_OF_MEMORY)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and those it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def main() -> None:
    """Serve tasks until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    # Native libraries print to the standard streams; the frames get descriptors of their own.
    tasks, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    try:
        hello = cast("Hello", read_frame(tasks))
        sys.path[:] = hello.sys_path
        factory = cast("ReaderFactory", pickle.loads(hello.factory))
        worker = Worker(factory(), hello, results)
        limit_address_space(hello.memory_mb)
        write_frame(results, Ready())
        while True:
            worker.run(cast("Task", read_frame(tasks)))
    except (EOFError, BrokenPipeError):
        # The parent is done or gone. Interpreter shutdown can hang or crash in native libraries' destructors.
        os._exit(0)
