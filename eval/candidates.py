"""Cost and recall of two-stage visual search against the exact scan, over made-up pages with needles.

Run with ``python eval/candidates.py --folder DIR [--pages 1000 3000 10000 20000] [--prepare-s 280]``. Pages
are written once to DIR (12 GB for 20,000): whole as float16, int8 and residual, and compact, pooled by 4 to
int8, with the columns of every stage. What is not written within ``--prepare-s`` is written by the next run
of the same command. Smaller sizes are the first pages of the same data.

For every size, queries are asked of all ways in turn, so that a busy machine hurts all alike; times are
medians over queries. Recall, with its standard error, and needle hits are against the exact scan of whole
float16 pages; recall beside the exact scan of the same vectors shows what the shortlist alone misses. Bytes
are those of files. Memory is what opening and the first query add in a fresh process, beside loading all
whole vectors. LanceDB's IVF index over multi-vectors has ``2 √pages`` partitions and one bit a number
(RaBitQ), and compares 5 times the pages asked for by their stored numbers; "alone" is its own ten best. The
fit is time = a + b n through the measured sizes; the sizes of ``--extrapolate`` are computed from it, not
measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", str(len(os.sched_getaffinity(0))))

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.fde import Fde
from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import MultiVectors, VectorType, encode
from docrag.late_interaction.pooling import pool_hierarchically
from docrag.late_interaction.view import VectorView
from docrag.retrieve.visual.candidates import (
    Candidates,
    CentroidCandidates,
    Exact,
    FdeCandidates,
    PooledCandidates,
)
from docrag.retrieve.visual.ranking import best_units, exact_scores
from docrag.retrieve.visual.table import TableCandidates
from docrag.retrieve.visual.tokens import TokenCandidates
from docrag.store.row_table import RowTable, TableSpec, n_partitions
from docrag.store.segments import Segment, Source, UnitKey, write_segment
from docrag.store.vector_store import make_view, open_segments
from docrag.types import Document

from structured_vectors import DIM, StructuredPages  # isort: skip

BLOCK_PAGES = 1000
POOL_FACTOR = 4
K = 10
FDE = Fde(DIM)
KINDS: dict[str, VectorType] = {
    "float16": "float16",
    "int8": "int8",
    "residual": "residual",
    "compact": "int8",
}
MANY_PROBES, FEW_PROBES = 64, 8


class Way(NamedTuple):
    """A way to answer: what is shortlisted by, over which pages, and which pages are scored exactly."""

    shortlist: str
    scored: str
    n: int = 200


FIRST_WAYS = ("pooled by 16, then int8", "pooled by 16, then residual")
WAYS = {
    "exact float16": Way("exact", "float16"),
    "exact int8": Way("exact", "int8"),
    "exact residual": Way("exact", "residual"),
    "exact compact": Way("exact", "compact"),
    "signs, then compact": Way("signs", "compact"),
    "pooled by 8, then compact": Way("pooled", "compact"),
    "pooled by 8, then int8": Way("pooled", "int8"),
    "pooled by 16, then int8": Way("pooled more", "int8"),
    "pooled by 16, then residual": Way("centroids", "residual"),
    "tokens, then compact": Way("tokens", "compact"),
    "fde flat, then compact": Way("fde", "compact"),
}


def stages(kernel: MaxSim) -> dict[str, Candidates]:
    """Candidate stages, by the names in `WAYS`: over compact pages, but for centroids."""
    return {
        "exact": Exact(),
        "signs": PooledCandidates(kernel, pool_factor=1),
        "pooled": PooledCandidates(kernel, pool_factor=2, vector_type="int8"),
        "pooled more": PooledCandidates(kernel, pool_factor=4, vector_type="int8"),
        "centroids": CentroidCandidates(kernel),
        "tokens": TokenCandidates(),
        "fde": FdeCandidates(FDE),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="pages are kept here")
    parser.add_argument("--pages", type=int, nargs="+", default=[1000, 3000, 10_000, 20_000])
    parser.add_argument("--extrapolate", type=int, nargs="+", default=[30_000, 100_000])
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--prepare-s", type=float, default=280)
    parser.add_argument("--lancedb", action="store_true", help="also stages in LanceDB, built for every size")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--first-query", choices=FIRST_WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--load", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.first_query:
        print(json.dumps(first_query(args.folder, args.pages[0], args.first_query)))
        return
    if args.load:
        print(json.dumps(load_all(args.folder, args.pages[0])))
        return
    n_written = prepare(args.folder, max(args.pages), until_s=time.monotonic() + args.prepare_s)
    sizes = [n for n in args.pages if n <= n_written]
    if not sizes:
        sys.exit(f"{n_written} pages are written so far; run the same command again")
    rows = [measure(args.folder, n, args.queries, args.ways, with_lancedb=args.lancedb) for n in sizes]
    report = {
        "load": os.getloadavg()[0],
        "threads": MaxSim("auto").n_threads,
        "sizes": rows,
        "fit_ms": fits(rows, args.extrapolate) if len(rows) > 1 else "needs two sizes",
    }
    print(json.dumps(report, indent=1))
    if len(sizes) < len(args.pages):
        sys.exit(f"{n_written} of {max(args.pages)} pages are written so far; run the same command again")


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────


def prepare(folder: Path, n_pages: int, *, until_s: float) -> int:
    """Write blocks that are not there, two at a time; returns how many pages lie there without a gap."""
    blocks = range(-(-n_pages // BLOCK_PAGES))
    missing = [block for block in blocks if missing_kinds(folder, block)]
    if missing:
        with multiprocessing.get_context("spawn").Pool(len(os.sched_getaffinity(0))) as pool:
            for _ in pool.imap(functools.partial(write_block, folder, until_s), missing):
                pass
    n_done = 0
    while not missing_kinds(folder, n_done):
        n_done += 1
    return n_done * BLOCK_PAGES


def segment_of(folder: Path, kind: str, block: int) -> Path:
    return folder / kind / "segments" / f"{block + 1:08d}-made"


def missing_kinds(folder: Path, block: int) -> list[str]:
    """Kinds of pages that a block is not written as."""
    return [kind for kind in KINDS if not segment_of(folder, kind, block).exists()]


def write_block(folder: Path, until_s: float, block: int) -> None:
    """Write one segment of each kind that is missing, unless it is too late to begin."""
    import threadpoolctl

    if time.monotonic() > until_s - 30:
        return
    with threadpoolctl.threadpool_limits(1):
        made, kernel = StructuredPages(), MaxSim("numpy", n_threads=1)
        pages = [made.page(block * BLOCK_PAGES + i + 1) for i in range(BLOCK_PAGES)]
        units = [UnitKey(0, block * BLOCK_PAGES + i + 1, 0) for i in range(BLOCK_PAGES)]
        for kind in missing_kinds(folder, block):
            items, columns = pages, dict[str, NDArray[Any]]()
            if kind == "compact":
                items = [pool_hierarchically(page, POOL_FACTOR)[0] for page in pages]
            vectors = encode(items, KINDS[kind], dim=DIM)
            if kind == "compact":
                for stage in stages(kernel).values():
                    columns |= stage.columns(vectors)
            target = segment_of(folder, kind, block)
            target.parent.mkdir(parents=True, exist_ok=True)
            sources = [Source("id", "none", "i")]
            write_segment(target, Segment(sources, units, vectors, [None] * len(units), columns=columns))


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────


def view_of(index: Path, n_pages: int) -> VectorView:
    """The first `n_pages` pages, a whole number of blocks or part of the first."""
    document = Document("made-up.pdf", "id", n_pages, n_pages, (), 0, 0, "none")
    segments = dict(sorted(open_segments(index).items())[: -(-n_pages // BLOCK_PAGES)])
    return make_view(segments, [document], {"id": "i"})


def kind_of(shortlist: str) -> str:
    """What a candidate stage looks at."""
    return "residual" if shortlist == "centroids" else "compact"


class Search:
    """Asks in several ways; segments are opened once."""

    def __init__(
        self, folder: Path, n_pages: int, kernel: MaxSim, *, kinds: Collection[str] = tuple(KINDS)
    ) -> None:
        self.kernel = kernel
        self.views = {kind: view_of(folder / kind, n_pages) for kind in kinds}
        self.stages = stages(kernel)

    def __call__(self, way: Way, query: NDArray[np.float32]) -> list[int]:
        """Page numbers of the best, best first."""
        view = self.views[way.scored]
        selections = view.select(view.documents, None, "page")
        if way.shortlist != "exact":
            by = self.views[kind_of(way.shortlist)]
            cheap = by.select(by.documents, None, "page")
            short = self.stages[way.shortlist].shortlist(query, by, cheap, n=way.n)
            parts = {part.name: part for part in view.parts}
            selections = [one._replace(part=parts[one.part.name]) for one in short]
        scores = exact_scores(self.kernel, query, selections)
        return [scored.unit.page_no for scored in best_units(view, selections, scores, k=K)]


def measure(
    folder: Path, n_pages: int, n_queries: int, names: Sequence[str], *, with_lancedb: bool
) -> dict[str, Any]:
    """One row of the table of cost against size."""
    search = Search(folder, n_pages, MaxSim("auto"))
    ways = {name: WAYS[name] for name in WAYS if name in names}
    built = add_lancedb(folder, n_pages, search, ways) if with_lancedb else {}
    made = StructuredPages()
    queries = [made.query(n) for n in np.linspace(1, n_pages, n_queries, dtype=int)]
    for way in ways.values():
        search(way, queries[0])  # files come into memory, columns are opened
    times: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, list[list[int]]] = {name: [] for name in ways}
    for query in queries:
        for name, way in ways.items():
            started_s = time.perf_counter()
            found[name].append(search(way, query))
            times[name].append((time.perf_counter() - started_s) * 1000)
    truth = found["exact float16"]
    median = {name: statistics.median(values) for name, values in times.items()}
    stored = bytes_per_page(folder, search)
    opened = {name: child("--first-query", folder, n_pages, name) for name in FIRST_WAYS}
    loaded = child("--load", folder, n_pages)
    return {
        "pages": n_pages,
        "queries": n_queries,
        "median_ms": {name: round(value, 1) for name, value in median.items()},
        "times_faster_than_exact_float16": {
            name: round(median["exact float16"] / value, 1) for name, value in median.items()
        },
        "recall_at_10": {name: mean_and_error(shares_found(truth, lists)) for name, lists in found.items()},
        "recall_at_10_of_the_exact_scan_of_the_same_vectors": {
            name: mean_and_error(shares_found(found[exact], found[name]))
            for name, way in ways.items()
            if way.shortlist != "exact" and (exact := f"exact {way.scored}") in found
        },
        "needle_hit_at_5": {
            name: round(float(np.mean([t[0] in one[:5] for t, one in zip(truth, lists, strict=True)])), 3)
            for name, lists in found.items()
        },
        "bytes_per_page": stored,
        "share_of_float16": {name: share_of_float16(stored, way) for name, way in ways.items()},
        "lancedb": built,
        "open_and_first_query": opened,
        "load_whole_float16": loaded,
        "rss_share": {name: round(one["rss_mb"] / loaded["rss_mb"], 3) for name, one in opened.items()},
    }


def add_lancedb(folder: Path, n_pages: int, search: Search, ways: dict[str, Way]) -> dict[str, Any]:
    """Build LanceDB's tables over compact pages, and add the ways that use them."""

    def encodings(vectors: MultiVectors) -> Iterator[NDArray[np.float32]]:
        return (FDE.encode_document(vectors.vectors(i)) for i in range(len(vectors)))

    def whole(query: NDArray[np.float32]) -> NDArray[np.float32]:
        return query

    def pooled(vectors: MultiVectors) -> Iterator[NDArray[np.float32]]:
        return (pool_hierarchically(vectors.vectors(i), 2)[0] for i in range(len(vectors)))

    index = folder / f"lancedb-{n_pages}"
    segments = {part.name: part.vectors for part in search.views["compact"].parts}
    built: dict[str, Any] = {}
    multivectors = functools.partial(TableSpec, dim=DIM, is_multivector=True, distance="cosine")
    for name, spec, rows, encode_query in (
        ("lancedb fde", TableSpec(FDE.name, FDE.fde_dim, False, "dot"), encodings, FDE.encode_query),
        ("lancedb multivectors", multivectors("pooled", index_from=n_pages + 1), pooled, whole),
        ("lancedb ivf", multivectors("ivf", index_from=1, n_probes=MANY_PROBES), pooled, whole),
        ("lancedb ivf few", multivectors("ivf", index_from=1, n_probes=FEW_PROBES), pooled, whole),
    ):
        table = RowTable(index, spec)
        started_s = time.perf_counter()
        table.update(segments, rows)
        ivf = {"partitions": n_partitions(n_pages), "probes": spec.n_probes} if table.indexed() else None
        built[name] = {"s": round(time.perf_counter() - started_s, 1), "ivf": ivf}
        search.stages[name] = TableCandidates(name, table, encode_query)
        ways[f"{name}, then int8"] = Way(name, "int8")
        if spec.is_multivector:
            ways[f"{name} alone"] = Way(name, "float16", n=K)
    return built


