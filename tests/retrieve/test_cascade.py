"""Pages and regions lift one another, hits their neighbours, and no document fills a result."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.retrieve.small_corpus import SmallCorpus, unit

from docrag.retrieve.build import build_retrieval_stage
from docrag.retrieve.cascade_boost import CascadeBoost, best_of_pages
from docrag.retrieve.cutoff.cut import Cut
from docrag.retrieve.cutoff.per_document import cap_per_document
from docrag.retrieve.fusion.weighted_sum import WeightedSum
from docrag.retrieve.neighbour_boost import NeighbourBoost
from docrag.retrieve.options import RetrievalOptions
from docrag.types import Fused, Query, Scope, Scored, SourceScore

CORPUS = SmallCorpus(
    {
        "a.pdf": ["lake\n\nice\n\nboats", "ice lake cold", "x", "x", "lake ice y"],
        "b.pdf": ["lake", "ice", "lake lake"],
    }
)


def fused(*scored: tuple[str, int, float]) -> list[Fused]:
    return [Fused(unit(doc, page_no), score, {}) for doc, page_no, score in scored]


# ── cascade ──────────────────────────────────────────────────────────────────────────────────────────


class ByUnit:
    """Ranks pages or regions as given."""

    name = "fixed"

    def __init__(self, pages: Sequence[Scored], regions: Sequence[Scored]) -> None:
        self._of = {"page": pages, "region": regions}

    def retrieve(self, query: Query, *, k: int) -> list[Scored]:
        return list(self._of[query.unit])[:k]


RETRIEVER = ByUnit(
    pages=[Scored(unit("a.pdf", 1), 3.0), Scored(unit("b.pdf", 1), 2.0), Scored(unit("a.pdf", 2), 1.0)],
    regions=[
        Scored(unit("a.pdf", 2, 1), 9.0),
        Scored(unit("a.pdf", 1, 2), 7.0),
        Scored(unit("a.pdf", 2, 3), 6.0),
        Scored(unit("b.pdf", 1, 1), 1.0),
    ],
)
CASCADE = CascadeBoost([RETRIEVER], WeightedSum({"fixed": 1}))


def test_the_best_region_lifts_its_page():
    # From 1 to 9, the regions' places are 1, 6/8, 5/8 and 0.
    lifts = CASCADE.lift(Query("x"), [])
    assert lifts == [
        Scored(unit("a.pdf", 2), 1.0),
        Scored(unit("a.pdf", 1), pytest.approx(0.75)),
        Scored(unit("b.pdf", 1), 0.0),
    ]


def test_a_page_lifts_its_regions_that_were_found():
    found = [Fused(unit("a.pdf", 1, 2), 5.0, {}), Fused(unit("b.pdf", 2, 1), 4.0, {})]
    assert CASCADE.lift(Query("x", "region"), found) == [Scored(unit("a.pdf", 1, 2), 1.0)]


def test_nothing_found_lifts_nothing():
    assert CASCADE.lift(Query(" "), []) == []
    empty = CascadeBoost([ByUnit([], [])], WeightedSum({"fixed": 1}))
    assert empty.lift(Query("x"), fused(("a.pdf", 1, 1.0))) == []


def test_equal_regions_lift_their_pages_fully():
    assert best_of_pages([Fused(unit("a.pdf", n, 1), 2.0, {}) for n in (1, 2)]) == {
        unit("a.pdf", 1): 1.0,
        unit("a.pdf", 2): 1.0,
    }


def test_the_cascade_is_a_weight_away():
    # Page 5 and page 2 share both words; one region of page 2 does, too, none of page 1.
    off = build_retrieval_stage(CORPUS, None, RetrievalOptions())
    on = build_retrieval_stage(CORPUS, None, RetrievalOptions(cascade_weight=2))
    query = Query("ice lake")
    assert off.search(query, k=1).hits[0].unit == unit("a.pdf", 1)
    hits = on.search(query, k=2).hits
    assert [hit.unit for hit in hits] == [unit("a.pdf", 2), unit("a.pdf", 5)]
    assert hits[0].sources["cascade"] == SourceScore(1, 1.0)


# ── neighbours ───────────────────────────────────────────────────────────────────────────────────────


def test_pages_beside_a_hit_are_lifted_as_far_as_the_hit_stands_out():
    ranking = fused(("a.pdf", 2, 5.0), ("b.pdf", 3, 3.0), ("a.pdf", 5, 1.0))
    lifts = NeighbourBoost(CORPUS, n_hits=2).lift(Query("x"), ranking)
    # Page 4 of b.pdf does not exist, and the third hit does not count.
    assert lifts == [
        Scored(unit("a.pdf", 1), 1.0),
        Scored(unit("a.pdf", 3), 1.0),
        Scored(unit("b.pdf", 2), 0.5),
    ]


def test_the_better_of_two_hits_decides_for_the_page_between_them():
    ranking = fused(("a.pdf", 1, 4.0), ("a.pdf", 3, 2.0), ("b.pdf", 2, 0.0))
    lifts = NeighbourBoost(CORPUS, n_hits=2).lift(Query("x"), ranking)
    assert lifts == [Scored(unit("a.pdf", 2), 1.0), Scored(unit("a.pdf", 4), 0.5)]


def test_neighbours_stay_within_the_scope_and_regions_have_none():
    boost = NeighbourBoost(CORPUS)
    ranking = fused(("a.pdf", 2, 5.0))
    within = Query("x", scope=Scope(pages=((2, 3),)))
    assert [s.unit for s in boost.lift(within, ranking)] == [unit("a.pdf", 3)]
    assert boost.lift(Query("x", "region"), [Fused(unit("a.pdf", 2, 1), 5.0, {})]) == []
    assert boost.lift(Query("x"), []) == []


def test_neighbours_are_a_weight_away():
    off = build_retrieval_stage(CORPUS, None, RetrievalOptions())
    on = build_retrieval_stage(CORPUS, None, RetrievalOptions(neighbour_weight=0.5))
    assert [hit.unit for hit in off.search(Query("cold"), k=3).hits] == [unit("a.pdf", 2)]
    hits = on.search(Query("cold"), k=3).hits
    assert unit("a.pdf", 3) in [hit.unit for hit in hits]
    assert all(hit.unit.doc == "a.pdf" for hit in hits)


# ── cap per document ─────────────────────────────────────────────────────────────────────────────────


def test_a_document_keeps_its_best_units():
    ranking = fused(("a.pdf", 1, 4.0), ("a.pdf", 5, 3.0), ("b.pdf", 2, 2.0), ("a.pdf", 2, 1.0))
    kept, cuts = cap_per_document(ranking, 1)
    assert kept == [ranking[0], ranking[2]]
    reason = "beyond the first 1 of its document"
    assert cuts == [
        Cut(unit("a.pdf", 5), "fusion", 2, 3.0, reason),
        Cut(unit("a.pdf", 2), "fusion", 4, 1.0, reason),
    ]


def test_the_cap_holds_over_several_documents_and_not_within_one():
    stage = build_retrieval_stage(CORPUS, None, RetrievalOptions(max_per_document=1))
    result = stage.search(Query("ice lake"), k=9)
    assert sorted(hit.doc for hit in result.hits) == ["a.pdf", "b.pdf"]
    assert len(result.cuts) == 4
    alone = stage.search(Query("ice lake", scope=Scope(docs=("a.pdf",))), k=9)
    assert len(alone.hits) == 3
    assert alone.cuts == ()
