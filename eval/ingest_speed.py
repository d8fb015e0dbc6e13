"""Speed and memory of reading PDFs and storing their text, without embedding.

    python eval/ingest_speed.py FOLDER [--workers 2] [--layouts fast ml] [--ocr-pages 20] [--long-pages 5000]

Prints, for the documents of FOLDER whose pages have text: pages per second with `layout: fast` and
`layout: ml`, OCR off. Then seconds per page for OCR of pages without text. Then, for a generated document of
5,000 pages, the memory of this process as it goes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pypdfium2

from docrag.ingest.events import Event, PagesDone
from docrag.ingest.folder import scan
from docrag.ingest.options import IngestOptions
from docrag.ingest.run import index_paths
from docrag.store.writer import IndexWriter

MEGABYTE = 1 << 20
TEXT_CHARACTERS = 100
"""A page with fewer characters in its text layer counts as a page without text."""


class Memory:
    """Peak memory of this process and of its largest worker, while the context is entered."""

    def __init__(self) -> None:
        self._me = psutil.Process()
        self._stop = threading.Event()
        self.host_mb = 0.0
        self.worker_mb = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def now_mb(self) -> float:
        """Resident memory of this process."""
        return self._me.memory_info().rss / MEGABYTE

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self.host_mb = max(self.host_mb, self.now_mb())
            for child in self._me.children():
                try:
                    self.worker_mb = max(self.worker_mb, child.memory_info().rss / MEGABYTE)
                except psutil.Error:
                    continue  # it ended between the two calls


def pages_with_text(path: Path) -> list[bool]:
    """For every page of a file, whether its text layer has text; empty when pdfium cannot open the file."""
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError:
        return []
    return [len(page.get_textpage().get_text_bounded().strip()) >= TEXT_CHARACTERS for page in document]


@contextlib.contextmanager
def index_of_its_own() -> Generator[IndexWriter]:
    """An index in a temporary folder, for writing."""
    with (
        tempfile.TemporaryDirectory() as folder,
        IndexWriter(folder, owner="ingest_speed", text_encoder=None) as writer,
    ):
        yield writer


def measure(paths: Sequence[Path], root: Path, options: IngestOptions) -> tuple[int, float, Memory]:
    """Pages read, seconds, and memory of one run; worker start-up included."""
    with Memory() as memory, index_of_its_own() as writer:
        started_s = time.perf_counter()
        report = index_paths(paths, writer=writer, root=root, options=options)
        elapsed_s = time.perf_counter() - started_s
    for file in report.files:
        if file.status != "indexed":
            print(f"  {file.doc}: {file.status} {file.reason or ''} {file.message}")
    return report.n_pages_read, elapsed_s, memory


def extract_pages(chosen: Mapping[Path, Sequence[int]], folder: Path) -> list[Path]:
    """One file per chosen page (0-based), so that only these are read."""
    made: list[Path] = []
    for path, indices in chosen.items():
        source = pypdfium2.PdfDocument(path)
        for index in indices:
            target = pypdfium2.PdfDocument.new()
            target.import_pages(source, [index])
            made.append(folder / f"{len(made)}.pdf")
            target.save(made[-1])
    return made


def generate_long(path: Path, n_pages: int) -> None:
    """A document of `n_pages` pages of 50 lines."""
    import pymupdf

    document = pymupdf.open()
    for page_no in range(1, n_pages + 1):
        page = document.new_page()
        lines = [f"Line {n} of page {page_no}: station {page_no * n % 97} measured rain." for n in range(50)]
        page.insert_text((50, 60), lines, fontsize=10)
    document.save(path)


def measure_growth(path: Path, options: IngestOptions, n_pages: int) -> None:
    memory = Memory()
    n_done = 0
    host_mb: list[str] = [f"{memory.now_mb():.0f} before"]

    def on_event(event: Event) -> None:
        nonlocal n_done
        if isinstance(event, PagesDone):
            n_done += event.n_pages
            if n_done % max(1, n_pages // 5) == 0:
                host_mb.append(f"{memory.now_mb():.0f} at page {n_done}")

    with memory, index_of_its_own() as writer:
        started_s = time.perf_counter()
        index_paths([path], writer=writer, options=options, on_event=on_event)
        elapsed_s = time.perf_counter() - started_s
    rate = n_pages / elapsed_s
    print(f"{n_pages} pages in one file: {rate:.1f} pages/s; largest worker {memory.worker_mb:.0f} MB")
    print(f"host MB: {', '.join(host_mb)}, {memory.host_mb:.0f} at most, {memory.now_mb():.0f} at the end")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--layouts", nargs="*", default=["fast", "ml"], choices=["fast", "ml"])
    parser.add_argument("--ocr-pages", type=int, default=20)
    parser.add_argument("--long-pages", type=int, default=5000)
    parser.add_argument("--max-files", type=int, default=None, help="take only so many text documents")
    arguments = parser.parse_args()
    options: dict[str, Any] = {"n_workers": arguments.workers}

    root = arguments.folder.resolve()
    files = scan([root], root=root).files if arguments.layouts or arguments.ocr_pages else []
    with_text = {file.path: pages_with_text(file.path) for file in files}
    texts = [path for path, pages in with_text.items() if pages and sum(pages) >= 0.8 * len(pages)]
    texts = texts[: arguments.max_files]
    print(
        f"{len(texts)} text documents of {len(with_text)}, {arguments.workers} workers, "
        f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    )
    for layout in arguments.layouts:
        n_pages, elapsed_s, memory = measure(
            texts, root, IngestOptions(layout=layout, ocr="never", **options)
        )
        print(
            f"layout {layout:4}: {n_pages} pages in {elapsed_s:.1f} s, {n_pages / elapsed_s:.1f} pages/s; "
            f"host {memory.host_mb:.0f} MB, largest worker {memory.worker_mb:.0f} MB"
        )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        blank = [(path, i) for path, pages in with_text.items() for i, has in enumerate(pages) if not has]
        step = max(1, len(blank) // max(1, arguments.ocr_pages))
        chosen: dict[Path, list[int]] = {}
        for path, index in blank[::step][: arguments.ocr_pages]:
            chosen.setdefault(path, []).append(index)
        if chosen:
            made = extract_pages(chosen, folder)
            n_pages, elapsed_s, memory = measure(
                made, folder, IngestOptions(layout="fast", ocr="always", **options)
            )
            print(
                f"OCR of {n_pages} pages without text: {elapsed_s / max(1, n_pages):.2f} s/page; "
                f"largest worker {memory.worker_mb:.0f} MB"
            )
        if arguments.long_pages:
            long = folder / "long" / "long.pdf"
            long.parent.mkdir()
            generate_long(long, arguments.long_pages)
            measure_growth(long, IngestOptions(layout="fast", ocr="never", **options), arguments.long_pages)


if __name__ == "__main__":
    main()