def fits(rows: Sequence[dict[str, Any]], sizes: Sequence[int]) -> dict[str, Any]:
    """Milliseconds ``a + b n`` by least squares on relative errors, the largest of them, and predictions."""
    n_pages = np.asarray([row["pages"] for row in rows], float)
    fitted: dict[str, Any] = {}
    for name in rows[0]["median_ms"]:
        if not all(name in row["median_ms"] for row in rows):
            continue
        taken = np.asarray([row["median_ms"][name] for row in rows])
        design = np.stack([np.ones_like(n_pages), n_pages], axis=1) / taken[:, None]
        (a, b), *_ = np.linalg.lstsq(design, np.ones_like(taken), rcond=None)
        fitted[name] = {
            "a_ms": round(float(a), 2),
            "b_us_per_page": round(float(b) * 1000, 2),
            "largest_error": round(float(np.abs((a + b * n_pages) / taken - 1).max()), 2),
            "extrapolated_ms": {str(n): round(float(a + b * n), 1) for n in sizes},
        }
    return fitted


def shares_found(truth: Sequence[Sequence[int]], found: Sequence[Sequence[int]]) -> list[float]:
    """The share of each question's true pages that were found."""
    return [len(set(t) & set(f)) / len(t) for t, f in zip(truth, found, strict=True)]


