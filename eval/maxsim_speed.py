"""Speed of exact MaxSim beside colpali-engine's scorer, bare einsums and LanceDB's scan, interleaved.

Run with ``python eval/maxsim_speed.py [--pages 1000] [--lancedb-pages 1200] [--screened-pages 0]
[--rounds 7]``; needs the extra "visual". A screen is timed as the whole search: shortlist, exact rerank,
ranking; ``--screened-pages 5000`` times it over so many pages, too, beside the exact scan alone. Every round
runs each contender once, so that a busy machine hurts all alike; figures are medians over rounds, after one
round that does not count. Threads are equal: as many as the machine's cores for all.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import VECTOR_TYPES, MultiVectors, encode
from docrag.late_interaction.view import Selection, VectorPart, VectorView
from docrag.retrieve.visual.ranking import best_units, exact_scores
from docrag.retrieve.visual.screen import ScreenCandidates
from docrag.types import Document, Scored
from structured_vectors import DIM, StructuredPages

N_TOP = 10
DEPTHS = (N_TOP, 200)
"""Best pages that a screen is asked for: those shown, or as many as a search asks for by default."""
N_SPREAD_QUERIES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--lancedb-pages", type=int, default=1200)
    parser.add_argument("--screened-pages", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    made = StructuredPages(n_vectors=1030)
    pages = [made.page(i) for i in range(max(args.pages, args.lancedb_pages))]
    queries = [made.query(i * 37) for i in range(N_SPREAD_QUERIES)]
    report: dict[str, Any] = {"threads": args.threads, "load": os.getloadavg()[0]}
    report["scorers"] = scorers(pages[: args.pages], queries, args.rounds, args.threads)
    report["lancedb"] = lancedb(pages[: args.lancedb_pages], queries[0], args.rounds, args.threads)
    if args.screened_pages:
        del pages
        report["screened"] = screened(made, args.screened_pages, queries, args.rounds, args.threads)
    print(json.dumps(report, indent=1))


def scorers(
    pages: list[NDArray[np.float32]], queries: list[NDArray[np.float32]], rounds: int, threads: int
) -> dict[str, Any]:
    """Times in ms, ratios to colpali-engine, differences and overlaps."""
    score_multi_vector = colpali_engine_scorer()
    query = queries[0]
    kernels = {"numpy": MaxSim("numpy", n_threads=threads), "torch": MaxSim("torch", n_threads=threads)}
    stored: dict[str, MultiVectors] = {kind: encode(pages, kind, dim=DIM) for kind in VECTOR_TYPES}
    peers = {
        name: ([torch.from_numpy(query).to(dtype)], [torch.from_numpy(page).to(dtype) for page in pages])
        for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
    }
    contenders: dict[str, Callable[[], Any]] = {}
    for name, (peer_query, peer_pages) in peers.items():
        contenders[f"colpali-engine {name}"] = lambda q=peer_query, p=peer_pages: score_multi_vector(
            q, p, device="cpu"
        )
    block = np.stack(pages)  # what einsum wants: as many vectors on every page
    contenders["einsum float32 (numpy)"] = lambda: (
        np.einsum("qd,pvd->pqv", query, block, optimize=True).max(axis=2).sum(axis=1)
    )
    torch_query, torch_block = torch.from_numpy(query), torch.from_numpy(block)
    contenders["einsum float32 (torch)"] = lambda: (
        torch.einsum("qd,pvd->pqv", torch_query, torch_block).amax(dim=2).sum(dim=1)
    )
    for kind, units in stored.items():
        for backend, kernel in kernels.items():
            contenders[f"docrag {kind} ({backend})"] = lambda k=kernel, u=units: k.scores([query], u)
    screens = {kind: Screen(stored[kind], kernels["torch"]) for kind in ("float32", "float16")}
    for kind, screen in screens.items():
        contenders[f"docrag screen {kind} (torch)"] = lambda s=screen: s.search(query)
    four = queries[:4]
    for kind in VECTOR_TYPES:
        kernel, units = kernels["torch"], stored[kind]
        contenders[f"4 passes {kind}"] = lambda k=kernel, u=units: [k.scores([q], u) for q in four]
        contenders[f"1 pass of 4 {kind}"] = lambda k=kernel, u=units: k.scores(four, u)
    times = interleaved(contenders, rounds)
    pool = ThreadPoolExecutor(threads)
    exact = np.asarray(contenders["colpali-engine float32"]())[0]
    ours = kernels["torch"].scores([query], stored["float32"])[0]
    overlaps = {kind: overlap(kernels["torch"], queries, stored["float32"], stored[kind]) for kind in stored}
    fp32, bf16 = times["colpali-engine float32"], times["colpali-engine bfloat16"]
    bare = times["einsum float32 (torch)"]
    ratio = {
        f"{name} against {peer}": round(base / times[name], 2)
        for name in times
        if name.startswith("docrag")
        for peer, base in (
            ("colpali-engine float32", fp32),
            ("colpali-engine bfloat16", bf16),
            ("einsum (torch)", bare),
        )
    }
    ratio["bfloat16 peer against float32 peer"] = round(fp32 / bf16, 2)
    # Reading every number once bounds any exact float32 scan that does not keep the pages in the cache.
    read_ms = interleaved({"sum": lambda: list(pool.map(np.sum, np.array_split(block, threads)))}, rounds)[
        "sum"
    ]
    passes = {
        kind: round(times[f"1 pass of 4 {kind}"] / times[f"4 passes {kind}"], 2) for kind in VECTOR_TYPES
    }
    return {
        "pages": len(pages),
        "median_ms": {name: round(value, 2) for name, value in times.items()},
        "reading_the_float32_once_ms": round(read_ms, 2),
        "speed_ratios": ratio,
        "one_pass_of_four_share_of_four_passes": passes,
        "largest_difference_to_colpali_engine_float32": float(np.abs(exact - ours).max()),
        "same_top_10_as_colpali_engine_float32": top(exact) == top(ours),
        f"top_10_overlap_with_float32_over_{len(queries)}_queries": overlaps,
        "screens": {kind: screen.against_exact(queries) for kind, screen in screens.items()},
    }


class Screen:
    """The whole search of pages by their screen."""

    def __init__(self, units: MultiVectors, kernel: MaxSim) -> None:
        n_pages = len(units)
        self._kernel = kernel
        self._stage = ScreenCandidates(kernel)
        numbers, zeros = np.arange(n_pages, dtype=np.int32) + 1, np.zeros(n_pages, np.int32)
        columns = self._stage.columns(units)
        part = VectorPart("pages", units, zeros, numbers, zeros, [None] * n_pages, columns)
        document = Document("pages.pdf", "pages", n_pages, n_pages, (), 1, 1, "pymupdf")
        self._view = VectorView((document,), (part,))
        self._everything = self._view.select((document,), None, "page")

    def search(self, query: NDArray[np.float32], *, depth: int = N_TOP) -> list[Scored]:
        """The best pages of those that the screen leaves."""
        return self._rank(query, self._left(query, depth), depth)

    def search_exactly(self, query: NDArray[np.float32], *, depth: int = N_TOP) -> list[Scored]:
        """The best pages of all."""
        return self._rank(query, self._everything, depth)

    def against_exact(self, queries: Sequence[NDArray[np.float32]], *, depth: int = N_TOP) -> dict[str, Any]:
        """How many pages are left to score for the best, and whether these are those of the exact scan."""
        pairs = [
            (self.search(query, depth=depth), self.search_exactly(query, depth=depth)) for query in queries
        ]
        n_left = [sum(len(rows) for _, rows in self._left(query, depth)) for query in queries]
        differences = [
            abs(a.score - b.score) for ours, exact in pairs for a, b in zip(ours, exact, strict=True)
        ]
        return {
            "queries": len(queries),
            "pages_left": {"least": min(n_left), "median": statistics.median(n_left), "most": max(n_left)},
            "same_ranking": all([a.unit for a in ours] == [b.unit for b in exact] for ours, exact in pairs),
            "largest_difference_of_their_scores": max(differences),
        }

    def _left(self, query: NDArray[np.float32], depth: int) -> list[Selection]:
        return self._stage.shortlist(query, self._view, self._everything, n=depth)

    def _rank(self, query: NDArray[np.float32], selections: Sequence[Selection], depth: int) -> list[Scored]:
        scores = exact_scores(self._kernel, query, selections)
        return best_units(self._view, selections, scores, k=depth)


def screened(
    made: StructuredPages, n_pages: int, queries: Sequence[NDArray[np.float32]], rounds: int, threads: int
) -> dict[str, Any]:
    """The screen of many float32 pages against their exact scan."""
    codes = np.empty((n_pages * made.n_vectors, DIM), np.float32)
    for i in range(n_pages):
        codes[i * made.n_vectors : (i + 1) * made.n_vectors] = made.page(i)
    offsets = np.arange(n_pages + 1, dtype=np.int64) * made.n_vectors
    units = MultiVectors(codes, offsets, np.ones(n_pages, np.float32), "float32", DIM)
    screen = Screen(units, MaxSim("auto", n_threads=threads))
    query = queries[0]
    contenders: dict[str, Callable[[], Any]] = {"exact": lambda: screen.search_exactly(query)}
    for depth in DEPTHS:
        contenders[f"screen for {depth}"] = lambda d=depth: screen.search(query, depth=d)
    times = interleaved(contenders, rounds)
    return {
        "pages": n_pages,
        "median_ms": {name: round(value, 2) for name, value in times.items()},
        "times_as_fast_as_exact": {name: round(times["exact"] / value, 2) for name, value in times.items()},
        "depths": {depth: screen.against_exact(queries, depth=depth) for depth in DEPTHS},
    }


def lancedb(
    pages: list[NDArray[np.float32]], query: NDArray[np.float32], rounds: int, threads: int
) -> dict[str, Any]:
    """LanceDB's multivector search without an index, against our scan of the same vectors."""
    import lancedb
    import pyarrow as pa

    kernel, units = MaxSim("auto", n_threads=threads), encode(pages, "float32", dim=DIM)
    schema = pa.schema([("page", pa.int64()), ("vectors", pa.list_(pa.list_(pa.float32(), DIM)))])
    with tempfile.TemporaryDirectory() as folder:
        table = lancedb.connect(folder).create_table("pages", schema=schema)
        for start in range(0, len(pages), 200):
            batch = pages[start : start + 200]
            table.add([{"page": start + i, "vectors": list(page)} for i, page in enumerate(batch)])

        def search() -> list[int]:
            found = table.search(query.tolist(), vector_column_name="vectors").distance_type("cosine")
            return found.limit(N_TOP).select(["page", "_distance"]).to_arrow()["page"].to_pylist()

        def ours() -> list[int]:
            return top(kernel.scores([query], units)[0])

        times = interleaved({"LanceDB": search, "docrag float32": ours}, rounds)
        return {
            "pages": len(pages),
            "median_ms": {name: round(value, 2) for name, value in times.items()},
            "speed_ratio": round(times["LanceDB"] / times["docrag float32"], 2),
            "same_ranking": search() == ours(),
        }


