"""From settings to visual retrieval: the vector space, the pass that fills it, and the retriever."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from docrag.errors import EncoderMismatch
from docrag.ingest.options import IngestOptions
from docrag.late_interaction.fde import Fde
from docrag.late_interaction.maxsim import MaxSim
from docrag.pipeline.visual_index import OnProgress, VisualReport, add_visual_vectors, ignore
from docrag.pipeline.visual_options import ExactOptions, FdeOptions, PooledOptions, VisualOptions
from docrag.protocols import PageEmbedder
from docrag.retrieve.stage import SearchResult
from docrag.retrieve.visual.candidates import Candidates, Exact, FdeCandidates, PooledCandidates
from docrag.retrieve.visual.retriever import VisualRetriever, coverage
from docrag.store.reader import IndexReader
from docrag.store.segments import Segment
from docrag.store.vector_space import VectorSpace, check_space
from docrag.store.vector_store import VectorReader, VectorWriter


def space_of(options: VisualOptions, embedder: PageEmbedder) -> VectorSpace:
    """The space that vectors of this encoder, stored as `options` say, belong to."""
    return VectorSpace(
        encoder=embedder.identity,
        processor=embedder.processor,
        image=f"longest side {options.longest_px} px",
        vector_type=options.vectors,
        pool_factor=options.pool_factor,
    )


def build_candidates(options: VisualOptions, kernel: MaxSim, *, dim: int) -> Candidates:
    """The candidate stage that `options` describe."""
    match options.candidates:
        case ExactOptions():
            return Exact()
        case PooledOptions() as pooled:
            return PooledCandidates(kernel, pool_factor=pooled.pool_factor, vector_type=pooled.vector_type)
        case FdeOptions() as fde:
            return FdeCandidates(
                Fde(
                    dim,
                    n_repetitions=fde.n_repetitions,
                    n_planes=fde.n_planes,
                    n_projected=fde.n_projected,
                    seed=fde.seed,
                )
            )


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
        candidates=build_candidates(options, kernel, dim=embedder.identity.dim),
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
    """Add the visual vectors that an index lacks, holding its writer lock."""
    kernel = build_kernel(options)
    candidates = build_candidates(options, kernel, dim=embedder.identity.dim)

    def columns(segment: Segment) -> dict[str, NDArray[Any]]:
        return candidates.columns(segment.vectors)

    space = space_of(options, embedder)
    try:
        with VectorWriter(corpus.path, space, owner="docrag index", make_columns=columns) as writer:
            return add_visual_vectors(
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
    finally:
        kernel.close()


def compact_vectors(corpus: IndexReader, options: VisualOptions, embedder: PageEmbedder) -> None:
    """Merge the segments of an index, without what is no longer visible."""
    kernel = build_kernel(options)
    candidates = build_candidates(options, kernel, dim=embedder.identity.dim)
    space = space_of(options, embedder)
    with VectorWriter(
        corpus.path,
        space,
        owner="docrag index",
        make_columns=lambda segment: candidates.columns(segment.vectors),
    ) as writer:
        writer.compact(corpus.documents(), corpus.ingest_ids())
    kernel.close()