def mean_and_error(values: Sequence[float]) -> str:
    """The mean and its standard error over questions."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / len(values) ** 0.5:.3f}"


def bytes_per_page(folder: Path, search: Search) -> dict[str, int]:
    """Of every kind of vectors, and of every stage's columns."""
    sizes: dict[str, int] = {}
    for kind, view in search.views.items():
        part = view.parts[0]
        folder_of_part = folder / kind / "segments" / part.name
        stored = {path.stem: path.stat().st_size for path in folder_of_part.glob("*.npy")}
        n_units = len(part.vectors)
        sizes[kind] = sum(size for name, size in stored.items() if name not in part.columns) // n_units
        for stage_name, stage in search.stages.items():
            if kind == kind_of(stage_name) and stage.column_names:
                of_stage = sum(stored[name] for name in stage.column_names)
                sizes[f"columns of {stage_name}"] = of_stage // n_units
    return sizes


def share_of_float16(stored: Mapping[str, int], way: Way) -> float:
    """Bytes of what a way reads, tables in LanceDB left out, as a share of whole float16 pages."""
    columns = stored.get(f"columns of {way.shortlist}", 0)
    return round((stored[way.scored] + columns) / stored["float16"], 4)


def first_query(folder: Path, n_pages: int, name: str) -> dict[str, float]:
    """Open the index by memory map and answer one query, in this fresh process."""
    kernel, way = MaxSim("numpy"), WAYS[name]
    query = StructuredPages().query(n_pages // 2)
    before = rss_mb()
    started_s = time.perf_counter()
    search = Search(folder, n_pages, kernel, kinds={kind_of(way.shortlist), way.scored})
    search(way, query)
    taken = {"s": round(time.perf_counter() - started_s, 3), "rss_mb": round(rss_mb() - before, 1)}
    del search  # not before: maps that are closed are no longer resident
    return taken


def load_all(folder: Path, n_pages: int) -> dict[str, float]:
    """Load all whole float16 vectors into memory and answer one query, in this fresh process."""
    kernel = MaxSim("numpy")
    query = StructuredPages().query(n_pages // 2)
    before = rss_mb()
    started_s = time.perf_counter()
    view = view_of(folder / "float16", n_pages)
    loaded = [
        dataclasses.replace(part, vectors=part.vectors.take(range(len(part.vectors)))) for part in view.parts
    ]
    in_memory = VectorView(view.documents, loaded)
    selections = in_memory.select(in_memory.documents, None, "page")
    best_units(in_memory, selections, exact_scores(kernel, query, selections), k=K)
    return {"s": round(time.perf_counter() - started_s, 3), "rss_mb": round(rss_mb() - before, 1)}


def rss_mb() -> float:
    import psutil

    return psutil.Process().memory_info().rss / 1e6


def child(flag: str, folder: Path, n_pages: int, *values: str) -> dict[str, float]:
    command = [sys.executable, __file__, flag, *values, "--folder", str(folder), "--pages", str(n_pages)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
