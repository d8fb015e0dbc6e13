"""Cost and recall of two-stage visual search against the exact scan, over made-up pages with needles.

Run with ``python eval/candidates.py [--pages 1000 3000] [--folder DIR]``. For every size, pages are written
as segments, once whole as float16 and once compact: pooled by 4 to int8, with signs for the shortlist. Both
are opened by memory map. Queries are asked in turn of the exact scan over whole pages, of the exact scan
over compact pages, and of shortlist and rerank over compact pages. Recall and needle hits are against the
exact scan over whole pages; times are medians over queries, memory is what opening and the first query add
in a fresh process, beside loading all whole vectors.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.fde import Fde
from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import VectorType, encode
from docrag.late_interaction.pooling import pool_hierarchically
from docrag.late_interaction.view import VectorView
from docrag.protocols import EncoderIdentity
from docrag.retrieve.visual.candidates import Candidates, Exact, FdeCandidates, PooledCandidates
from docrag.retrieve.visual.ranking import best_units, exact_scores
from docrag.store.segments import Segment, Source, UnitKey
from docrag.store.vector_space import VectorSpace
from docrag.store.vector_store import VectorWriter, make_view, open_segments
from docrag.types import Document

from structured_vectors import DIM, StructuredPages  # isort: skip

SEGMENT_PAGES = 64
POOL_FACTOR = 4
N_CANDIDATES = 200
K = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, nargs="+", default=[1000, 3000])
    parser.add_argument("--queries", type=int, default=21)
    parser.add_argument("--folder", type=Path, help="keep segments here; default: a temporary folder")
    parser.add_argument("--fde", action="store_true", help="also fixed dimensional encodings: slow to write")
    parser.add_argument("--first-query", nargs=2, metavar=("DIR", "PAGES"), help=argparse.SUPPRESS)
    parser.add_argument("--load", nargs=2, metavar=("DIR", "PAGES"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.first_query:
        print(json.dumps(first_query(Path(args.first_query[0]), int(args.first_query[1]))))
        return
    if args.load:
        print(json.dumps(load_all(Path(args.load[0]), int(args.load[1]))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        base = args.folder or Path(temporary)
        rows = [measure(base / str(n), n, args.queries, with_fde=args.fde) for n in args.pages]
    print(
        json.dumps({"load": os.getloadavg()[0], "threads": MaxSim("auto").n_threads, "sizes": rows}, indent=1)
    )


def measure(folder: Path, n_pages: int, n_queries: int, *, with_fde: bool) -> dict[str, Any]:
    """One row of the table of cost against size."""
    made = StructuredPages()
    kernel = MaxSim("auto")
    shortlist = PooledCandidates(kernel, pool_factor=1)
    fde = FdeCandidates(Fde(DIM))
    written_s = time.perf_counter()
    write(folder, made, n_pages, [shortlist, fde] if with_fde else [shortlist])
    written_s = time.perf_counter() - written_s
    whole, compact = view_of(folder / "whole", n_pages), view_of(folder / "compact", n_pages)
    queries = [made.query(n) for n in np.linspace(1, n_pages, n_queries, dtype=int)]
    ways: dict[str, Callable[[NDArray[np.float32]], list[int]]] = {
        "exact, whole float16": lambda q: search(kernel, whole, q, Exact()),
        "exact, pooled int8": lambda q: search(kernel, compact, q, Exact()),
        "signs, then pooled int8": lambda q: search(kernel, compact, q, shortlist),
    }
    if with_fde:
        ways["fde, then pooled int8"] = lambda q: search(kernel, compact, q, fde)
    for way in ways.values():
        way(queries[0])  # files come into memory, columns are opened
    times: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, list[list[int]]] = {name: [] for name in ways}
    for query in queries:
        for name, way in ways.items():
            started_s = time.perf_counter()
            found[name].append(way(query))
            times[name].append((time.perf_counter() - started_s) * 1000)
    truth = found["exact, whole float16"]
    median = {name: statistics.median(values) for name, values in times.items()}
    opened = child("--first-query", folder / "compact", n_pages)
    loaded = child("--load", folder / "whole", n_pages)
    return {
        "pages": n_pages,
        "written_s": round(written_s, 1),
        "median_ms": {name: round(value, 2) for name, value in median.items()},
        "times_faster_than_exact_whole": {
            name: round(median["exact, whole float16"] / value, 1) for name, value in median.items()
        },
        "recall_at_10": {name: recall(truth, lists) for name, lists in found.items()},
        "needle_hit_at_5": {
            name: round(float(np.mean([t[0] in one[:5] for t, one in zip(truth, lists, strict=True)])), 3)
            for name, lists in found.items()
        },
        "bytes_per_page": {
            "whole float16": size(folder / "whole") // n_pages,
            "compact with signs": size(folder / "compact", skip="fde-") // n_pages,
        },
        "open_and_first_query": opened,
        "load_whole": loaded,
        "rss_share": round(opened["rss_mb"] / loaded["rss_mb"], 3),
    }


def write(folder: Path, made: StructuredPages, n_pages: int, columns: Sequence[Candidates]) -> None:
    """Write the same pages whole and compact, unless they are there."""

    def make_columns(segment: Segment) -> dict[str, NDArray[Any]]:
        return {name: c for one in columns for name, c in one.columns(segment.vectors).items()}

    kinds: dict[str, tuple[VectorType, int]] = {"whole": ("float16", 1), "compact": ("int8", POOL_FACTOR)}
    if folder.is_dir():
        return
    for name, (vector_type, factor) in kinds.items():
        index = folder / name
        index.mkdir(parents=True)
        space = VectorSpace(EncoderIdentity("made-up", "1", DIM, "late"), "1", "none", vector_type, factor)
        options = {"make_columns": make_columns} if name == "compact" else {}
        with VectorWriter(index, space, owner="measurement", **options) as writer:
            for start in range(1, n_pages + 1, SEGMENT_PAGES):
                numbers = range(start, min(start + SEGMENT_PAGES, n_pages + 1))
                vectors = [pool_hierarchically(made.page(n), factor)[0] for n in numbers]
                units = [UnitKey(0, n, 0) for n in numbers]
                packed = encode(vectors, vector_type, dim=DIM)
                writer.add(Segment([Source("id", "none", "i")], units, packed, [None] * len(units)))
            writer.compact([document(n_pages)], {"id": "i"})


def document(n_pages: int) -> Document:
    return Document("made-up.pdf", "id", n_pages, n_pages, (), 0, 0, "none")


def view_of(index: Path, n_pages: int) -> VectorView:
    return make_view(open_segments(index), [document(n_pages)], {"id": "i"})


def search(kernel: MaxSim, view: VectorView, query: NDArray[np.float32], candidates: Candidates) -> list[int]:
    """Page numbers of the best, best first."""
    selections = view.select(view.documents, None, "page")
    chosen = candidates.shortlist(query, view, selections, n=N_CANDIDATES)
    scores = exact_scores(kernel, query, chosen)
    return [scored.unit.page_no for scored in best_units(view, chosen, scores, k=K)]


def recall(truth: Sequence[Sequence[int]], found: Sequence[Sequence[int]]) -> float:
    shares = [len(set(t) & set(f)) / len(t) for t, f in zip(truth, found, strict=True)]
    return round(float(np.mean(shares)), 3)


def size(folder: Path, *, skip: str = "none") -> int:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(skip)]
    return sum(path.stat().st_size for path in files)


def first_query(index: Path, n_pages: int) -> dict[str, float]:
    """Open the compact index and answer one query, in this fresh process."""
    kernel = MaxSim("numpy")
    query = StructuredPages().query(n_pages // 2)
    before = rss_mb()
    started_s = time.perf_counter()
    search(kernel, view_of(index, n_pages), query, PooledCandidates(kernel, pool_factor=1))
    return {"s": round(time.perf_counter() - started_s, 3), "rss_mb": round(rss_mb() - before, 1)}


def load_all(index: Path, n_pages: int) -> dict[str, float]:
    """Load all whole vectors into memory and answer one query, in this fresh process."""
    kernel = MaxSim("numpy")
    query = StructuredPages().query(n_pages // 2)
    before = rss_mb()
    started_s = time.perf_counter()
    view = view_of(index, n_pages)
    loaded = [
        dataclasses.replace(part, vectors=part.vectors.take(range(len(part.vectors)))) for part in view.parts
    ]
    search(kernel, VectorView(view.documents, loaded), query, Exact())
    return {"s": round(time.perf_counter() - started_s, 3), "rss_mb": round(rss_mb() - before, 1)}


def rss_mb() -> float:
    import psutil

    return psutil.Process().memory_info().rss / 1e6


def child(flag: str, index: Path, n_pages: int) -> dict[str, float]:
    command = [sys.executable, __file__, flag, str(index), str(n_pages)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
