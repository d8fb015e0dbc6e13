"""The visual pass over an index: draw what has no vectors yet, encode it, and add it in segments.

Every segment is durable when it is written, so an interrupted pass goes on where it was. A page or region
that cannot be drawn or encoded is recorded with its reason, and not tried again unless asked for.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from docrag.embed.visual.each_image import embed_each
from docrag.geometry import Box, union_box
from docrag.ingest.image_reader import ImageReader
from docrag.ingest.names import document_path
from docrag.ingest.options import IngestOptions
from docrag.ingest.page_images import Crop, ImageJob, PageImages
from docrag.ingest.pool import WorkerPool
from docrag.ingest.slot import Job
from docrag.ingest.worker import TaskDone
from docrag.late_interaction.multivectors import VectorType, encode
from docrag.late_interaction.pooling import pool_hierarchically
from docrag.protocols import ImageVectors, PageEmbedder, RgbImage
from docrag.store.reader import IndexReader
from docrag.store.segments import Segment, Source, UnitFailure, UnitKey
from docrag.store.vector_store import VectorReader, VectorWriter, source_of
from docrag.types import Chunk, Document, Page, PageFailure, PageRef, RegionKind

CROPPED_KINDS: frozenset[RegionKind] = frozenset({"table", "picture", "formula"})
"""Regions that say more to the eye than their text does; a caption belongs to the chunk of its figure."""

JOB_PAGES = 8
ENCODE_IMAGES = 16
"""Images encoded together at most; the encoder makes its own batches of these."""

SLOW_IMAGES = 4
"""Images encoded together at first, and by an encoder that takes long for each."""

ENCODE_S = 20.0
"""Images are encoded together that take about so long: all of them are lost when the pass breaks off."""

FLUSH_VECTORS = 1 << 16
"""A segment is written at about this many vectors: 64 pages of 1,024."""

FLUSH_S = 60.0
"""A segment is written after this time, as soon as images are encoded: what a crash can cost."""


@dataclass(frozen=True, slots=True)
class VisualProgress:
    """`n_done` of `n_units` pages and regions without vectors at the start are encoded, or have failed."""

    n_done: int
    n_units: int
    doc: str


@dataclass(frozen=True, slots=True)
class VisualReport:
    """What a visual pass did. `skipped` are documents whose file could not be used, and why."""

    n_pages: int
    n_pages_with_vectors: int
    n_added: int
    failed: tuple[tuple[str, int, int, str], ...]
    skipped: Mapping[str, str]
    elapsed_s: float

    @property
    def is_partial(self) -> bool:
        """Whether something could not be drawn or encoded."""
        return bool(self.failed or self.skipped)

    def to_json(self) -> dict[str, Any]:
        """The ``visual`` entry of ``docrag index --json``."""
        return {
            "pages": self.n_pages,
            "pages_with_vectors": self.n_pages_with_vectors,
            "added": self.n_added,
            "failed": [
                {"doc": doc, "page": page_no, "chunk": chunk_no or None, "reason": reason}
                for doc, page_no, chunk_no, reason in self.failed
            ],
            "skipped": dict(self.skipped),
            "elapsed_s": round(self.elapsed_s, 3),
        }


OnProgress = Callable[[VisualProgress], None]


def ignore(_progress: VisualProgress) -> None:
    """Tell nobody."""


def add_visual_vectors(
    corpus: IndexReader,
    writer: VectorWriter,
    embedder: PageEmbedder,
    *,
    folder: Path,
    units: Sequence[Literal["page", "region"]],
    longest_px: int,
    ingest: IngestOptions,
    password: str | None = None,
    retry_failed: bool = False,
    on_progress: OnProgress = ignore,
) -> VisualReport:
    """Add vectors for every page and region of `corpus` that has none.

    Files that are gone or have changed since they were indexed are skipped and named.

    Raises
    ------
    ModelUnavailable, ModelError
        The encoder's endpoint is gone, or fails on whatever it is given; what was encoded before is stored.
    StorageError
        A segment cannot be written; the segments before are intact.
    """
    started_s = time.monotonic()
    ingest_ids = corpus.ingest_ids()
    vectors = VectorReader(corpus.path, lambda: (corpus.documents(), ingest_ids))
    plan, skipped = _plan(corpus, vectors, folder, units, retry_failed=retry_failed)
    run = _Run(writer, embedder, plan, ingest_ids, on_progress)
    if plan:
        run.execute(draw_in_workers(plan, ingest, longest_px=longest_px, password=password))
    after = VectorReader(corpus.path, lambda: (corpus.documents(), ingest_ids))
    return VisualReport(
        n_pages=sum(document.n_pages_indexed for document in corpus.documents()),
        n_pages_with_vectors=len(after.view().pages()),
        n_added=run.n_added,
        failed=tuple((unit.doc, unit.page_no, unit.chunk_no, why) for unit, why in after.failures()),
        skipped=skipped,
        elapsed_s=time.monotonic() - started_s,
    )


@dataclass(frozen=True, slots=True)
class FileJob:
    """What a document still lacks, by page number."""

    document: Document
    path: Path
    pages: Mapping[int, ImageJob]


def _plan(
    corpus: IndexReader,
    vectors: VectorReader,
    folder: Path,
    units: Sequence[str],
    *,
    retry_failed: bool,
) -> tuple[list[FileJob], dict[str, str]]:
    """Files to draw from, and documents whose file cannot be used, with the reason."""
    view = vectors.view()
    done = {
        (document.doc_id, int(page_no), int(chunk_no))
        for part in view.parts
        for index, page_no, chunk_no in zip(part.doc_indices, part.page_nos, part.chunk_nos, strict=True)
        if index >= 0
        for document in (view.documents[int(index)],)
    }
    if not retry_failed:
        done |= {(unit.doc_id, unit.page_no, unit.chunk_no) for unit, _ in vectors.failures()}
    jobs: list[FileJob] = []
    skipped: dict[str, str] = {}
    for document in corpus.documents():
        pages: dict[int, ImageJob] = {}
        for page_no in corpus.page_labels(document.doc_id):
            with_page = "page" in units and (document.doc_id, page_no, 0) not in done
            page = corpus.page(PageRef(document.doc_id, page_no)) if with_page or "region" in units else None
            if page is None:
                continue
            crops = [
                Crop(chunk.chunk_no, seen_box(page, chunk))
                for chunk in page.chunks
                if "region" in units and chunk.kind in CROPPED_KINDS and chunk.boxes
                if (document.doc_id, page_no, chunk.chunk_no) not in done
            ]
            if with_page or crops:
                pages[page_no] = ImageJob(page.width_pt, page.height_pt, with_page, crops)
        if pages:
            path = document_path(document.doc, folder)
            problem = _problem(document, path)
            if problem:
                skipped[document.doc] = problem
            else:
                jobs.append(FileJob(document, path, pages))
    return jobs, skipped


def seen_box(page: Page, chunk: Chunk) -> Box:
    """The box around a chunk, its figure and its caption: a picture without text is not part of any text."""
    own = set(chunk.region_orders)
    partners = {r.caption_order for r in page.regions if r.order in own and r.caption_order is not None}
    return union_box([*chunk.boxes, *(region.box for region in page.regions if region.order in partners)])


def _problem(document: Document, path: Path) -> str:
    """Why a document's file cannot be drawn from; empty when it can."""
    try:
        status = path.stat()
    except OSError:
        return "the file is not where it was indexed"
    if (status.st_size, status.st_mtime_ns) != (document.size_bytes, document.mtime_ns):
        return "the file has changed since it was indexed; run docrag index"
    return ""


