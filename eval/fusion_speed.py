"""Time of every fusion with every cut-off, and of guided queries beside one exact rerank.

Run with ``python eval/fusion_speed.py [--lists 4] [--pages 200] [--rounds 15]``. Fusion and cut take made-up
rankings of as many pages, which overlap by about half; the goal is `GOAL_MS` for each pair. Guided query
refinement (GQR) moves a query of 20 vectors over 20 pages of 1,030; its time is given as a ratio to one exact
rerank of the same pages. Every round runs each contender once, so that a busy machine hurts all alike;
figures are the fastest round, after one that does not count, and the median.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import encode
from docrag.protocols import Cutoff, Fusion
from docrag.retrieve.build import build_fusion
from docrag.retrieve.cutoff.cut import cut_ranking
from docrag.retrieve.cutoff.options import CutoffOptions
from docrag.retrieve.fusion.guided_query import refine, softmax_of
from docrag.retrieve.options import FusionOptions
from docrag.types import Scored, UnitRef, ranked
from structured_vectors import DIM, StructuredPages

GOAL_MS = 2.0

FUSIONS: Mapping[str, Mapping[str, Any]] = {
    **{
        how: {"kind": "weighted-sum", "normalise": how}
        for how in ("zscore", "min-max", "softmax", "rank", "sigmoid")
    },
    "zscore of the union": {"kind": "weighted-sum", "statistics": "union"},
    "reciprocal rank": {"kind": "reciprocal-rank"},
    "union": {"kind": "union"},
    "BayesRAG": {"kind": "dempster-shafer"},
    "BayesRAG, layout prior": {"kind": "dempster-shafer", "prior": "layout"},
    "belief, min-max": {"kind": "dempster-shafer", "absent": "last", "scale": "min-max"},
}
CUTOFFS: Mapping[str, Mapping[str, Any]] = {
    "fixed": {"kind": "fixed"},
    "threshold": {"kind": "threshold", "min_score": 0.5},
    "adaptive": {"kind": "adaptive", "min_score": 0.5},
    "relative": {"kind": "relative"},
    "largest gap": {"kind": "largest-gap"},
    "mixture": {"kind": "gaussian-mixture"},
}

N_QUERY_VECTORS, N_POOLED, N_VECTORS = 20, 20, 1030


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lists", type=int, default=4)
    parser.add_argument("--pages", type=int, default=200, help="pages in every list")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores, {args.rounds} rounds")
    fusion_and_cut(args.lists, args.pages, args.rounds)
    guided_queries(args.rounds)


def fusion_and_cut(n_lists: int, n_pages: int, rounds: int) -> None:
    rankings = made_up(n_lists, n_pages)
    names = tuple(rankings)
    fusions = {name: make_fusion(values, names) for name, values in FUSIONS.items()}
    cutoffs = {
        name: TypeAdapter[CutoffOptions](CutoffOptions).validate_python(values).build()
        for name, values in CUTOFFS.items()
    }
    contenders = {
        (fusion, cut): both(fusions[fusion], cutoffs[cut], rankings) for fusion in fusions for cut in cutoffs
    }
    times = interleaved(contenders, rounds)
    print(f"\nfusion and cut of {n_lists} lists of {n_pages} pages, ms (fastest, median of {rounds} rounds)")
    print(f"{'':24}" + "".join(f"{name:>14}" for name in cutoffs))
    for fusion in fusions:
        cells = [times[fusion, cut] for cut in cutoffs]
        print(f"{fusion:24}" + "".join(f"{min(of):7.2f} {statistics.median(of):6.2f}" for of in cells))
    worst = max(times, key=lambda pair: min(times[pair]))
    n_over = sum(min(of) >= GOAL_MS for of in times.values())
    print(
        f"slowest: {worst[0]} with {worst[1]}, {min(times[worst]):.2f} ms; "
        f"{n_over} of {len(times)} pairs miss the goal of {GOAL_MS:g} ms"
    )


def guided_queries(rounds: int) -> None:
    made = StructuredPages(n_vectors=N_VECTORS)
    pages = [made.page(i) for i in range(N_POOLED)]
    query = made.query(0)[:N_QUERY_VECTORS]
    guide = softmax_of(np.random.default_rng(0).normal(size=N_POOLED), 1.0)
    units, kernel = encode(pages, "float32", dim=DIM), MaxSim("numpy", n_threads=1)
    contenders: dict[str, Callable[[], object]] = {
        "exact rerank": lambda: kernel.scores([query], units),
        **{
            f"GQR, {target} target": lambda target=target: refine(query, pages, guide, target=target)
            for target in ("fixed", "moving")
        },
    }
    times = interleaved(contenders, rounds)
    print(
        f"\nquery of {len(query)} vectors, {N_POOLED} pages of {N_VECTORS} of {DIM} numbers: fastest and "
        f"median ms of {rounds} rounds, and as a multiple of the exact rerank"
    )
    exact = times["exact rerank"]
    for name, of in times.items():
        ratios = min(of) / min(exact), statistics.median(of) / statistics.median(exact)
        print(f"{name:20} {min(of):8.2f} {statistics.median(of):8.2f}  {ratios[0]:5.1f} {ratios[1]:5.1f}")
    kernel.close()


def both(fusion: Fusion, cutoff: Cutoff, rankings: Mapping[str, Sequence[Scored]]) -> Callable[[], object]:
    return lambda: cut_ranking("fusion", fusion.fuse(rankings), cutoff)


def make_fusion(values: Mapping[str, Any], names: tuple[str, ...]) -> Fusion:
    weighted = {"weights": dict.fromkeys(names, 1.0)} if values["kind"] in _WEIGHTED else {}
    options = TypeAdapter[FusionOptions](FusionOptions).validate_python({**values, **weighted})
    return build_fusion(options, configured=names)


_WEIGHTED = ("weighted-sum", "reciprocal-rank")


def made_up(n_lists: int, n_pages: int) -> dict[str, list[Scored]]:
    """Rankings over documents of 40 pages; every list holds half of all pages, on its own scale."""
    random = np.random.default_rng(0)
    pages = [UnitRef(f"{i // 40}.pdf", i % 40 + 1, 0, f"id-{i // 40}") for i in range(2 * n_pages)]
    return {
        f"list {i}": ranked(
            [
                Scored(pages[j], float(score))
                for j, score in zip(
                    random.choice(len(pages), n_pages, replace=False),
                    random.gamma(2.0, 10.0**i / 10, n_pages),
                    strict=True,
                )
            ]
        )
        for i in range(n_lists)
    }


def interleaved(contenders: Mapping[Any, Callable[[], object]], rounds: int) -> dict[Any, list[float]]:
    """Milliseconds of every contender, round by round.

    As in `timeit`, the garbage collector is off while the clock runs: it would strike the same contender in
    every round.
    """
    taken: dict[Any, list[float]] = {name: [] for name in contenders}
    gc.disable()
    for round_no in range(rounds + 1):
        gc.collect()
        for name, run in contenders.items():
            started_s = time.perf_counter()
            run()
            if round_no:
                taken[name].append((time.perf_counter() - started_s) * 1000)
    gc.enable()
    return taken


if __name__ == "__main__":
    main()
