"""What each part of retrieval is worth: one table over a labelled data set.

    python eval/retrieval_ablation.py DATASET_DIR --index DIR

Every row is a way to retrieve, measured within the question's document and over the whole collection, with
its paired difference to the default (95 % bootstrap over documents). The index is only read; make it with
``docrag index DATASET_DIR/documents --index DIR``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from docrag.embed.build import build_text_embedder
from docrag.embed.options import MiniLmOptions
from docrag.evaluation.bootstrap import bootstrap, paired_difference
from docrag.evaluation.dataset import Question, load_dataset
from docrag.evaluation.ranking_metrics import ranking_metrics
from docrag.protocols import Corpus, TextEmbedder
from docrag.retrieve.build import build_retrieval_stage
from docrag.retrieve.fusion.weighted_sum import WeightedSum
from docrag.retrieve.options import ReciprocalRankOptions, RetrievalOptions, WeightedSumOptions
from docrag.retrieve.stage import RetrievalStage
from docrag.store.reader import IndexReader
from docrag.types import Query, Scope, Scored

DEFAULT = "default"
METRICS = ("R@1", "R@5", "R@10")
N_RETRIEVED = 10


class WholeQuestion:
    """BM25 of the question as it was asked."""

    name = "bm25"

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    def retrieve(self, query: Query, *, k: int) -> list[Scored]:
        """Best `k` units for the words of the question, none left out, none added."""
        return self._corpus.search_text(query.text, unit=query.unit, scope=query.scope, k=k)


def bm25(**changes: object) -> RetrievalOptions:
    weights = WeightedSumOptions(weights={"bm25": 1.0})
    return RetrievalOptions(retrievers=("bm25",), fusion=weights, **changes)  # type: ignore[arg-type] - checked when made


def weighted(bm25: float, **changes: object) -> RetrievalOptions:
    weights = {"bm25": bm25, "dense": round(1 - bm25, 3)}
    return RetrievalOptions(fusion=WeightedSumOptions(weights=weights, **changes))  # type: ignore[arg-type] - checked when made


def stages(corpus: IndexReader, embedder: TextEmbedder | None) -> dict[str, Callable[[], RetrievalStage]]:
    """Every row of the table by name, built when it is measured."""

    def built(options: RetrievalOptions) -> Callable[[], RetrievalStage]:
        return lambda: build_retrieval_stage(corpus, embedder, options)

    rows = {
        DEFAULT: built(RetrievalOptions() if embedder is not None else bm25()),
        "bm25, whole question": lambda: RetrievalStage(
            corpus, [WholeQuestion(corpus)], WeightedSum({"bm25": 1.0})
        ),
        "bm25, question analysed": built(bm25(glossary=False, reference_weight=0)),
        "bm25 + glossary": built(bm25(reference_weight=0)),
        "bm25 + references": built(bm25(glossary=False)),
        "bm25 + both": built(bm25()),
    }
    if embedder is None:
        return rows
    dense = WeightedSumOptions(weights={"dense": 1.0})
    rows |= {
        "dense alone": built(RetrievalOptions(retrievers=("dense",), fusion=dense, reference_weight=0)),
        "default without glossary": built(RetrievalOptions(glossary=False)),
        "default without references": built(RetrievalOptions(reference_weight=0)),
        **{f"bm25 weight {w}": built(weighted(w)) for w in (0.9, 0.7, 0.6, 0.5)},
        "z-score over all": built(weighted(0.8, statistics="all")),
        "z-score over the union": built(weighted(0.8, statistics="union")),
        "min-max, bm25 weight 0.7": built(weighted(0.7, normalise="min-max")),
        "reciprocal rank, even": built(RetrievalOptions(fusion=ReciprocalRankOptions())),
        "reciprocal rank, 0.7 / 0.3": built(
            RetrievalOptions(fusion=ReciprocalRankOptions(weights={"bm25": 0.7, "dense": 0.3}))
        ),
    }
    return rows


def measure(stage: RetrievalStage, questions: list[Question], *, within: bool) -> tuple[np.ndarray, float]:
    """``(n_questions, n_metrics)`` and milliseconds a question."""
    rows: list[list[float]] = []
    elapsed_s = 0.0
    for question in questions:
        scope = Scope(docs=(question.doc,)) if within else Scope()
        started_s = time.perf_counter()
        hits = stage.search(Query(question.text, scope=scope), k=N_RETRIEVED).hits
        elapsed_s += time.perf_counter() - started_s
        relevant = {(question.doc, page_no) for page_no in question.evidence_pages}
        found = ranking_metrics(relevant, [(hit.doc, hit.page_no) for hit in hits])
        rows.append([found[metric] for metric in METRICS])
    return np.array(rows), 1000 * elapsed_s / len(questions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--only", action="append", help="rows whose name contains this (repeatable)")
    args = parser.parse_args()

    questions = [q for q in load_dataset(args.dataset).questions if q.is_answerable and q.evidence_pages]
    clusters = [question.doc for question in questions]
    with IndexReader(args.index) as corpus:
        embedder = build_text_embedder(MiniLmOptions()) if corpus.manifest.text_encoder else None
        if embedder is not None:
            corpus.check_encoder(embedder.identity)
        rows = stages(corpus, embedder)
        for within in (True, False):
            print(
                f"\n{'within the document' if within else 'over the collection'}, {len(questions)} questions"
            )
            print(
                f"{'':28} " + " ".join(f"{metric:>20}" for metric in METRICS) + f" {'R@5 - default':>24}   ms"
            )
            default = None
            for name, build in rows.items():
                if name != DEFAULT and args.only and not any(part in name for part in args.only):
                    continue
                scores, ms = measure(build(), questions, within=within)
                ones = np.ones(len(scores))
                cells: list[str] = []
                for i in range(len(METRICS)):
                    cells.append(bootstrap(np.column_stack([scores[:, i], ones]), clusters).show())
                at_5 = np.column_stack([scores[:, METRICS.index("R@5")], ones])
                default = at_5 if default is None else default
                difference = paired_difference(at_5, default, clusters).show(signed=True)
                print(f"{name:28} {' '.join(f'{c:>20}' for c in cells)}", end="")
                print(f" {difference:>24} {ms:4.0f}", flush=True)


if __name__ == "__main__":
    main()
