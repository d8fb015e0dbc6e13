"""Recall of MUVERA's encodings against their dimension and the length of the shortlist, over made-up pages.

Run with ``python eval/fde_recall.py [--pages 1000]``. Encodings are made of whole pages and compared flat, by
inner product, so what is lost is lost by the encoding alone. The figures are the share of the exact ten best
pages that a shortlist holds, how often it holds the very best, and the time to encode a page. With 128
projected dimensions the projection leaves the vectors whole: the rest of the loss is that of the buckets.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from docrag.late_interaction.fde import Fde
from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import encode

from structured_vectors import DIM, StructuredPages  # isort: skip

SHORTLISTS = (50, 100, 200)
K = 10
SHAPES = (
    Fde(DIM, n_planes=3, n_projected=8),
    Fde(DIM, n_planes=4),
    Fde(DIM, final_dim=2048),
    Fde(DIM),
    Fde(DIM, n_planes=6, n_projected=8),
    Fde(DIM, n_repetitions=10, n_planes=6),
    Fde(DIM, n_repetitions=40),
    Fde(DIM, n_planes=6, n_projected=32),
    Fde(DIM, n_projected=DIM),
)
"""Around the default; the dimension is repetitions × 2 ** planes × projected dimensions."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=40)
    args = parser.parse_args()
    made = StructuredPages()
    pages = [made.page(n) for n in range(args.pages)]
    queries = [made.query(int(n)) for n in np.linspace(0, args.pages - 1, args.queries)]
    scores = MaxSim("auto").scores(queries, encode(pages, "float32", dim=DIM))
    truth = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    rows: list[dict[str, Any]] = []
    for fde in SHAPES:
        started_s = time.perf_counter()
        documents = np.stack([fde.encode_document(page) for page in pages])
        taken_s = time.perf_counter() - started_s
        products = np.stack([fde.encode_query(query) for query in queries]) @ documents.T
        order = np.argsort(-products, axis=1, kind="stable")
        rows.append(
            {
                "encoding": fde.name,
                "dim": fde.fde_dim,
                "float16_bytes_per_page": 2 * fde.fde_dim,
                "ms_to_encode_a_page": round(1000 * taken_s / len(pages), 1),
                "recall_at_10_in_shortlist_of": {
                    n: round(
                        float(np.mean([len({*t} & {*o[:n]}) / K for t, o in zip(truth, order, strict=True)])),
                        3,
                    )
                    for n in SHORTLISTS
                },
                "best_in_shortlist_of": {
                    n: round(float(np.mean([t[0] in o[:n] for t, o in zip(truth, order, strict=True)])), 3)
                    for n in SHORTLISTS
                },
            }
        )
    print(json.dumps({"pages": args.pages, "queries": args.queries, "encodings": rows}, indent=1))


if __name__ == "__main__":
    main()
