"""Tune retrieval on a data set: every retriever ranks once, then fusions are recomputed in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from docrag.errors import DocragError, UsageError
from docrag.evaluation.dataset import Dataset, Question
from docrag.evaluation.folds import folds_by_document
from docrag.evaluation.ranking_metrics import RANKING_METRICS, ranking_metrics
from docrag.evaluation.run import EvalScope, collection_of
from docrag.evaluation.tasks import MIN_RANKING, called_as
from docrag.evaluation.tuning import Rows, choose_cheapest, choose_simplest, cross_validate
from docrag.pipeline.tuning_report import CutoffReport, TuningReport
from docrag.pipeline.tuning_space import RetrievalSetting, RetrievalSpace, cutoffs
from docrag.protocols import Corpus
from docrag.retrieve.boost import Boost
from docrag.retrieve.build import build_fusion
from docrag.retrieve.cascade_boost import CascadeBoost
from docrag.retrieve.neighbour_boost import NeighbourBoost
from docrag.retrieve.options import RetrievalOptions
from docrag.retrieve.reference_boost import ReferenceBoost
from docrag.retrieve.stage import RetrievalStage, SearchResult
from docrag.types import Chunk, Document, Page, PageRef, Query, Scope, Scored, UnitRef

Floats = NDArray[np.float64]
Search = Callable[[Query, int], SearchResult]
"""The best so many units for a query, as the configuration has it."""

N_PAGES = len(RANKING_METRICS)
"""Column of the figures that counts pages shown; the metrics come before it, in their order."""

_KEPT_OF = RANKING_METRICS.index("R@10")
"""What a cut-off must keep its share of."""

N_THRESHOLDS = 9
"""Score thresholds that are tried: deciles of the scores shown."""


@dataclass(frozen=True, slots=True)
class TuningProgress:
    """How far a run is: questions ranked, then choices made, with the settings measured so far."""

    phase: Literal["ranking", "choosing"]
    n_done: int
    n_total: int
    n_settings: int
    elapsed_s: float


OnProgress = Callable[[TuningProgress], None]


def ignore(_progress: TuningProgress) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Every retriever's uncut rankings by query, of pages and of regions.

    `failed` are questions whose search failed, with the reason.
    """

    rankings: Mapping[str, Mapping[Query, Sequence[Scored]]]
    queries: tuple[Query, ...]
    failed: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Retrievers that found something."""
        return tuple(name for name, of in self.rankings.items() if any(of.values()))

    @property
    def has_regions(self) -> bool:
        """Whether any region was found."""
        return any(r and query.unit == "region" for of in self.rankings.values() for query, r in of.items())


class GatheredRetriever:
    """A retriever that was asked before; `docrag.protocols.Retriever`."""

    def __init__(self, name: str, by_query: Mapping[Query, Sequence[Scored]]) -> None:
        self.name = name
        self._by_query = by_query

    def retrieve(self, query: Query, *, k: int) -> list[Scored]:
        """The first `k` of what it gave; nothing for a query that it was not asked."""
        return list(self._by_query.get(query, ()))[:k]


class _WithoutText:
    """A corpus whose pages are blank: a ranking needs no snippets, and they take most of a search's time."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self.documents = corpus.documents
        self.page_labels = corpus.page_labels
        self.chunk_kinds = corpus.chunk_kinds
        self.search_text = corpus.search_text
        self.search_vector = corpus.search_vector
        self._selected: dict[Scope, Sequence[Document]] = {}

    def select(self, scope: Scope) -> Sequence[Document]:
        if scope not in self._selected:
            self._selected[scope] = self._corpus.select(scope)
        return self._selected[scope]

    def page(self, ref: PageRef) -> Page:
        return Page(ref.page_no, "", 1.0, 1.0, 0, "", "", "none", (), (), ())

    def read_pages(self, refs: Iterable[PageRef]) -> Mapping[PageRef, Page]:
        return {ref: self.page(ref) for ref in refs}

    def chunk(self, unit: UnitRef) -> Chunk:
        return Chunk(unit.chunk_no, "text", "", 0, 0, (), ())


def labelled(dataset: Dataset, n_folds: int) -> tuple[list[Question], NDArray[np.intp]]:
    """Questions that a ranking can be measured on, and the fold of each.

    Raises
    ------
    UsageError
        No question has evidence pages, all are about one document, or there are more folds than documents.
    """
    questions = [q for q in dataset.questions if q.is_answerable and q.evidence_pages]
    if not questions:
        raise UsageError(
            f"{dataset.folder}: none of the {len(dataset.questions)} questions has an answer with "
            '"evidence_pages"; tuning needs to know which pages are right'
        )
    return questions, folds_by_document([question.doc for question in questions], n_folds)


