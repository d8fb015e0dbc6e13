"""Tuning of retrieval on made-up rankings, where what is best is known by construction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.retrieve.small_corpus import LetterEmbedder, SmallCorpus, unit

from docrag.config import load_settings
from docrag.errors import IndexMissing, UsageError
from docrag.evaluation.dataset import Dataset, Question
from docrag.evaluation.ranking_metrics import RANKING_METRICS
from docrag.pipeline.settings import Settings
from docrag.pipeline.tuned_config import HEADER, check_writable, config_text
from docrag.pipeline.tuning import Gathered, Measurer, TuningProgress, gather, tune_retrieval
from docrag.pipeline.tuning_report import TuningReport
from docrag.pipeline.tuning_space import RetrievalSetting, RetrievalSpace
from docrag.retrieve.build import build_retrieval_stage
from docrag.retrieve.options import DempsterShaferOptions, RetrievalOptions, WeightedSumOptions
from docrag.retrieve.stage import RetrievalStage, SearchResult
from docrag.types import Query, Scored, ranked

N_DOCS, N_PAGES = 6, 12
CORPUS = SmallCorpus({f"{i}.pdf": [f"page {n}" for n in range(N_PAGES)] for i in range(N_DOCS)})
RIGHT = 7
"""The page that every question is about."""

OPTIONS = RetrievalOptions(reference_weight=0.0)
R1 = RANKING_METRICS.index("R@1")


class PerQuestion:
    """A retriever with one ranking of page numbers per document and question, best first."""

    def __init__(self, name: str, orders: Mapping[str, Sequence[int]]) -> None:
        self.name = name
        self.orders = orders
        self.n_asked = 0

    def retrieve(self, query: Query, *, k: int) -> list[Scored]:
        self.n_asked += 1
        if query.unit == "region":
            return []
        assert query.scope.docs is not None
        (doc,) = query.scope.docs
        pages = self.orders[query.text]
        return ranked([Scored(unit(doc, page_no), float(-i)) for i, page_no in enumerate(pages)])[:k]


def question(i: int, text: str, *, pages: tuple[int, ...] = (RIGHT,)) -> Question:
    return Question(f"q{i}", f"{i % N_DOCS}.pdf", text, "yes", "Str", pages, (), "")


def dataset(texts: Sequence[str]) -> Dataset:
    questions = tuple(question(i, text) for i, text in enumerate(texts))
    docs = tuple(document.doc for document in CORPUS.documents())
    return Dataset(Path("set"), Path("set/documents"), docs, questions)


def order(*first: int) -> list[int]:
    """These pages, then the others from the first on, but for the right one: it comes last."""
    others = [n for n in range(1, N_PAGES + 1) if n not in (*first, RIGHT)]
    return [*first, *others, *([] if RIGHT in first else [RIGHT])]


def search(options: RetrievalOptions, *retrievers: PerQuestion):
    from docrag.retrieve.build import build_fusion

    fusion = build_fusion(options.fusion, configured=options.retrievers)
    stage = RetrievalStage(CORPUS, retrievers, fusion)

    def run(query: Query, k: int) -> SearchResult:
        return stage.search(query, k=k)

    return run


def tune(
    texts: Sequence[str],
    bm25: Mapping[str, Sequence[int]],
    dense: Mapping[str, Sequence[int]],
    options: RetrievalOptions = OPTIONS,
    **settings: object,
) -> TuningReport:
    retrievers = PerQuestion("bm25", bm25), PerQuestion("dense", dense)
    arguments = {"metric": "R@1", "n_folds": 3, **settings}
    return tune_retrieval(dataset(texts), CORPUS, search(options, *retrievers), options, **arguments)  # type: ignore[arg-type]


TEXTS = [f"question {i}" for i in range(12)]


def weights(report: TuningReport) -> dict[str, float]:
    assert isinstance(report.options.fusion, WeightedSumOptions)
    return report.options.fusion.weights


def test_the_retriever_that_is_right_is_chosen_and_the_other_one_left():
    bm25, dense = dict.fromkeys(TEXTS, order(1, 2, 3)), dict.fromkeys(TEXTS, order(RIGHT))
    report = tune(TEXTS, bm25, dense)
    assert weights(report) == {"bm25": 0.0, "dense": 1.0}
    assert len(set(report.by_fold)) == 1
    gain = report.difference("R@1")
    assert (gain.value, gain.low, gain.high) == (1.0, 1.0, 1.0)
    assert report.is_better
    assert report.figures_now[:, R1].tolist() == [0.0] * 12
    assert report.figures_held_out[:, R1].tolist() == [1.0] * 12


def test_two_retrievers_are_fused_where_neither_is_right_alone():
    # The right page is second everywhere; the first ones differ, and are last in the other ranking.
    bm25, dense = dict.fromkeys(TEXTS, order(1, RIGHT)), dict.fromkeys(TEXTS, order(12, RIGHT))
    bm25 = {text: [p for p in pages if p != 12] + [12] for text, pages in bm25.items()}
    dense = {text: [p for p in pages if p != 1] + [1] for text, pages in dense.items()}
    options = OPTIONS.model_copy(update={"fusion": WeightedSumOptions(weights={"bm25": 1, "dense": 0})})
    report = tune(TEXTS, bm25, dense, options)
    assert all(weight > 0 for weight in weights(report).values())
    assert report.difference("R@1").value == 1.0


def test_what_gains_nothing_is_switched_off_for_a_simpler_setting():
    # Both retrievers and every boost give the same ranking: one retriever alone is as good, and simplest.
    same = dict.fromkeys(TEXTS, order(RIGHT))
    report = tune(TEXTS, same, same, RetrievalOptions())
    assert sorted(weights(report).values()) == [0.0, 1.0]
    assert report.options.reference_weight == 0
    assert report.difference("R@1").value == 0
    assert not report.is_better


def test_a_configuration_that_is_simplest_and_best_stays():
    options = OPTIONS.model_copy(update={"fusion": WeightedSumOptions(weights={"bm25": 1, "dense": 0})})
    report = tune(TEXTS, dict.fromkeys(TEXTS, order(RIGHT)), dict.fromkeys(TEXTS, order(1)), options)
    assert report.options == options
    assert report.chosen == report.now
    assert report.verdict().startswith("The configuration stays")


def test_chance_alone_is_no_gain():
    # Neither retriever knows anything: what fits best does so by chance.
    random = np.random.default_rng(7)
    bm25, dense = ({text: (random.permutation(N_PAGES) + 1).tolist() for text in TEXTS} for _ in range(2))
    report = tune(TEXTS, bm25, dense)
    assert report.figures_fitted[:, R1].mean() >= report.figures_now[:, R1].mean()
    gain = report.difference("R@1")
    assert gain.low is not None
    assert gain.low <= 0
    assert not report.is_better


def test_the_cut_off_keeps_what_was_asked_and_no_more_pages():
    # The right page is third: three pages keep everything, two nothing.
    lists = dict.fromkeys(TEXTS, order(1, 2, RIGHT))
    report = tune(TEXTS, lists, lists, metric="R@5", keep=0.97)
    assert report.options.cutoff is not None
    assert report.cutoff is not None
    recall, pages = report.cutoff.shares_kept(report.docs)
    assert recall.value == 1
    assert pages.value == pytest.approx(3 / 10)
    assert "keep, held out, 1.000" in report.to_text()


def test_without_being_asked_a_configured_cut_off_stays():
    lists = dict.fromkeys(TEXTS, order(RIGHT))
    options = RetrievalOptions.model_validate({"cutoff": {"kind": "fixed", "k": 4}, "reference_weight": 0})
    report = tune(TEXTS, lists, lists, options)
    assert report.options.cutoff == options.cutoff
    assert report.cutoff is None


def test_every_retriever_is_asked_once_for_pages_and_once_for_regions():
    bm25 = PerQuestion("bm25", dict.fromkeys(TEXTS, order(1)))
    dense = PerQuestion("dense", dict.fromkeys(TEXTS, order(2)))
    seen: list[TuningProgress] = []
    report = tune_retrieval(
        dataset(TEXTS), CORPUS, search(OPTIONS, bm25, dense), OPTIONS, n_folds=2, on_progress=seen.append
    )
    assert (bm25.n_asked, dense.n_asked) == (2 * len(TEXTS), 2 * len(TEXTS))
    assert report.n_settings > 30
    ranking = [p for p in seen if p.phase == "ranking"]
    assert [p.n_done for p in ranking] == list(range(1, 13))
    assert (seen[-1].phase, seen[-1].n_done, seen[-1].n_total) == ("choosing", 3, 3)


def test_a_run_is_repeatable():
    random = np.random.default_rng(3)
    bm25, dense = ({text: (random.permutation(N_PAGES) + 1).tolist() for text in TEXTS} for _ in range(2))
    assert tune(TEXTS, bm25, dense).to_dict() == tune(TEXTS, bm25, dense).to_dict()


def test_a_fusion_without_weights_is_measured_as_it_is():
    options = OPTIONS.model_copy(update={"fusion": DempsterShaferOptions()})
    right, wrong = dict.fromkeys(TEXTS, order(RIGHT)), dict.fromkeys(TEXTS, order(1))
    report = tune(TEXTS, right, wrong, options)
    assert report.now == "as configured"
    assert weights(report)["bm25"] > weights(report)["dense"]


# ── the same figures as the search itself ────────────────────────────────────────────────────────────

STAGE_CORPUS = SmallCorpus(
    {
        "a.pdf": ["ice lake\n\nTable 1: boats", "boats and fog", "a bad cab faced the edge"],
        "b.pdf": ["fog over ice", "the lake\n\nTable 2: a faded cage", "dad had a bag"],
    }
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"cascade_weight": 1.0, "neighbour_weight": 0.5},
        {"fusion": {"kind": "reciprocal-rank"}, "cutoff": {"kind": "fixed", "k": 3}},
        {"retriever_cutoff": {"kind": "fixed", "k": 2}, "fusion": {"kind": "union"}, "max_per_document": 1},
        {"references": "filter", "page_order": "document"},
    ],
)
def test_what_is_measured_is_what_a_search_finds(changes: dict[str, object]):
    options = RetrievalOptions.model_validate(changes)
    stage = build_retrieval_stage(STAGE_CORPUS, LetterEmbedder(), options)
    queries = [Query("ice on the lake"), Query("a bag on page 3"), Query("boats in table 1")]
    questions = [question(i, query.text) for i, query in enumerate(queries)]
    gathered = gather(lambda query, k: stage.search(query, k=k), questions, queries)
    space = RetrievalSpace(options, options.retrievers, gathered.names, has_regions=True)
    measurer = Measurer(STAGE_CORPUS, gathered, questions, space.options, options.retrievers)
    in_memory = measurer.stage(space.options(space.start))
    for query in queries:
        there, here = stage.search(query, k=10).hits, in_memory.search(query, k=10).hits
        assert [(hit.unit, hit.score, hit.sources) for hit in here] == [
            (hit.unit, hit.score, hit.sources) for hit in there
        ]


def test_a_failed_search_counts_as_wrong_under_every_setting():
    retriever = PerQuestion("bm25", dict.fromkeys(TEXTS, order(RIGHT)))
    run = search(RetrievalOptions(retrievers=("bm25",)), retriever)

    def failing(query: Query, k: int) -> SearchResult:
        if query.text == TEXTS[4]:
            raise IndexMissing("gone")
        return run(query, k)

    report = tune_retrieval(
        dataset(TEXTS), CORPUS, failing, RetrievalOptions(retrievers=("bm25",)), metric="R@1", n_folds=2
    )
    assert dict(report.failed) == {"q4": "IndexMissing: gone"}
    assert report.figures_now[:, R1].tolist() == [float(i != 4) for i in range(12)]
    assert "searches failed: 1" in report.to_text()

    def always(query: Query, k: int) -> SearchResult:
        raise IndexMissing("gone")

    with pytest.raises(UsageError, match=r"every search failed; .*gone"):
        tune_retrieval(dataset(TEXTS), CORPUS, always, OPTIONS)


def test_questions_without_labels_cannot_be_tuned_on():
    unlabelled = Dataset(Path("set"), Path("set"), ("0.pdf",), (question(0, "what?", pages=()),))
    with pytest.raises(UsageError, match='none of the 1 questions has an answer with "evidence_pages"'):
        tune_retrieval(unlabelled, CORPUS, search(OPTIONS), OPTIONS)
    with pytest.raises(UsageError, match="7 folds for 6 documents"):
        tune_retrieval(dataset(TEXTS), CORPUS, search(OPTIONS), OPTIONS, n_folds=7)


# ── the grid ─────────────────────────────────────────────────────────────────────────────────────────


def space(*names: str, base: RetrievalOptions = OPTIONS, active: Sequence[str] = ()) -> RetrievalSpace:
    return RetrievalSpace(base, names, active or names, has_regions=True)


def test_three_retrievers_keep_the_proportions_of_those_that_do_not_move():
    base = RetrievalOptions.model_validate(
        {
            "retrievers": ["bm25", "dense", "visual"],
            "fusion": {"kind": "weighted-sum", "weights": {"bm25": 3, "dense": 1, "visual": 4}},
        }
    )
    grid = space("bm25", "dense", "visual", base=base)
    assert grid.start.shares == (0.375, 0.125, 0.5)
    visual = {setting.shares for setting in grid.moves(grid.start)[2]}
    assert (0.75, 0.25, 0.0) in visual
    assert (0.3, 0.1, 0.6) in visual
    assert (0.0, 0.0, 1.0) in visual
    assert all(sum(shares) == pytest.approx(1, abs=1e-3) for shares in visual)


def test_the_start_is_the_configuration_itself():
    base = RetrievalOptions.model_validate(
        {"fusion": {"kind": "weighted-sum", "weights": {"bm25": 8, "dense": 2}}}
    )
    grid = space("bm25", "dense", base=base)
    assert grid.options(grid.start) is not base
    assert grid.options(grid.start) == base
    assert grid.changes(grid.start) == []
    assert all(grid.start in moves for moves in grid.moves(grid.start))


def test_reciprocal_ranks_start_even_where_no_weights_are_set():
    options = {"retrievers": ["bm25", "visual"], "fusion": {"kind": "reciprocal-rank"}}
    grid = space("bm25", "visual", base=RetrievalOptions.model_validate(options))
    assert grid.start.shares == (0.5, 0.5)
    (_, one_tenth, *_) = [s for s in grid.moves(grid.start)[0] if s.fusion == "zscore"][1:]
    assert grid.options(one_tenth).fusion == WeightedSumOptions(weights={"bm25": 0.1, "visual": 0.9})


def test_a_retriever_that_finds_nothing_gets_no_share():
    grid = space("bm25", "dense", active=["bm25"])
    assert {len(moves) for moves in grid.moves(grid.start)} == {5, 4}  # boosts alone
    three = space(
        "bm25",
        "dense",
        "visual",
        active=["bm25", "visual"],
        base=RetrievalOptions.model_validate(
            {
                "retrievers": ["bm25", "dense", "visual"],
                "fusion": {"kind": "reciprocal-rank", "weights": {"bm25": 1, "dense": 0, "visual": 1}},
            }
        ),
    )
    assert {setting.shares[1] for setting in three.moves(three.start)[0]} == {0.0}


def test_simpler_means_fewer_parts_then_fewer_changes():
    grid = space("bm25", "dense")
    alone = grid.moves(grid.start)[0][-1]
    fused = RetrievalSetting("zscore", (0.7, 0.3), 0.0, 0.0, 0.0, None)
    lifted = RetrievalSetting("zscore", (0.8, 0.2), 4.0, 0.0, 0.0, None)
    assert alone.shares == (1.0, 0.0)
    assert grid.complexity(alone) < grid.complexity(grid.start) < grid.complexity(fused)
    assert grid.complexity(fused) < grid.complexity(lifted)


def test_a_filter_of_references_keeps_its_weight():
    base = RetrievalOptions(references="filter")
    (moves,) = [
        m
        for m in space("bm25", "dense", base=base).moves(space("bm25", "dense", base=base).start)
        if len({s.reference_weight for s in m}) > 1
    ]
    assert all(setting.reference_weight > 0 for setting in moves)


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_written_settings_are_read_again(tmp_path: Path):
    chat = {"kind": "openai", "base_url": "http://127.0.0.1:1/v1", "model": "m", "api_key": "hush"}
    score = {"kind": "vllm-score", "base_url": "http://127.0.0.1:1", "model": "r", "api_key": "hush"}
    fitted = RetrievalOptions.model_validate(
        {
            "fusion": {"kind": "reciprocal-rank", "weights": {"bm25": 0.3, "dense": 0.7}},
            "cutoff": {"kind": "relative", "min_fraction": 0.4},
            "depth": 100,
            "rerank": {"steps": [score]},
        }
    )
    settings = Settings.model_validate({"ingest": {"layout": "fast"}, "models": {"default": chat}})
    text = config_text(settings, fitted, comments=["recall 0.5", "on a set"])
    assert text.startswith(f"{HEADER}\n# recall 0.5\n# on a set\n# Secrets are not written; ")
    assert "models.default.api_key" in text
    assert "retrieval.rerank.steps[0].api_key" in text
    assert "hush" not in text
    assert "***" not in text
    assert "layout: ml" not in text
    path = tmp_path / "tuned.yaml"
    path.write_text(text, "utf-8")
    read = load_settings(path, environ={})
    (step,) = fitted.rerank.steps
    without_key = fitted.rerank.model_copy(update={"steps": (step.model_copy(update={"api_key": None}),)})
    assert read.retrieval == fitted.model_copy(update={"rerank": without_key})
    assert read.ingest == settings.ingest
    assert read.models is not None


def test_only_files_of_its_own_are_written_over(tmp_path: Path):
    ours, theirs, other = (tmp_path / name for name in ("ours.yaml", "theirs.yaml", "other.yaml"))
    ours.write_text(f"{HEADER}\nretrieval: {{}}\n")
    theirs.write_text("retrieval: {}\n")
    other.write_bytes(b"\xff\xfe\x00")
    check_writable(ours)
    check_writable(tmp_path / "new.yaml")
    for path in (theirs, other):
        with pytest.raises(UsageError, match="was not written by --tune"):
            check_writable(path)
    with pytest.raises(UsageError, match="there is no folder"):
        check_writable(tmp_path / "missing" / "new.yaml")


def test_nothing_gathered_is_nothing_found():
    assert Gathered({}, (), {}).names == ()
    assert not Gathered({"bm25": {Query("x"): []}}, (Query("x"),), {}).has_regions
