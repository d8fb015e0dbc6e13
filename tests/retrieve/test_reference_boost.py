"""Named pages, captions and sections rise in the ranking."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.retrieve.small_corpus import SmallCorpus, make_page, unit

from docrag.retrieve.boost import boosted
from docrag.retrieve.printed_numbers import edge_numbers, number_offsets
from docrag.retrieve.reference_boost import CAPTION_LIFT, PAGE_LIFT, SECTION_LIFT, ReferenceBoost
from docrag.types import Fused, OutlineEntry, PageRef, Query, Scope, Scored, SourceScore


def fused(*units: tuple[str, int]) -> list[Fused]:
    return [Fused(unit(*u), float(len(units) - i), {}) for i, u in enumerate(units)]


def lifted(corpus: SmallCorpus, question: str, ranking: Sequence[Fused] = (), **query: object) -> dict:
    lifts = ReferenceBoost(corpus).lift(Query(question, **query), ranking)  # type: ignore[arg-type]
    return {(s.unit.doc, s.unit.page_no, s.unit.chunk_no): s.score for s in lifts}


def test_a_page_number_means_the_physical_page_and_the_label():
    corpus = SmallCorpus({"a.pdf": ["x"] * 6}, labels={"a.pdf": ["i", "ii", "1", "2", "3", "4"]})
    assert lifted(corpus, "What is on page 4?") == {("a.pdf", 4, 0): PAGE_LIFT, ("a.pdf", 6, 0): PAGE_LIFT}
    assert lifted(corpus, "What is on page ii?") == {("a.pdf", 2, 0): PAGE_LIFT}
    assert lifted(corpus, "Who signed the last page?") == {("a.pdf", 6, 0): PAGE_LIFT}
    assert lifted(corpus, "What is on page 40?") == {}
    assert lifted(corpus, "What is a page?") == {}


def test_a_printed_number_is_found_without_labels():
    # Two cover pages, then 1, 2, 3 … at the foot; page 7 of the file is full of figures.
    texts = ["cover", "inside", *(f"Heading\ntext\nin 1999\n{n}" for n in range(1, 9))]
    texts[6] = "12\n1999\n\n40\n88"
    corpus = SmallCorpus({"a.pdf": texts})
    assert lifted(corpus, "on page 3") == {("a.pdf", 3, 0): PAGE_LIFT, ("a.pdf", 5, 0): PAGE_LIFT}
    assert lifted(corpus, "on page 5") == {("a.pdf", 5, 0): PAGE_LIFT, ("a.pdf", 7, 0): PAGE_LIFT}
    assert lifted(corpus, "on page 9") == {("a.pdf", 9, 0): PAGE_LIFT}


def test_printed_numbers_of_a_document_are_looked_for_once():
    corpus = SmallCorpus({"a.pdf": [f"text\n{n + 4}" for n in range(1, 200)]})
    boost = ReferenceBoost(corpus)
    for question in ("page 10", "page 20", "slide 30"):
        assert len(boost.lift(Query(question), ())) == 2
    assert len(corpus.pages_read) <= 16


def test_edge_numbers_are_bare_numbers_at_the_edges():
    page = make_page(1, "Annual report 2015\n- 12 -\nmiddle 7\nend 8\nPage 9 of 30\n(34)")
    assert edge_numbers(page) == {2015, 12, 9, 30, 34}
    assert edge_numbers(make_page(1, "7 of the 12 members of the board met 3 1,234")) == {7}
    assert edge_numbers(make_page(1, "")) == frozenset()


def test_offsets_need_several_pages_that_agree():
    assert number_offsets({1: frozenset({3}), 2: frozenset({4})}) == ()
    edges = {n: frozenset({n + 2, 1990}) for n in range(1, 5)} | {9: frozenset({9})}
    assert number_offsets(edges) == (2,)
    two_parts = {n: frozenset({n - 2 if n < 10 else n - 20}) for n in range(4, 24)}
    assert number_offsets(two_parts) == (-20, -2)


def test_in_a_large_collection_pages_of_the_favoured_documents_rise():
    corpus = SmallCorpus({f"{name}.pdf": ["x"] * 3 for name in "abcdefgh"})
    ranking = fused(*((f"{name}.pdf", 1) for name in "hgfed"), ("a.pdf", 1))
    found = lifted(corpus, "page 2", ranking)
    assert {doc for doc, _, _ in found} == {"d.pdf", "e.pdf", "f.pdf", "g.pdf", "h.pdf"}


def test_the_scope_holds():
    corpus = SmallCorpus({"a.pdf": ["x"] * 5, "b.pdf": ["x"] * 5})
    assert lifted(corpus, "page 2", scope=Scope(docs=("b.pdf",))) == {("b.pdf", 2, 0): PAGE_LIFT}
    assert lifted(corpus, "pages 2-4", scope=Scope(docs=("b.pdf",), pages=((4, 5),))) == {
        ("b.pdf", 4, 0): PAGE_LIFT
    }


def test_a_caption_is_found_where_it_stands_not_where_it_is_mentioned():
    texts = ["see table 2 for more", "Table 2: Rain\n\n3 4 5", "Table 20: Snow", "intro\nFig. 2 Wind"]
    corpus = SmallCorpus({"a.pdf": texts})
    assert lifted(corpus, "What does Table 2 show?") == {("a.pdf", 2, 0): CAPTION_LIFT}
    assert lifted(corpus, "What does Figure 2 show?", fused(("a.pdf", 4))) == {("a.pdf", 4, 0): CAPTION_LIFT}


def test_a_section_is_found_by_the_outline():
    outline = [
        OutlineEntry(1, "1 Introduction", 1), OutlineEntry(1, "2 Methods", 3), OutlineEntry(2, "2.1 Data", 3),
        OutlineEntry(2, "2.10 Limits", 4), OutlineEntry(1, "Appendix A: Tables", 6),
    ]  # fmt: skip
    corpus = SmallCorpus({"a.pdf": ["x"] * 7}, outlines={"a.pdf": outline})

    def pages(question: str) -> list[int]:
        found = lifted(corpus, question)
        assert set(found.values()) <= {SECTION_LIFT}
        return sorted(page_no for _, page_no, _ in found)

    assert pages("What does Section 2 say?") == [3, 4, 5, 6]
    assert pages("What does Section 2.1 say?") == [3, 4]
    assert pages("What is in appendix A?") == [6, 7]
    assert pages("What is in Section 9?") == []


def test_for_regions_all_chunks_of_a_named_page_rise():
    corpus = SmallCorpus({"a.pdf": ["one\n\ntwo\n\nthree", "four"]})
    assert sorted(lifted(corpus, "page 1", unit="region")) == [("a.pdf", 1, n) for n in (1, 2, 3)]


def test_boost_is_measured_in_deviations_of_the_head():
    ranking = fused(("a.pdf", 1), ("a.pdf", 2), ("a.pdf", 3))  # scores 3, 2, 1: deviation sqrt(2/3)
    lifts = [Scored(unit("a.pdf", 3), 1.0), Scored(unit("a.pdf", 9), 0.5)]
    result = boosted(ranking, lifts, name="references", weight=2)
    step = 2 * math.sqrt(2 / 3)
    scores = {f.unit.page_no: f.score for f in result}
    assert scores == {1: 3, 2: 2, 3: 1 + step, 9: 1 + step / 2}
    assert [f.unit.page_no for f in result] == [1, 3, 2, 9]
    assert result[1].sources == {"references": SourceScore(1, 1.0)}
    assert boosted(ranking, [], name="references", weight=2) == ranking


def test_a_boost_lifts_units_of_equal_score_by_its_weight():
    # Three times 0.1 has a deviation of 1e-17 in floating point, which would lift by nothing.
    equal = [Fused(unit("a.pdf", n), 0.1, {}) for n in (1, 2, 3)]
    result = boosted(equal, [Scored(unit("a.pdf", 3), 1.0)], name="references", weight=4.0)
    assert [f.unit.page_no for f in result] == [3, 1, 2]
    assert math.isclose(result[0].score, 4.1)


def test_boost_of_an_empty_ranking_ranks_what_is_named():
    result = boosted([], [Scored(unit("a.pdf", 3), 1.0)], name="references", weight=4)
    assert [(f.unit, f.score) for f in result] == [(unit("a.pdf", 3), 4.0)]


def test_pages_that_failed_are_not_lifted():
    corpus = SmallCorpus({"a.pdf": ["x", "y", "z"]})
    del corpus.pages[PageRef("id-a.pdf", 2)]
    assert lifted(corpus, "page 2") == {}
