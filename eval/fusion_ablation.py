"""What every fusion, cut-off and cascade is worth: one table over a labelled data set.

    python eval/fusion_ablation.py DATASET_DIR --index DIR [--config FILE]

Every row is a configuration of retrieval, measured within the question's document and over the whole
collection: recall with 95 % intervals (bootstrap over documents), pages kept of the ten a search shows, and
the paired difference to the best retriever alone. What a row keeps of the default's Recall@10, and with
which share of its pages, says whether a cut-off pays. The retrievers themselves run once per question. The
index is only read; make it with ``docrag index DATASET_DIR/documents --index DIR``.

Rows with "visual" and guided queries (GQR) need an index with visual vectors, and a configuration that
names their encoder; without either they are left out, which a line says.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from docrag.config import load_settings
from docrag.embed.build import build_text_embedder
from docrag.embed.options import MiniLmOptions
from docrag.embed.visual.build import build_page_embedder
from docrag.evaluation.bootstrap import bootstrap, paired_difference
from docrag.evaluation.dataset import Question, load_dataset
from docrag.evaluation.ranking_metrics import ranking_metrics
from docrag.pipeline.settings import Settings
from docrag.pipeline.visual import build_visual_retriever, open_vectors
from docrag.protocols import Retriever, TextEmbedder
from docrag.retrieve.build import build_retrieval_stage
from docrag.retrieve.guided_refiner import LateInteraction
from docrag.retrieve.options import RetrievalOptions
from docrag.retrieve.stage import RetrievalStage
from docrag.store.reader import IndexReader
from docrag.types import Page, PageRef, Query, Scope, Scored, Unit

DEFAULT = "default"
ALONE = ("bm25", "dense")
VISUAL = "visual"
METRICS = ("R@1", "R@5", "R@10")
N_SHOWN = 10
KEPT_PAGES = 512
"""Pages kept in memory, for their snippets."""

MIN_RECALL_KEPT, MAX_PAGES_KEPT = 0.97, 0.60
"""What a cut-off must reach to pay: share of the default's Recall@10, with this share of its pages."""

MIN_GAIN = 0.02
"""What a fusion must add to the best retriever's Recall@5, with an interval above 0, to be worth its cost."""


class RememberingCorpus:
    """An index that answers every search once; everything else it passes on."""

    def __init__(self, corpus: IndexReader) -> None:
        self._corpus = corpus
        self._found: dict[Hashable, list[Scored]] = {}
        self.page: Callable[[PageRef], Page] = lru_cache(KEPT_PAGES)(corpus.page)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the index has
        return getattr(self._corpus, name)

    def search_text(self, text: str, *, unit: Unit, scope: Scope, k: int) -> list[Scored]:
        """Best units for the words of a text."""
        key = (text, unit, scope, k)
        if key not in self._found:
            self._found[key] = self._corpus.search_text(text, unit=unit, scope=scope, k=k)
        return self._found[key]

    def search_vector(self, vector: np.ndarray, *, scope: Scope, k: int) -> list[Scored]:
        """Chunks nearest to a vector."""
        key = (vector.tobytes(), scope, k)
        if key not in self._found:
            self._found[key] = self._corpus.search_vector(vector, scope=scope, k=k)
        return self._found[key]


