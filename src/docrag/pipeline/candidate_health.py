"""Ask the candidate stage of an index what it keeps of the exact ranking."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docrag.errors import DocragError
from docrag.pipeline.check import Check
from docrag.pipeline.settings import Settings
from docrag.pipeline.visual_options import VisualOptions

MOST_QUERIES = 20
LEAST_QUERIES = 3
EXACT_SCANS_S = 10.0
"""Exact scans may take so long together, by estimate; a larger index is asked fewer queries."""

K = 10


def check_candidates(settings: Settings, index: Path) -> Iterator[Check]:
    """Compare shortlists with exact scans over pages, for queries made of vectors of the index.

    Nothing where the configuration names no page encoder, or the index is not there. No model is loaded.
    """
    from docrag.store import manifest

    options = settings.visual
    if options is None or not manifest.exists(index):
        return
    try:
        yield _check(options, index, depth=settings.retrieval.depth)
    except DocragError as error:
        yield Check("candidates", "problem", str(error), "see the message")


def _check(options: VisualOptions, index: Path, *, depth: int) -> Check:
    from docrag.pipeline.visual import build_kernel, open_vectors
    from docrag.pipeline.visual_candidates import build_candidates
    from docrag.retrieve.visual.cost import exact_scan_s
    from docrag.retrieve.visual.recall import measure_recall, sample_queries
    from docrag.store.reader import IndexReader

    with IndexReader(index) as corpus:
        vectors = open_vectors(corpus)
        view = vectors.view()
        pages = view.select(view.documents, None, "page")
        n_pages = sum(len(rows) for _, rows in pages)
        mend = "docrag index FOLDER with the same configuration"
        if vectors.space is None or not n_pages:
            return Check("candidates", "note", "no page of the index has visual vectors", mend)
        kernel = build_kernel(options)
        try:
            built = build_candidates(
                corpus.path,
                options.candidates,
                kernel,
                dim=vectors.space.encoder.dim,
                stored_pool_factor=vectors.space.pool_factor,
                vector_type=vectors.space.vector_type,
            )
            stage = built.stage
            lacking = [part.name for part, _ in pages if not built.is_prepared_for(part)]
            if lacking:
                detail = f"{stage.name}: {len(lacking)} of {len(pages)} segments lack what it looks at"
                return Check("candidates", "note", detail, f"{mend}; no page is encoded again")
            affordable = int(EXACT_SCANS_S / max(exact_scan_s(kernel, pages), 1e-3))
            queries = sample_queries(view, n_queries=min(max(affordable, LEAST_QUERIES), MOST_QUERIES))
            n = K if stage.misses_nothing else max(options.n_candidates, depth, K)
            found = measure_recall(kernel, stage, view, queries, n=n, k=K)
        finally:
            kernel.close()
    return Check(
        "candidates",
        "ok",
        f"{stage.name}: Recall@{K} {found.recall:.2f} beside an exact scan of {n_pages} pages, its best page "
        f"in the first five for {found.needle_hit:.0%} of {found.n_queries} queries made of stored vectors",
    )
