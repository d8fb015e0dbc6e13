"""Retrievers and the stage that runs them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic import ValidationError
from tests.retrieve.small_corpus import FixedRetriever, LetterEmbedder, SmallCorpus, unit

from docrag.errors import ConfigError, UsageError
from docrag.protocols import Retriever
from docrag.retrieve.bm25 import Bm25Retriever
from docrag.retrieve.build import build_retrieval_stage
from docrag.retrieve.cutoff.cut import Cut
from docrag.retrieve.cutoff.fixed import FixedCutoff
from docrag.retrieve.cutoff.threshold import ThresholdCutoff
from docrag.retrieve.dense import DenseRetriever
from docrag.retrieve.fusion.union import Union
from docrag.retrieve.fusion.weighted_sum import WeightedSum
from docrag.retrieve.options import ReciprocalRankOptions, RetrievalOptions, UnionOptions, WeightedSumOptions
from docrag.retrieve.padding import padded
from docrag.retrieve.stage import RetrievalStage
from docrag.types import Fused, Query, Scope, Scored, SourceScore

CORPUS = SmallCorpus(
    {
        "lakes.pdf": ["the lake froze\n\nice on the lake", "fish like cold water", "boats"],
        "mills.pdf": ["the mill burned\n\nsmoke over the lake", "abba abba", ""],
    }
)
RETRIEVERS: dict[str, Retriever] = {
    "bm25": Bm25Retriever(CORPUS),
    "dense": DenseRetriever(CORPUS, LetterEmbedder()),
}
every_retriever = pytest.mark.parametrize("retriever", RETRIEVERS.values(), ids=RETRIEVERS.keys())


@every_retriever
@pytest.mark.parametrize("of", ["page", "region"])
@pytest.mark.parametrize("text", ["How does the lake freeze?", "abba", "page 2", "", "!?"])
def test_every_retriever_keeps_its_promises(retriever: Retriever, of: str, text: str):
    for scope in (Scope(), Scope(docs=("mills.pdf",)), Scope(pages=((1, 1),)), Scope(docs=())):
        query = Query(text, of, scope)  # type: ignore[arg-type]
        ranking = retriever.retrieve(query, k=3)
        assert len(ranking) <= 3
        assert [(-s.score, s.unit) for s in ranking] == sorted((-s.score, s.unit) for s in ranking)
        assert len({s.unit for s in ranking}) == len(ranking)
        for hit in ranking:
            assert (hit.unit.chunk_no > 0) == (of == "region")
            assert scope.allows_page(hit.unit.page_no)
            assert scope.docs is None or hit.unit.doc in scope.docs


def test_words_are_found_on_pages_and_in_chunks():
    bm25 = RETRIEVERS["bm25"]
    assert [s.unit for s in bm25.retrieve(Query("frozen lake froze"), k=5)] == [
        unit("lakes.pdf", 1),
        unit("mills.pdf", 1),
    ]
    assert [s.unit for s in bm25.retrieve(Query("lake", "region"), k=5)] == [
        unit("lakes.pdf", 1, 1),
        unit("lakes.pdf", 1, 2),
        unit("mills.pdf", 1, 2),
    ]


def test_a_page_scores_as_its_best_chunk():
    pages = RETRIEVERS["dense"].retrieve(Query("ice on the lake"), k=6)
    chunks = RETRIEVERS["dense"].retrieve(Query("ice on the lake", "region"), k=6)
    assert pages[0] == Scored(unit("lakes.pdf", 1), chunks[0].score)
    assert chunks[0].unit == unit("lakes.pdf", 1, 2)
    assert chunks[0].score == pytest.approx(1.0)


def test_enough_pages_are_found_when_one_page_holds_most_chunks():
    corpus = SmallCorpus({"a.pdf": ["\n\n".join(["aaa"] * 50), "ab", "abc"]})
    ranking = DenseRetriever(corpus, LetterEmbedder()).retrieve(Query("aaa"), k=2)
    assert [s.unit.page_no for s in ranking] == [1, 2]


def test_the_encoder_sees_the_question_without_instructions():
    embedder = LetterEmbedder()
    DenseRetriever(CORPUS, embedder).retrieve(Query("Is the lake cold? Answer 'yes' or 'no'."), k=1)
    assert embedder.queries == ["Is the lake cold?"]


# ── the stage ────────────────────────────────────────────────────────────────────────────────────────


def fixed_stage(**settings: object) -> RetrievalStage:
    one = FixedRetriever("one", [Scored(unit("lakes.pdf", 1), 9.0), Scored(unit("mills.pdf", 1), 5.0)])
    two = FixedRetriever("two", [Scored(unit("mills.pdf", 1), 0.5), Scored(unit("lakes.pdf", 3), 0.1)])
    fusion = WeightedSum({"one": 1, "two": 1})
    return RetrievalStage(CORPUS, [one, two], fusion, **settings)  # type: ignore[arg-type]


def test_a_hit_shows_every_retrievers_rank_and_score():
    result = fixed_stage().search(Query("the lake"), k=2)
    # one: 1, -1 and -1 for what it lacks; two: 1, -1 and -1.
    assert [(h.unit, h.score) for h in result.hits] == [
        (unit("lakes.pdf", 1), 0.0),
        (unit("mills.pdf", 1), 0.0),
    ]
    assert result.hits[0].sources == {"one": SourceScore(1, 9.0)}
    assert result.hits[1].sources == {"one": SourceScore(2, 5.0), "two": SourceScore(1, 0.5)}
    assert [f.unit for f in result.fused] == [*(h.unit for h in result.hits), unit("lakes.pdf", 3)]
    assert result.rankings["two"][1] == Scored(unit("lakes.pdf", 3), 0.1)
    assert [step.name for step in result.steps] == ["one", "two", "fusion", "snippets"]
    assert all(step.elapsed_s >= 0 for step in result.steps)


def test_page_hits_have_snippets_and_region_hits_kind_and_box_as_well():
    page_hit = fixed_stage().search(Query("ice"), k=1).hits[0]
    assert (page_hit.snippet, page_hit.kind, page_hit.box) == ("ice on the lake", None, None)
    assert page_hit.snippet_boxes[0].y0 == 40
    stage = build_retrieval_stage(CORPUS, None, RetrievalOptions())
    region_hit = stage.search(Query("smoke", "region"), k=1).hits[0]
    assert (region_hit.unit, region_hit.kind, region_hit.snippet) == (
        unit("mills.pdf", 1, 2), "text", "smoke over the lake",
    )  # fmt: skip
    assert region_hit.box == CORPUS.chunk(region_hit.unit).box


def test_rerankers_have_the_last_word():
    class Backwards:
        def rerank(self, query: Query, candidates: Sequence[Fused]) -> list[Fused]:
            return list(candidates)[::-1]

    hits = fixed_stage(rerankers=[Backwards()]).search(Query("x"), k=3).hits
    assert [h.unit for h in hits] == [unit("lakes.pdf", 3), unit("mills.pdf", 1), unit("lakes.pdf", 1)]


class OnlyPageTwo:
    """A boost that brings in a page that no retriever has."""

    name = "named"

    def lift(self, query: Query, fused: Sequence[Fused]) -> list[Scored]:
        return [Scored(unit("lakes.pdf", 2), 1.0)]


def test_what_fusion_gave_is_kept_apart_from_boosts_and_rerankers():
    class Backwards:
        def rerank(self, query: Query, candidates: Sequence[Fused]) -> list[Fused]:
            scores = [f.score for f in candidates]
            return [f._replace(score=s) for f, s in zip(reversed(candidates), scores, strict=True)]

    stage = fixed_stage(boosts=[(OnlyPageTwo(), 9.0)], rerankers=[Backwards()])
    result = stage.search(Query("x"), k=4)
    # Fused: 0, 0 and -2, whose deviation is 0.943; lifted by 9 of them from -2, page 2 leads with 6.485.
    assert [(h.doc, h.page_no, round(h.score, 3), h.fused) for h in result.hits] == [
        ("lakes.pdf", 3, 6.485, SourceScore(3, -2.0)),
        ("mills.pdf", 1, 0.0, SourceScore(2, 0.0)),
        ("lakes.pdf", 1, 0.0, SourceScore(1, 0.0)),
        ("lakes.pdf", 2, -2.0, None),
    ]
    assert result.as_fused == {hit.unit: hit.fused for hit in result.hits[:3]}


def test_what_fusion_gave_is_said_of_units_that_a_refiner_moved():
    class Swapped:
        name = "swapped"

        def rerank(self, query: Query, candidates: Sequence[Fused]) -> list[Fused]:
            first, second, *rest = candidates
            return [second, first, *rest]

    hits = fixed_stage(refiners=[Swapped()]).search(Query("x"), k=2).hits
    assert [(hit.doc, hit.fused) for hit in hits] == [
        ("mills.pdf", SourceScore(2, 0.0)),
        ("lakes.pdf", SourceScore(1, 0.0)),
    ]


def test_a_cut_before_fusion_takes_from_every_ranking_and_says_why():
    result = fixed_stage(retriever_cutoff=FixedCutoff(1)).search(Query("the lake"), k=3)
    assert [h.unit for h in result.hits] == [unit("lakes.pdf", 1), unit("mills.pdf", 1)]
    assert result.hits[1].sources == {"two": SourceScore(1, 0.5)}
    reason = "beyond the first 1"
    assert result.cuts == (
        Cut(unit("mills.pdf", 1), "one", 2, 5.0, reason),
        Cut(unit("lakes.pdf", 3), "two", 2, 0.1, reason),
    )
    assert [len(ranking) for ranking in result.rankings.values()] == [2, 2]
    assert result.steps[2].detail == {"by": "FixedCutoff", "n_cut": 2}


def test_a_cut_after_fusion_takes_from_the_fused_ranking():
    result = fixed_stage(cutoff=ThresholdCutoff(-0.5)).search(Query("the lake"), k=3)
    assert [h.unit for h in result.hits] == [unit("lakes.pdf", 1), unit("mills.pdf", 1)]
    assert result.cuts == (Cut(unit("lakes.pdf", 3), "fusion", 3, -2.0, "scores less than -0.5"),)
    assert [f.unit for f in result.fused] == [h.unit for h in result.hits]


@pytest.mark.parametrize("where", ["retriever_cutoff", "cutoff"])
def test_cutoffs_can_be_configured(where: str):
    options = RetrievalOptions.model_validate({where: {"kind": "fixed", "k": 1}})
    result = build_retrieval_stage(CORPUS, None, options).search(Query("lake"), k=3)
    assert [h.unit for h in result.hits] == [unit("lakes.pdf", 1)]
    assert [cut.unit for cut in result.cuts] == [unit("mills.pdf", 1)]


def test_cut_results_fill_up_to_the_grid_from_what_all_rankings_hold():
    one = FixedRetriever("one", [Scored(unit("lakes.pdf", n), 9.0 - n) for n in (1, 2, 3)])
    two = FixedRetriever("two", [Scored(unit("lakes.pdf", n), s) for n, s in ((3, 0.9), (1, 0.5))])
    stage = RetrievalStage(
        CORPUS,
        [one, two],
        Union(("one", "two")),
        retriever_cutoff=FixedCutoff(1),
        cutoff=FixedCutoff(1),
        pad_to=(2, 3),
    )
    result = stage.search(Query("x"), k=9)
    # Kept: page 1. Page 3 stands in both rankings, page 2 in the first one only.
    assert [h.unit.page_no for h in result.hits] == [1, 3]
    assert result.hits[1].sources == {"one": SourceScore(3, 6.0), "two": SourceScore(1, 0.9)}
    assert result.hits[1].score < result.hits[0].score


def test_padding_knows_its_limits():
    fused = [Fused(unit("d.pdf", n), -n, {}) for n in (1, 2)]
    rankings = {"a": [Scored(unit("d.pdf", n), -n) for n in (1, 2, 3)], "b": []}
    assert [f.unit.page_no for f in padded(fused, rankings, (1, 6))] == [1, 2, 3]
    assert padded(fused, rankings, (2, 3)) == fused
    assert padded(fused, rankings, (1,)) == fused
    assert padded([], rankings, (1, 2)) == []


def test_hits_can_stand_in_document_order():
    ranking = [Scored(unit(d, n), s) for s, (d, n) in ((9, ("mills.pdf", 2)), (8, ("lakes.pdf", 3)))]
    ranking += [Scored(unit("mills.pdf", 1), 7), Scored(unit("lakes.pdf", 1), 6)]
    stage = RetrievalStage(
        CORPUS, [FixedRetriever("a", ranking)], WeightedSum({"a": 1}), page_order="document"
    )
    assert [h.unit for h in stage.search(Query("x"), k=3).hits] == [
        unit("mills.pdf", 1),
        unit("mills.pdf", 2),
        unit("lakes.pdf", 3),  # the fourth is not among the best three
    ]


def test_a_named_page_is_found_although_no_word_is_on_it():
    stage = build_retrieval_stage(CORPUS, LetterEmbedder(), RetrievalOptions())
    scope = Scope(docs=("lakes.pdf",))
    result = stage.search(Query("What swims near page 3?", scope=scope), k=3)
    assert result.hits[0].unit == unit("lakes.pdf", 3)
    assert result.hits[0].sources["references"] == SourceScore(1, 1.0)
    off = build_retrieval_stage(CORPUS, None, RetrievalOptions(reference_weight=0))
    assert off.search(Query("What swims near page 3?", scope=scope), k=3).hits == ()


TABLES = SmallCorpus({"a.pdf": ["Table 1 rain\n\nsnow in Kiel", "nothing but text about rain"]})


@pytest.mark.parametrize(
    "boosts", [{"reference_weight": 4.0}, {"neighbour_weight": 1.0}, {"cascade_weight": 1.0}]
)
def test_no_boost_brings_in_what_holds_no_region_of_the_kinds_asked_for(boosts: dict[str, float]):
    stage = build_retrieval_stage(TABLES, None, RetrievalOptions(**boosts))  # type: ignore[arg-type]
    only_tables = Scope(kinds=("table",))
    pages = stage.search(Query("rain on page 2", "page", only_tables), k=5).hits
    assert [hit.unit for hit in pages] == [unit("a.pdf", 1)]
    regions = stage.search(Query("rain on page 1", "region", only_tables), k=5).hits
    assert [(hit.unit, hit.kind) for hit in regions] == [(unit("a.pdf", 1, 1), "table")]


@pytest.mark.parametrize("text", ["", "  ", "zebra"])
def test_nothing_found_is_an_empty_result(text: str):
    result = build_retrieval_stage(CORPUS, None, RetrievalOptions()).search(Query(text), k=3)
    assert result.hits == ()
    assert result.rankings == {"bm25": ()}


def test_without_an_encoder_words_alone_decide():
    result = build_retrieval_stage(CORPUS, None, RetrievalOptions()).search(Query("lake"), k=3)
    assert [h.unit for h in result.hits] == [unit("lakes.pdf", 1), unit("mills.pdf", 1)]


@pytest.mark.parametrize("fusion", [WeightedSumOptions(), ReciprocalRankOptions()])
def test_a_retriever_that_stands_alone_needs_no_weight(fusion: WeightedSumOptions | ReciprocalRankOptions):
    options = RetrievalOptions(retrievers=("bm25",), fusion=fusion, reference_weight=0)
    found = build_retrieval_stage(CORPUS, None, options).search(Query("lake"), k=3)
    alone = Bm25Retriever(CORPUS).retrieve(Query("lake"), k=3)
    assert [hit.unit for hit in found.hits] == [scored.unit for scored in alone]


def test_k_must_be_positive():
    with pytest.raises(UsageError, match="k is 0"):
        fixed_stage().search(Query("x"), k=0)


def test_only_pages_and_regions_are_ranked():
    with pytest.raises(UsageError, match='unit is "chapter", expected one of page, region'):
        fixed_stage().search(Query("x", "chapter"), k=1)  # type: ignore[arg-type]


def test_retrievers_need_different_names():
    with pytest.raises(ValueError, match="different names"):
        RetrievalStage(CORPUS, [FixedRetriever("a", []), FixedRetriever("a", [])], WeightedSum({"a": 1}))


def test_a_name_that_two_retrievers_have_is_a_fault_of_the_configuration():
    with pytest.raises(ConfigError, match="bm25 stands twice among the retrievers"):
        build_retrieval_stage(CORPUS, None, RetrievalOptions(retrievers=("bm25", "bm25")))
    with pytest.raises(ConfigError, match=r"dense stands twice .* custom\.retrievers otherwise"):
        build_retrieval_stage(
            CORPUS, LetterEmbedder(), RetrievalOptions(), more_retrievers=[FixedRetriever("dense", [])]
        )


@pytest.mark.parametrize(
    "fusion",
    [
        WeightedSumOptions(weights={"bm25": 1, "dense": 1, "visual": 1}),
        WeightedSumOptions(weights={"bm25": 1}),
        WeightedSumOptions(weights={"bm25": 0, "dense": 0}),
        ReciprocalRankOptions(weights={"bm25": -1, "dense": 1}),
    ],
)
def test_weights_that_do_not_fit_are_refused(fusion: WeightedSumOptions):
    with pytest.raises(ConfigError, match="weight"):
        build_retrieval_stage(CORPUS, LetterEmbedder(), RetrievalOptions(fusion=fusion))


def test_keywords_for_a_retriever_that_is_not_there_are_refused():
    # They would be asked for, paid, and given to nobody.
    options = RetrievalOptions.model_validate({"query": {"ensemble": {"retrievers": ["bm52"]}}})
    with pytest.raises(ConfigError, match=r"query\.ensemble\.retrievers names bm52; .* are: bm25, dense"):
        build_retrieval_stage(CORPUS, LetterEmbedder(), options)


@pytest.mark.parametrize("order", [("bm25",), ("bm25", "dense", "visual")])
def test_a_union_orders_all_retrievers_and_no_other(order: tuple[str, ...]):
    options = RetrievalOptions(fusion=UnionOptions(order=order))
    with pytest.raises(ConfigError, match=r"fusion\.order"):
        build_retrieval_stage(CORPUS, LetterEmbedder(), options)


def test_dense_alone_needs_an_encoder():
    options = RetrievalOptions(retrievers=("dense",), fusion=WeightedSumOptions(weights={"dense": 1}))
    with pytest.raises(ConfigError, match="encoder"):
        build_retrieval_stage(CORPUS, None, options)


def test_options_refuse_what_they_do_not_know():
    for values in ({"deph": 3}, {"depth": 0}, {"fusion": {"kind": "sum"}}, {"retrievers": ["magic"]}):
        with pytest.raises(ValidationError):
            RetrievalOptions.model_validate(values)


@pytest.mark.parametrize(
    "fusion",
    [
        {"kind": "reciprocal-rank"},
        {"kind": "union"},
        {"kind": "union", "order": ["dense", "bm25"]},
        {"kind": "dempster-shafer", "scale": "min-max", "absent": "last", "prior": "layout"},
        *({"normalise": name} for name in ("zscore", "min-max", "softmax", "rank", "sigmoid")),
    ],
)
def test_every_fusion_can_be_configured(fusion: dict[str, object]):
    options = RetrievalOptions.model_validate({"fusion": {"kind": "weighted-sum"} | fusion})
    result = build_retrieval_stage(CORPUS, LetterEmbedder(), options).search(Query("the lake froze"), k=1)
    assert result.hits[0].unit == unit("lakes.pdf", 1)