class RememberingEmbedder:
    """An encoder that encodes every question once."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self.identity = embedder.identity
        self.embed_passages = embedder.embed_passages
        self._one = lru_cache(None)(lambda text: embedder.embed_queries([text])[0])

    def embed_queries(self, texts: Sequence[str]) -> np.ndarray:
        """``(n_texts, dim)``, each encoded when first asked for."""
        return np.stack([self._one(text) for text in texts])


class RememberingRetriever:
    """A retriever that ranks every question once."""

    def __init__(self, retriever: Retriever) -> None:
        self.name = retriever.name
        self._retriever = retriever
        self._found: dict[Hashable, list[Scored]] = {}

    def retrieve(self, query: Query, *, k: int) -> list[Scored]:
        """At most `k` units, ranked when first asked for."""
        key = (query.text, query.unit, query.scope, k)
        if key not in self._found:
            self._found[key] = self._retriever.retrieve(query, k=k)
        return self._found[key]


def alone(name: str) -> dict[str, Any]:
    return {"retrievers": [name], "fusion": {"kind": "weighted-sum", "weights": {name: 1.0}}}


def weighted(bm25: float, **changes: object) -> dict[str, Any]:
    weights = {"bm25": bm25, "dense": round(1 - bm25, 3)}
    return {"fusion": {"kind": "weighted-sum", "weights": weights, **changes}}


def belief(**changes: object) -> dict[str, Any]:
    return {"fusion": {"kind": "dempster-shafer", **changes}}


MIXTURE = {"kind": "gaussian-mixture"}
UNION = {"fusion": {"kind": "union"}, "retriever_cutoff": MIXTURE}
VIDORAG_GRID = (1, 2, 4, 6, 9, 12, 16, 20)

ROWS: dict[str, Mapping[str, Any]] = {
    **{name: alone(name) for name in ALONE},
    DEFAULT: {},
    **{
        f"{how}, {share:g}": weighted(share, normalise=how)
        for how in ("zscore", "min-max", "softmax", "rank", "sigmoid")
        for share in (0.7, 0.5)
    },
    "CMRAG's UCMR, 0.5": weighted(0.5, statistics="all"),
    "reciprocal rank, even": {"fusion": {"kind": "reciprocal-rank"}},
    "reciprocal rank, 0.7": {"fusion": {"kind": "reciprocal-rank", "weights": {"bm25": 0.7, "dense": 0.3}}},
    "BayesRAG": belief(),
    "BayesRAG, layout prior": belief(prior="layout"),
    "belief, absent is last": belief(absent="last"),
    "belief, min-max": belief(absent="last", scale="min-max"),
    "ViDoRAG": UNION,
    "ViDoRAG with its grid": {**UNION, "pad_to": VIDORAG_GRID},
    "cut: mixture, per retriever": {"retriever_cutoff": MIXTURE},
    "cut: mixture": {"cutoff": MIXTURE},
    "cut: mixture, mean": {"cutoff": {**MIXTURE, "select": "mean"}},
    "cut: mixture, 3 to 10": {"cutoff": {**MIXTURE, "min_kept": 3}},
    "cut: largest gap": {"cutoff": {"kind": "largest-gap"}},
    "cut: largest gap, 3 to 10": {"cutoff": {"kind": "largest-gap", "min_kept": 3}},
    "cut: half of the best": {"cutoff": {"kind": "relative", "min_fraction": 0.5}},
    "cut: third of the best": {"cutoff": {"kind": "relative", "min_fraction": 0.33}},
    "cut: fused score 1": {"cutoff": {"kind": "threshold", "min_score": 1.0, "min_kept": 1}},
    "cut: fused score 1, up to 6": {"cutoff": {"kind": "adaptive", "min_score": 1.0, "max_kept": 6}},
    "cut: first 6": {"cutoff": {"kind": "fixed", "k": 6}},
    **{f"cascade, {weight:g}": {"cascade_weight": weight} for weight in (0.5, 1.0, 2.0)},
    **{f"neighbours, {weight:g}": {"neighbour_weight": weight} for weight in (0.25, 0.5)},
    **{f"at most {n} a document": {"max_per_document": n} for n in (3, 5)},
}


TEXT_AND_VISUAL = {"retrievers": ["bm25", "dense", VISUAL]}


def with_visual(kind: str, **changes: object) -> dict[str, Any]:
    return {**TEXT_AND_VISUAL, "fusion": {"kind": kind, **changes}}


def three(bm25: float, dense: float, visual: float) -> dict[str, float]:
    return {"bm25": bm25, "dense": dense, VISUAL: visual}


PRESET = with_visual("weighted-sum", weights=three(0.4, 0.1, 0.5))
"""As in the preset laptop-visual."""

VISUAL_ROWS: dict[str, Mapping[str, Any]] = {
    VISUAL: alone(VISUAL),
    "visual, preset": PRESET,
    **{
        f"visual, {how}, even": with_visual("weighted-sum", normalise=how, weights=three(1, 1, 1))
        for how in ("zscore", "min-max", "softmax", "rank", "sigmoid")
    },
    **{
        f"visual, zscore, {share:g}": with_visual(
            "weighted-sum", weights=three(round(0.8 * (1 - share), 3), round(0.2 * (1 - share), 3), share)
        )
        for share in (0.3, 0.7)
    },
    "visual, reciprocal rank": with_visual("reciprocal-rank", weights=three(1, 1, 1)),
    "visual, BayesRAG": with_visual("dempster-shafer"),
    "visual, ViDoRAG": {**with_visual("union"), "retriever_cutoff": MIXTURE},
    **{
        f"visual, GQR, {target} target": {**PRESET, "guided_query": {"target": target}}
        for target in ("fixed", "moving")
    },
    "visual, GQR of visual and bm25": {
        "retrievers": ["bm25", VISUAL],
        "fusion": {"kind": "weighted-sum", "weights": {"bm25": 0.5, VISUAL: 0.5}},
        "guided_query": {},
    },
    "visual, cascade, 1": {**PRESET, "cascade_weight": 1.0},
    "visual, cut: mixture": {**PRESET, "cutoff": MIXTURE},
}
"""Measured where pages have visual vectors."""


class Measured(NamedTuple):
    """Per question: ``recalls (n_questions, n_metrics)`` and how many pages a search would show."""

    recalls: np.ndarray
    n_pages: np.ndarray


def measure(stage: RetrievalStage, questions: Sequence[Question], *, within: bool) -> Measured:
    recalls: list[list[float]] = []
    n_pages: list[int] = []
    for question in questions:
        scope = Scope(docs=(question.doc,)) if within else Scope()
        # One hit, so that one snippet is made: what counts is the ranking behind it.
        shown = stage.search(Query(question.text, scope=scope), k=1).fused[:N_SHOWN]
        relevant = {(question.doc, page_no) for page_no in question.evidence_pages}
        found = ranking_metrics(relevant, [(f.unit.doc, f.unit.page_no) for f in shown])
        recalls.append([found[metric] for metric in METRICS])
        n_pages.append(len(shown))
    return Measured(np.array(recalls), np.array(n_pages))


def print_table(measured: Mapping[str, Measured], clusters: Sequence[str]) -> None:
    at_5 = METRICS.index("R@5")
    best_alone = max(
        (name for name in (*ALONE, VISUAL) if name in measured),
        key=lambda name: measured[name].recalls[:, at_5].mean(),
    )
    default = measured[DEFAULT]
    heads = " ".join(f"{metric:>20}" for metric in METRICS)
    print(f"{'':30} {heads} pages {f'R@5 - {best_alone}':>24}  R@10 and pages kept")

    def column(of: Measured, i: int) -> np.ndarray:
        return np.column_stack([of.recalls[:, i], np.ones(len(of.recalls))])

    def kept(of: Measured) -> tuple[float, float]:
        """Shares of the default's Recall@10 and of its pages."""
        recall = of.recalls[:, -1].mean() / default.recalls[:, -1].mean()
        return float(recall), float(of.n_pages.mean() / default.n_pages.mean())

    def pays(of: Measured) -> bool:
        recall, pages = kept(of)
        return recall >= MIN_RECALL_KEPT and pages <= MAX_PAGES_KEPT

    for name, of in measured.items():
        cells = " ".join(f"{bootstrap(column(of, i), clusters).show():>20}" for i in range(len(METRICS)))
        difference = paired_difference(column(of, at_5), column(measured[best_alone], at_5), clusters)
        recall_kept, pages_kept = kept(of)
        print(
            f"{name:30} {cells} {of.n_pages.mean():5.1f} {difference.show(signed=True):>24} "
            f" {recall_kept:4.0%} {pages_kept:4.0%}{'  pays' if pays(of) else ''}"
        )
    gain = paired_difference(column(default, at_5), column(measured[best_alone], at_5), clusters)
    reached = gain.value >= MIN_GAIN and gain.low is not None and gain.low > 0
    print(
        f"default against {best_alone} alone: R@5 {gain.show(signed=True)}; the aim of +{MIN_GAIN:g} with an "
        f"interval above 0 is {'reached' if reached else 'missed'}"
    )
    for name, of in measured.items():
        if "mixture" in name or "ViDoRAG" in name:
            recall_kept, pages_kept = kept(of)
            print(
                f"{name}: {recall_kept:.1%} of Recall@10 with {pages_kept:.1%} of the pages; the aim of "
                f"{MIN_RECALL_KEPT:.0%} with {MAX_PAGES_KEPT:.0%} is {'reached' if pays(of) else 'missed'}"
            )


