"""From settings to visual retrieval: the vector space, the pass that fills it, and the retriever."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from docrag.errors import EncoderMismatch
from docrag.ingest.options import IngestOptions
from docrag.late_interaction.maxsim import MaxSim
from docrag.pipeline.visual_candidates import CandidateStage, build_candidates
from docrag.pipeline.visual_index import OnProgress, VisualReport, add_visual_vectors, ignore
from docrag.pipeline.visual_options import VisualOptions
from docrag.protocols import PageEmbedder
from docrag.retrieve.stage import SearchResult
from docrag.retrieve.visual.retriever import VisualRetriever, coverage
from docrag.store.reader import IndexReader
from docrag.store.vector_space import VectorSpace, check_space
from docrag.store.vector_store import VectorReader, VectorWriter
from docrag.types import Query, TraceStep


def space_of(options: VisualOptions, embedder: PageEmbedder) -> VectorSpace:
    """The space that vectors of this encoder, stored as `options` say, belong to."""
    return VectorSpace(
        encoder=embedder.identity,
        processor=embedder.processor,
        image=image_of(options),
        vector_type=options.vectors,
        pool_factor=options.pool_factor,
    )


def image_of(options: VisualOptions) -> str:
    """How pages are rendered, as the space of their vectors says it."""
    return f"longest side {options.longest_px} px"


def build_kernel(options: VisualOptions) -> MaxSim:
    """The scorer that `options` describe."""
    return MaxSim(options.backend, device=options.device)


def build_visual_retriever(
    corpus: IndexReader, options: VisualOptions, embedder: PageEmbedder
) -> VisualRetriever:
    """The retriever over the visual vectors of an index.

    Raises `EncoderMismatch` when the index has vectors of another space, or none at all.
    """
    vectors = open_vectors(corpus)
    if vectors.space is None:
        raise EncoderMismatch(
            f"{corpus.path}: the index has no visual vectors; add them with: docrag index FOLDER --config …"
        )
    check_space(corpus.path, vectors.space, space_of(options, embedder))
    kernel = build_kernel(options)
    return VisualRetriever(
        corpus,
        vectors,
        embedder,
        kernel,
        candidates=_candidates(corpus, options, embedder, kernel).stage,
        exact_below=options.exact_below,
        n_candidates=options.n_candidates,
        regions=options.regions,
        n_cascade_pages=options.n_cascade_pages,
    )


def with_visual_boxes(result: SearchResult, retriever: VisualRetriever) -> SearchResult:
    """The result, with boxes of the patches that matched where a page hit has no words to point at."""
    hits = [
        dataclasses.replace(hit, snippet_boxes=retriever.locate(result.query, hit.unit))
        if hit.unit.chunk_no == 0 and not hit.snippet_boxes and retriever.name in hit.sources
        else hit
        for hit in result.hits
    ]
    return dataclasses.replace(result, hits=tuple(hits))


def candidates_step(retriever: VisualRetriever, query: Query, *, k: int, depth: int) -> list[TraceStep]:
    """The candidate stage that a query met, beside an exact scan, as a step; none without visual units.

    `depth` is how many units the search asked the retriever for, `k` of how many the recall is told.
    """
    started_s = time.perf_counter()
    found = retriever.shortlisting(query, k=k, depth=depth)
    if found is None:
        return []
    detail = {
        "stage": found.stage,
        "n_units": found.n_units,
        "n_scored_exactly": found.n_scored,
        f"recall_at_{k}": round(found.recall, 3),
    }
    return [TraceStep(f"{retriever.name} candidates", time.perf_counter() - started_s, detail)]


def open_vectors(corpus: IndexReader) -> VectorReader:
    """The visual vectors of an index, as the reader's committed state shows them."""
    return VectorReader(corpus.path, lambda: (corpus.documents(), corpus.ingest_ids()))


def coverage_notice(corpus: IndexReader) -> str:
    """Say that only part of the pages has visual vectors; empty when all have, or none are wanted."""
    vectors = open_vectors(corpus)
    n_with, n_pages = coverage(vectors.view(), corpus)
    if vectors.space is None or n_with >= n_pages:
        return ""
    return (
        f"only {n_with} of {n_pages} pages have visual vectors; the others are found by their text alone. "
        "Run docrag index with the same configuration to add them"
    )


def no_regions_notice(corpus: IndexReader) -> str:
    """Say that no region has visual vectors, and what to do; empty when some have."""
    view = open_vectors(corpus).view()
    if view.select(view.documents, None, "region"):
        return ""
    return (
        "the index has visual vectors of whole pages only, so no region is found by its looks. Search for "
        "pages, or run docrag index with --set visual.units=[page,region] to add those of regions"
    )


def index_visually(
    corpus: IndexReader,
    options: VisualOptions,
    embedder: PageEmbedder,
    *,
    folder: Path,
    ingest: IngestOptions,
    password: str | None = None,
    retry_failed: bool = False,
    on_progress: OnProgress = ignore,
) -> VisualReport:
    """Add the visual vectors that an index lacks, and what its candidate stage needs, under the writer lock.

    A pass that breaks off leaves the vectors it made; what the stage lacks for them is made by the next one.
    """
    kernel = build_kernel(options)
    stage = _candidates(corpus, options, embedder, kernel)
    try:
        with _writer(corpus, options, embedder, stage) as writer:
            report = add_visual_vectors(
                corpus,
                writer,
                embedder,
                folder=folder,
                units=options.units,
                longest_px=options.longest_px,
                ingest=ingest,
                password=password,
                retry_failed=retry_failed,
                on_progress=on_progress,
            )
            stage.prepare(writer)
            return report
    finally:
        kernel.close()


def compact_vectors(corpus: IndexReader, options: VisualOptions, embedder: PageEmbedder) -> None:
    """Merge the segments of an index, without what is no longer visible."""
    kernel = build_kernel(options)
    stage = _candidates(corpus, options, embedder, kernel)
    try:
        with _writer(corpus, options, embedder, stage) as writer:
            writer.compact(corpus.documents(), corpus.ingest_ids())
            stage.prepare(writer)
    finally:
        kernel.close()


def _candidates(
    corpus: IndexReader, options: VisualOptions, embedder: PageEmbedder, kernel: MaxSim
) -> CandidateStage:
    return build_candidates(
        corpus.path,
        options.candidates,
        kernel,
        dim=embedder.identity.dim,
        stored_pool_factor=options.pool_factor,
        vector_type=options.vectors,
    )


def _writer(
    corpus: IndexReader, options: VisualOptions, embedder: PageEmbedder, stage: CandidateStage
) -> VectorWriter:
    return VectorWriter(
        corpus.path,
        space_of(options, embedder),
        owner="docrag index",
        column_names=stage.stage.column_names,
        make_columns=stage.columns,
    )