def gather(
    search: Search,
    questions: Sequence[Question],
    queries: Sequence[Query],
    *,
    on_progress: OnProgress = ignore,
) -> Gathered:
    """Rank pages and regions for every question once, with all that the configuration does before fusion."""
    rankings: dict[str, dict[Query, Sequence[Scored]]] = {}
    failed: dict[str, str] = {}
    started_s = time.monotonic()
    for n_done, (question, query) in enumerate(zip(questions, queries, strict=True), 1):
        try:
            for asked in (query, replace(query, unit="region")):
                result = search(
                    asked, 1
                )  # one hit, so that one snippet is made: what counts are the rankings
                for name, ranking in result.rankings.items():
                    rankings.setdefault(name, {})[asked] = ranking
        except DocragError as error:
            failed[question.question_id] = f"{type(error).__name__}: {error}"
        elapsed_s = time.monotonic() - started_s
        on_progress(TuningProgress("ranking", n_done, len(questions), 0, elapsed_s))
    return Gathered(rankings, tuple(queries), failed)


class Measurer:
    """Figures of settings on questions, each setting measured once.

    Rows of the figures are questions, columns `RANKING_METRICS` and the number of pages shown. A question
    whose search failed counts as wrong under every setting.
    """

    def __init__(
        self,
        corpus: Corpus,
        gathered: Gathered,
        questions: Sequence[Question],
        options: Callable[[RetrievalSetting], RetrievalOptions],
        names: Sequence[str],
        *,
        on_setting: Callable[[int], None] = lambda _n: None,
    ) -> None:
        self._corpus = corpus
        self._gathered = gathered
        self._questions = tuple(questions)
        self._options = options
        self._names = tuple(names)
        self._on_setting = on_setting
        self._other_names = {document.doc: document.aliases for document in corpus.documents()}
        self._without_text = _WithoutText(corpus)
        self._references = ReferenceBoost(corpus)  # it reads pages, and remembers what it learnt
        self._figures: dict[RetrievalSetting, Floats] = {}
        self._scores: dict[RetrievalSetting, list[float]] = {}

    @property
    def n_settings(self) -> int:
        """How many settings were measured."""
        return len(self._figures)

    def figures(self, setting: RetrievalSetting) -> Floats:
        """``(n_questions, n_metrics + 1)``."""
        if setting not in self._figures:
            stage = self.stage(self._options(setting))
            self._scores[setting] = []
            rows = [
                self._measure(question, query, stage, self._scores[setting])
                for question, query in zip(self._questions, self._gathered.queries, strict=True)
            ]
            self._figures[setting] = np.array(rows)
            self._on_setting(len(self._figures))
        return self._figures[setting]

    def scores_shown(self, setting: RetrievalSetting) -> list[float]:
        """Deciles of the fused scores of the pages that searches show."""
        self.figures(setting)
        scores = self._scores[setting]
        levels = np.linspace(0, 1, N_THRESHOLDS + 2)[1:-1]
        return np.quantile(scores, levels).tolist() if scores else []

    def column(self, setting: RetrievalSetting, column: int) -> Floats:
        """One figure of every question, ``(n_questions,)``."""
        return self.figures(setting)[:, column]

    def stage(self, options: RetrievalOptions) -> RetrievalStage:
        """The stage that `options` describe, over what was gathered, without snippets and rerankers."""
        by_name = self._gathered.rankings
        retrievers = [GatheredRetriever(name, by_name.get(name, {})) for name in self._names]
        fusion = build_fusion(options.fusion, configured=self._names)
        boosts: list[tuple[Boost, float]] = [
            (CascadeBoost(retrievers, fusion, depth=options.depth), options.cascade_weight),
            (NeighbourBoost(self._corpus), options.neighbour_weight),
            (self._references, options.reference_weight),
        ]
        return RetrievalStage(
            self._without_text,
            retrievers,
            fusion,
            boosts=[(boost, weight) for boost, weight in boosts if weight > 0],
            only_named=options.references == "filter",
            retriever_cutoff=options.retriever_cutoff.build() if options.retriever_cutoff else None,
            cutoff=options.cutoff.build() if options.cutoff else None,
            pad_to=options.pad_to,
            max_per_document=options.max_per_document,
            page_order=options.page_order,
            depth=options.depth,
        )

    def _measure(
        self, question: Question, query: Query, stage: RetrievalStage, scores: list[float]
    ) -> list[float]:
        if question.question_id in self._gathered.failed:
            return [0.0] * (N_PAGES + 1)
        hits = stage.search(query, k=MIN_RANKING).hits
        scores += [hit.score for hit in hits]
        relevant = {(question.doc, page_no) for page_no in question.evidence_pages}
        ranking = [(called_as(question.doc, hit.doc, self._other_names), hit.page_no) for hit in hits]
        found = ranking_metrics(relevant, ranking)
        return [*found.values(), float(len(hits))]


