"""A reader for worker processes that does what a file tells it to, and a writer that keeps all in memory.

A "document" is a text file: one line per page, and each line says what reading that page does. A first line
``open: ...`` says what opening does. "once X" does X only until a marker file stands beside the document.
"""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import os
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from docrag.errors import IngestError
from docrag.geometry import Box
from docrag.protocols import PageSource, RawPage, RgbImage
from docrag.types import Chunk, Document, OutlineEntry, Page, PageFailure, Reason


def do(deed: str, path: Path) -> None:
    """Do what a line of a document says."""
    if deed.startswith("once "):
        marker = path.with_suffix(".once")
        if marker.exists():
            return
        marker.touch()
        deed = deed.removeprefix("once ")
    match deed:
        case "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "xcpu":
            os.kill(os.getpid(), signal.SIGXCPU)
        case "abort":
            os.abort()
        case "exit":
            os._exit(3)
        case "null":
            ctypes.string_at(0)
        case "spin":
            while True:
                pass
        case "sleep":
            time.sleep(3600)
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(3600)
        case "memory":
            hoard: list[bytearray] = []
            for _ in range(1 << 10):
                hoard.append(bytearray(1 << 24))
                time.sleep(0.01)  # on a busy machine the limit on processor time would be met first
            raise AssertionError(f"{len(hoard)} blocks were to be had")
        case "alloc":
            raise RuntimeError("Non-zero status code returned: std::bad_alloc")
        case "wrapped":
            raise IngestError(Reason.PAGE_UNREADABLE, "cannot render it ()") from MemoryError()
        case "raise":
            raise ValueError("the cow is out")
        case "unreadable":
            raise IngestError(Reason.PAGE_UNREADABLE, "page unreadable")
        case "disk":
            raise OSError(errno.EIO, "Input/output error")
        case "print":
            print("noise on stdout", flush=True)
            os.write(1, b"more noise\n")
        case "change":
            path.write_text(path.read_text() + "\nok")
        case "shrink":
            path.write_text("ok")
        case "vanish":
            path.unlink()
        case _:
            pass


class FaultySource:
    parser = "faulty"
    title = "A title"
    outline: Sequence[OutlineEntry] = (OutlineEntry(1, "Start", 1),)
    metadata: Mapping[str, str] = {"author": "nobody"}
    notes: Sequence[str] = ()

    def __init__(self, path: Path, deeds: list[str]) -> None:
        self.path = path
        self.deeds = deeds
        self.n_pages = len(deeds)

    def read(self, page_no: int) -> RawPage:
        raise NotImplementedError

    def render(self, page_no: int, *, dpi: float, clip: Box | None = None) -> RgbImage:
        raise NotImplementedError

    def close(self) -> None:
        pass


class FaultyReader:
    def open(self, path: Path, *, parser: str, password: str | None) -> FaultySource:
        lines = path.read_text().splitlines()
        if lines and lines[0].startswith("open: "):
            deed = lines.pop(0).removeprefix("open: ")
            if deed.startswith("secret "):
                if password != deed.removeprefix("secret "):
                    raise IngestError(Reason.ENCRYPTED, "a password is needed")
            elif deed.startswith("first "):
                if parser != "pdfium":
                    do(deed.removeprefix("first "), path)
            else:
                do(deed, path)
        if not lines:
            raise IngestError(Reason.ZERO_PAGES, "no page")
        return FaultySource(path, lines)

    def read(self, source: PageSource, page_no: int) -> Page:
        assert isinstance(source, FaultySource)
        deed = source.deeds[page_no - 1]
        do(deed, source.path)
        return make_page(page_no, f"{deed} on {page_no}")


class FaultyStart:
    """Cannot be built."""

    def __init__(self) -> None:
        raise RuntimeError("the model file is gone")


class HangingStart:
    """Is never built."""

    def __init__(self) -> None:
        time.sleep(3600)


def make_page(page_no: int, text: str) -> Page:
    chunk = Chunk(1, "text", text, 0, len(text), (Box(0, 0, 1, 1),), (0,))
    return Page(page_no, str(page_no), 100.0, 200.0, 0, text, text, "text-layer", (), (), (chunk,))


class MemoryDraft:
    """Pages of one document; kept by its writer when a run is interrupted."""

    def __init__(self, doc_id: str, fingerprint: str) -> None:
        self.key = (doc_id, fingerprint)
        self.pages: dict[int, Page] = {}
        self.vectors: dict[int, np.ndarray] = {}
        self.failures: tuple[PageFailure, ...] = ()

    @property
    def pages_done(self) -> frozenset[int]:
        return frozenset(self.pages) | {failure.page_no for failure in self.failures}

    def add(self, pages: Sequence[Page], vectors: np.ndarray | None, failures: Sequence[PageFailure]) -> None:
        numbers = [p.page_no for p in pages] + [f.page_no for f in failures]
        assert not self.pages_done.intersection(numbers)
        if vectors is not None:
            assert len(vectors) == sum(len(p.chunks) for p in pages)
            rows = iter(vectors)
            self.vectors.update((p.page_no, np.array([next(rows) for _ in p.chunks])) for p in pages)
        self.pages.update((page.page_no, page) for page in pages)
        self.failures = (*self.failures, *failures)


class MemoryWriter:
    """An index writer that keeps all in memory and refuses what the real one would refuse."""

    def __init__(self, documents: Sequence[Document] = ()) -> None:
        self.committed = {document.doc: document for document in documents}
        self.drafts: dict[tuple[str, str], MemoryDraft] = {}
        self.pages: dict[str, dict[int, Page]] = {}
        self.n_finished = 0

    def documents(self) -> list[Document]:
        return [self.committed[doc] for doc in sorted(self.committed)]

    def draft(self, doc_id: str, *, fingerprint: str) -> MemoryDraft:
        return self.drafts.setdefault((doc_id, fingerprint), MemoryDraft(doc_id, fingerprint))

    def discard(self, draft: MemoryDraft) -> None:
        del self.drafts[draft.key]

    def commit(self, draft: MemoryDraft, document: Document) -> None:
        assert draft.pages_done == set(range(1, document.n_pages + 1))
        for doc, other in list(self.committed.items()):
            if other.doc_id == document.doc_id:
                del self.committed[doc]
        self.committed[document.doc] = document
        self.pages[document.doc_id] = draft.pages
        del self.drafts[draft.key]

    def remove_all(self, docs: Collection[str]) -> None:
        for doc in docs:
            del self.committed[doc]

    def rename_all(self, names: Mapping[str, str]) -> None:
        moved = {new: self.committed.pop(old) for old, new in names.items()}
        assert not moved.keys() & self.committed.keys()
        for new, document in moved.items():
            self.committed[new] = dataclasses.replace(document, doc=new)

    def update_files(self, documents: Sequence[Document]) -> None:
        assert {d.doc_id for d in documents} == {self.committed[d.doc].doc_id for d in documents}
        self.committed.update((document.doc, document) for document in documents)

    def finish(self, *, keep_drafts: object = None) -> None:
        self.n_finished += 1