def visual_parts(
    index: IndexReader, settings: Settings
) -> tuple[RememberingRetriever, LateInteraction] | None:
    """The visual retriever and what guided queries compare; None, and a line that says why, without."""
    if open_vectors(index).space is None:
        print("the index has no visual vectors: no rows with visual retrieval, no guided queries (GQR)")
        return None
    if settings.visual is None:
        print("no --config names the page encoder: no rows with visual retrieval, no guided queries (GQR)")
        return None
    retriever = build_visual_retriever(index, settings.visual, build_page_embedder(settings.visual.encoder))
    encode = lru_cache(None)(retriever.encode)
    return RememberingRetriever(retriever), LateInteraction(encode, open_vectors(index))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--documents", type=Path, help="the PDFs, where they are not in DATASET_DIR")
    parser.add_argument("--config", help="YAML file or preset that names the page encoder")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting")
    parser.add_argument("--only", action="append", help="rows whose name contains this (repeatable)")
    args = parser.parse_args()

    dataset = load_dataset(args.dataset, documents=args.documents)
    questions = [q for q in dataset.questions if q.is_answerable and q.evidence_pages]
    clusters = [question.doc for question in questions]
    always = (*ALONE, DEFAULT, VISUAL)
    with IndexReader(args.index) as index:
        embedder = RememberingEmbedder(build_text_embedder(MiniLmOptions()))
        index.check_encoder(embedder.identity)
        seen = visual_parts(index, load_settings(args.config, overrides=args.set))
        visual, late_interaction = seen or (None, None)
        rows = {
            name: RetrievalOptions.model_validate(values)
            for name, values in (ROWS | (VISUAL_ROWS if seen else {})).items()
            if name in always or not args.only or any(part in name for part in args.only)
        }
        for within in (True, False):
            corpus = RememberingCorpus(index)
            where = "within the document" if within else "over the collection"
            print(f"\n{where}, {len(questions)} questions", flush=True)
            measured: dict[str, Measured] = {}
            for name, options in rows.items():
                stage = build_retrieval_stage(
                    corpus, embedder, options, visual=visual, late_interaction=late_interaction
                )
                measured[name] = measure(stage, questions, within=within)
            print_table(measured, clusters)


if __name__ == "__main__":
    main()