@dataclass
class _Waiting:
    """Images drawn and not yet encoded."""

    file_keys: list[int] = field(default_factory=list[int])
    keys: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    images: list[RgbImage] = field(default_factory=list[RgbImage])


class _Run:
    def __init__(
        self,
        writer: VectorWriter,
        embedder: PageEmbedder,
        plan: Sequence[FileJob],
        ingest_ids: Mapping[str, str],
        on_progress: OnProgress,
    ) -> None:
        self._writer = writer
        self._embedder = embedder
        self._plan = plan
        self._source_of = [source_of(job.document, ingest_ids[job.document.doc_id]) for job in plan]
        self._tell = on_progress
        self._n_units = sum(job.with_page + len(job.crops) for file in plan for job in file.pages.values())
        self._n_done = 0
        self._n_together = min(SLOW_IMAGES, ENCODE_IMAGES)
        self._waiting = _Waiting()
        self._segment = _SegmentBuilder(writer.space.vector_type, embedder.identity.dim)
        self._flushed_s = time.monotonic()
        self.n_added = 0

    def execute(self, drawn: Iterable[tuple[int, PageImages | PageFailure]]) -> None:
        """Encode what was drawn and write segments; what is encoded is written in any case."""
        self._tell(VisualProgress(0, self._n_units, self._plan[0].document.doc))
        try:
            for key, message in drawn:
                if isinstance(message, PageImages):
                    self._take(key, message)
                else:
                    self._fail_page(key, message)
            self._encode()
        finally:
            self._flush()

    def _take(self, key: int, drawn: PageImages) -> None:
        source = self._source_of[key]
        for chunk_no, image in drawn.images:
            self._waiting.file_keys.append(key)
            self._waiting.keys.append((drawn.page_no, chunk_no))
            self._waiting.images.append(image)
        for chunk_no, why in drawn.failures:
            self._segment.fail(source, drawn.page_no, chunk_no, why)
        if drawn.failures:
            self._count(key, len(drawn.failures))
        if len(self._waiting.images) >= self._n_together:
            self._encode()

    def _fail_page(self, key: int, failure: PageFailure) -> None:
        job = self._plan[key].pages[failure.page_no]
        chunk_nos = [0] * job.with_page + [crop.chunk_no for crop in job.crops]
        for chunk_no in chunk_nos:
            why = f"{failure.reason}: {failure.message}"
            self._segment.fail(self._source_of[key], failure.page_no, chunk_no, why)
        self._count(key, len(chunk_nos))

    def _count(self, key: int, n_units: int) -> None:
        self._n_done += n_units
        self._tell(VisualProgress(self._n_done, self._n_units, self._plan[key].document.doc))

    def _encode(self) -> None:
        waiting, self._waiting = self._waiting, _Waiting()
        if not waiting.images:
            return
        started_s = time.monotonic()
        encoded = embed_each(self._embedder, waiting.images)
        per_image_s = max(time.monotonic() - started_s, 1e-6) / len(encoded)
        self._n_together = min(max(int(ENCODE_S / per_image_s), SLOW_IMAGES), ENCODE_IMAGES)
        for key, (page_no, chunk_no), item in zip(waiting.file_keys, waiting.keys, encoded, strict=True):
            source = self._source_of[key]
            if isinstance(item, str):
                self._segment.fail(source, page_no, chunk_no, item)
            else:
                self._segment.add(source, page_no, chunk_no, _pooled(item, self._writer.space.pool_factor))
                self.n_added += 1
        self._count(waiting.file_keys[-1], len(encoded))
        if self._segment.n_vectors >= FLUSH_VECTORS or time.monotonic() - self._flushed_s > FLUSH_S:
            self._flush()

    def _flush(self) -> None:
        if self._segment.n_entries:
            self._writer.add(self._segment.build())
            self._segment = _SegmentBuilder(self._writer.space.vector_type, self._embedder.identity.dim)
        self._flushed_s = time.monotonic()