def tune_retrieval(
    dataset: Dataset,
    corpus: Corpus,
    search: Search,
    options: RetrievalOptions,
    *,
    scope: EvalScope = "document",
    metric: str = "R@5",
    n_folds: int = 5,
    keep: float | None = None,
    on_progress: OnProgress = ignore,
) -> TuningReport:
    """Choose fusion, weights of retrievers and boosts, and with `keep` a cut-off, by cross-validation.

    Parameters
    ----------
    search
        Retrieval as `options` have it; asked twice for every question, for its pages and for its regions.
    metric
        One of `RANKING_METRICS`; the mean over questions is what is maximised.
    keep
        Also choose a cut-off: the one that shows the fewest pages and keeps this share of Recall@10.

    Raises
    ------
    UsageError
        As `labelled`, or every search failed.
    """
    questions, fold_of = labelled(dataset, n_folds)
    docs = [question.doc for question in questions]
    collection = collection_of(dataset, _names(corpus.documents()))
    queries = [
        Query(q.text, "page", Scope(docs=(q.doc,) if scope == "document" else collection)) for q in questions
    ]
    gathered = gather(search, questions, queries, on_progress=on_progress)
    if len(gathered.failed) == len(questions):
        raise UsageError(f"every search failed; the first one: {next(iter(gathered.failed.values()))}")
    names = tuple(dict.fromkeys([*options.retrievers, *gathered.rankings]))
    space = RetrievalSpace(
        options, names, gathered.names, has_regions=gathered.has_regions, with_cutoff=keep is None
    )
    started_s, fits = time.monotonic(), [0]
    n_fits = (n_folds + 1) * (1 if keep is None else 2)

    def report_progress(n_settings: int) -> None:
        elapsed_s = time.monotonic() - started_s
        on_progress(TuningProgress("choosing", fits[0], n_fits, n_settings, elapsed_s))

    def on_fit(_n_done: int) -> None:
        fits[0] += 1
        report_progress(measurer.n_settings)

    measurer = Measurer(corpus, gathered, questions, space.options, names, on_setting=report_progress)
    aim = RANKING_METRICS.index(metric)

    def value(setting: RetrievalSetting) -> Floats:
        return measurer.column(setting, aim)

    def choose(rows: Rows) -> RetrievalSetting:
        return choose_simplest(space, value, rows, docs)

    def choose_cut(rows: Rows) -> RetrievalSetting:
        setting = choose(rows)
        scores = measurer.scores_shown(setting)
        return choose_cheapest(
            [setting, *(replace(setting, cutoff=cut) for cut in cutoffs(scores, n_shown=MIN_RANKING))],
            lambda s: measurer.column(s, _KEPT_OF),
            lambda s: measurer.column(s, N_PAGES),
            rows,
            keep=1.0 if keep is None else keep,
        )

    fitted = cross_validate(choose, measurer.figures, fold_of, on_fit=on_fit)
    now, chosen, cut_report = replace(space.start, cutoff=options.cutoff), fitted.chosen, None
    if keep is not None:
        cut = cross_validate(choose_cut, measurer.figures, fold_of, on_fit=on_fit)
        chosen = cut.chosen
        cut_report = CutoffReport(
            keep=keep,
            before=fitted.held_out[:, [_KEPT_OF, N_PAGES]],
            after=cut.held_out[:, [_KEPT_OF, N_PAGES]],
        )
    return TuningReport(
        metric=metric,
        scope=scope,
        docs=tuple(docs),
        n_folds=n_folds,
        n_settings=measurer.n_settings,
        failed=gathered.failed,
        now=space.describe(now),
        chosen=space.describe(chosen),
        by_fold=tuple(space.describe(setting) for setting in fitted.by_fold),
        figures_now=measurer.figures(now)[:, :N_PAGES],
        figures_held_out=fitted.held_out[:, :N_PAGES],
        figures_fitted=measurer.figures(fitted.chosen)[:, :N_PAGES],
        cutoff=cut_report,
        options=space.options(chosen),
    )


def _names(documents: Sequence[Document]) -> set[str]:
    return {name for document in documents for name in (document.doc, *document.aliases)}