def interleaved(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median milliseconds of every contender over `rounds` rounds."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for round_no in range(rounds + 1):
        for name, run in contenders.items():
            started_s = time.perf_counter()
            run()
            if round_no:
                taken[name].append((time.perf_counter() - started_s) * 1000)
    return {name: statistics.median(values) for name, values in taken.items()}


def overlap(
    kernel: MaxSim, queries: Sequence[NDArray[np.float32]], exact: MultiVectors, units: MultiVectors
) -> float:
    """Mean share of the exact top 10 that is also in the top 10 of `units`."""
    shares = [
        len(set(top(kernel.scores([q], exact)[0])) & set(top(kernel.scores([q], units)[0]))) / N_TOP
        for q in queries
    ]
    return round(float(np.mean(shares)), 3)


def top(scores: NDArray[np.floating[Any]]) -> list[int]:
    return np.argsort(-np.asarray(scores, np.float64), kind="stable")[:N_TOP].tolist()


def colpali_engine_scorer() -> Callable[..., Any]:
    """The scorer of colpali-engine, imported also where torchvision's operators do not fit torch."""
    if importlib.util.find_spec("torchvision") is not None:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        colpali_engine_scorer.keep = library  # type: ignore[attr-defined] - lives as long as the operators
    from colpali_engine.utils.processing_utils import BaseVisualRetrieverProcessor

    return BaseVisualRetrieverProcessor.score_multi_vector


if __name__ == "__main__":
    main()