class _SegmentBuilder:
    """Collects units of several documents."""

    def __init__(self, vector_type: VectorType, dim: int) -> None:
        self._type: VectorType = vector_type
        self._dim = dim
        self._sources: dict[Source, int] = {}
        self._units: list[UnitKey] = []
        self._vectors: list[NDArray[np.float32]] = []
        self._grids: list[NDArray[np.int32] | None] = []
        self._failures: list[UnitFailure] = []

    @property
    def n_entries(self) -> int:
        return len(self._units) + len(self._failures)

    @property
    def n_vectors(self) -> int:
        return sum(map(len, self._vectors))

    def add(self, source: Source, page_no: int, chunk_no: int, item: ImageVectors) -> None:
        self._units.append(UnitKey(self._index(source), page_no, chunk_no))
        self._vectors.append(item.vectors)
        self._grids.append(item.grid)

    def fail(self, source: Source, page_no: int, chunk_no: int, why: str) -> None:
        self._failures.append(UnitFailure(self._index(source), page_no, chunk_no, why))

    def build(self) -> Segment:
        vectors = encode(self._vectors, self._type, dim=self._dim)
        return Segment(list(self._sources), self._units, vectors, self._grids, self._failures)

    def _index(self, source: Source) -> int:
        return self._sources.setdefault(source, len(self._sources))


def draw_in_workers(
    plan: Sequence[FileJob], ingest: IngestOptions, *, longest_px: int, password: str | None
) -> Iterator[tuple[int, PageImages | PageFailure]]:
    """Draw in processes that a file may end; yields an index into `plan` with each page."""
    drawing = {str(file.path): file.pages for file in plan}
    n_pages = sum(len(file.pages) for file in plan)
    n_jobs = 0
    pool = WorkerPool(
        functools.partial(ImageReader, drawing, longest_px),
        n_workers=min(ingest.worker_count(), max(1, n_pages // JOB_PAGES)),
        limits=ingest.limits,
        recycle_after_pages=ingest.recycle_after_pages,
    )
    with pool:
        for key, file in enumerate(plan):
            parser = "pdfium" if file.document.parser == "pdfium" else "pymupdf"
            for pages in _chunks(sorted(file.pages), JOB_PAGES):
                pool.submit(Job(key, file.path, parser, pages, False, password))
                n_jobs += 1
        while n_jobs:
            result = pool.next()
            if isinstance(result.message, TaskDone):
                n_jobs -= 1
            elif isinstance(result.message, PageImages | PageFailure):
                yield result.key, result.message


def _pooled(item: ImageVectors, factor: int) -> ImageVectors:
    """The image with fewer vectors, its patches pointing at those they went into."""
    pooled, labels = pool_hierarchically(item.vectors, factor)
    if item.grid is None or factor == 1:
        return ImageVectors(pooled, item.grid)
    grid = np.where(item.grid < 0, -1, labels[np.maximum(item.grid, 0)])
    return ImageVectors(pooled, grid.astype(np.int32))


def _chunks(numbers: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(numbers), size):
        yield tuple(numbers[start : start + size])
