"""The report of a search says how every page came up, what was cut and why, and how long each step took."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from tests.report.test_html import ATTACKS, Page

from docrag.geometry import Box
from docrag.report.search_explain import N_CUT, N_NEXT, detail_values, explanation
from docrag.report.search_html import PagePicture, search_html
from docrag.retrieve.cutoff.cut import Cut
from docrag.retrieve.query.plan import Plan, SubQuery
from docrag.retrieve.stage import SearchResult
from docrag.types import Fused, Hit, Query, Scored, SourceScore, TraceStep, UnitRef, Usage

WRITTEN_AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def unit(page_no: int, *, doc: str = "d.pdf", chunk_no: int = 0) -> UnitRef:
    return UnitRef(doc, page_no, chunk_no, f"id-{doc}")


def make_result(text: str = "copper", *, doc: str = "d.pdf") -> SearchResult:
    """Two hits of four pages: words rank 1, 2, 3, looks rank 2 and 4, a reranker prefers page 2."""
    bm25 = tuple(Scored(unit(n, doc=doc), 9.0 - n) for n in (1, 2, 3))
    visual = tuple(Scored(unit(n, doc=doc), s) for n, s in ((2, 0.75), (4, 0.5)))
    sources = {
        1: {"bm25": SourceScore(1, 8.0)},
        2: {"bm25": SourceScore(2, 7.0), "visual": SourceScore(1, 0.75), "listwise": SourceScore(1, 1.0)},
        3: {"bm25": SourceScore(3, 6.0)},
        4: {"visual": SourceScore(2, 0.5)},
    }
    fused = tuple(Fused(unit(n, doc=doc), s, sources[n]) for n, s in ((2, 2.5), (1, 1.25), (3, -0.5)))
    hits = tuple(
        Hit(place.unit, f"iv{text}", place.score, place.sources, f"snippet {text}") for place in fused[:2]
    )
    return SearchResult(
        Query(f"question {text}"),
        hits,
        {"bm25": bm25, "visual": visual},
        fused,
        (
            TraceStep("query plan", 0.3, {"searched": [f"part {text}", "copper price"], "notes": []}),
            TraceStep("bm25", 0.1, {"n_units": 3}),
            TraceStep("visual", 0.5, {"n_units": 2}),
            TraceStep("fusion", 0.05, {"by": f"WeightedSum {text}", "weights": {"bm25": 0.25}}),
            TraceStep("listwise", 0.05, {"judged": [f"d.pdf p. 2 {text}"], "failed": None}),
        ),
        (
            Cut(unit(4, doc=doc), "visual", 2, 0.5, f"below the gap {text}"),
            Cut(unit(1, doc=doc), "visual", 3, 0.25, "below the gap"),
        ),
        plan=Plan(
            (SubQuery(f"part {text}", "part 1"), SubQuery("copper price", "part 2", retrievers=("bm25",))),
            notes=(f"split in two {text}",),
        ),
        usage=Usage(n_model_calls=3, n_input_tokens=1200, n_output_tokens=34, n_images=2),
        as_fused={unit(1, doc=doc): SourceScore(1, 2.75), unit(2, doc=doc): SourceScore(2, 1.125)},
    )


def render(result: SearchResult, **changes: object) -> Page:
    picture = PagePicture(b"jpeg", 600, 800, (Box(10, 20, 110, 40),), [("all words", np.ones((2, 2)))])
    arguments = {
        "pictures": {result.hits[0].unit: picture} if result.hits else {},
        "missing": {result.hits[1].unit: "the file has changed"} if result.hits else {},
        "notices": ["only 1 of 4 pages have visual vectors"],
        "written_at": WRITTEN_AT,
        **changes,
    }
    return Page(search_html(result, **arguments))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cost_usd", "n_unpriced", "shown"),
    [
        (None, 3, "2 pictures."),
        (0.04, 0, "2 pictures, $0.0400."),
        (0.04, 2, "2 pictures, at least $0.0400 (2 calls have no known cost)."),
    ],
)
def test_a_cost_that_is_not_all_is_called_so(cost_usd: float | None, n_unpriced: int, shown: str):
    result = make_result()
    usage = replace(result.usage, cost_usd=cost_usd, n_unpriced_calls=n_unpriced)
    assert shown in words(render(replace(result, usage=usage)))


def words(page: Page) -> str:
    """The visible text; cells of a row follow one another without a blank."""
    return " ".join(page.text.split())


@pytest.mark.parametrize("attack", ATTACKS)
def test_markup_in_any_text_is_shown_and_never_run(attack: str):
    plain, attacked = render(make_result("x")), render(make_result(attack, doc=f"{attack}.pdf"))
    assert [tag for tag, _ in attacked.elements] == [tag for tag, _ in plain.elements]
    assert [sorted(a) for _, a in attacked.elements] == [sorted(a) for _, a in plain.elements]
    shown = words(attacked)
    for place in ("question", "snippet", "part", "WeightedSum", "below the gap", "split in two"):
        assert " ".join(f"{place} {attack}".split()) in shown


def test_nothing_is_fetched_and_no_style_stands_in_an_element():
    page = render(make_result())
    assert not {"script", "link", "iframe", "object", "form", "base"} & {tag for tag, _ in page.elements}
    values = [value for _, a in page.elements for name, value in a.items() if name in ("src", "href")]
    assert values
    assert all(
        value.startswith(("#", "data:image/jpeg;base64,", "data:image/png;base64,")) for value in values
    )
    assert not [a for _, a in page.elements if "style" in a]
    assert "url(" not in page.style
    policy = next(a["content"] for a in page.attributes("meta") if a.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy


def test_every_link_leads_somewhere():
    page = render(make_result())
    ids = {a["id"] for _, a in page.elements if "id" in a}
    links = {a["href"] for a in page.attributes("a")}
    assert links == {"#hit1", "#hit2"}
    assert {link.removeprefix("#") for link in links} <= ids


def test_every_source_of_a_page_is_there_with_rank_and_score():
    about = explanation(make_result())
    assert about["sources"] == ["bm25", "visual", "listwise"]  # as they ran, not by their names
    assert about["n_retrievers"] == 2
    first, second = about["rows"]
    assert (first["page_no"], first["score"]) == (2, 2.5)
    assert first["sources"] == [
        {"rank": 2, "score": 7.0},
        {"rank": 1, "score": 0.75},
        {"rank": 1, "score": 1.0},
    ]
    assert second["sources"] == [{"rank": 1, "score": 8.0}, None, None]
    shown = words(render(make_result()))
    assert "#2 7" in shown
    assert "#1 0.75" in shown
    assert "2.5000" in shown
    assert "bm25 ranked 3, visual ranked 2." in shown


def test_what_fusion_gave_stands_beside_the_score_that_decided():
    about = explanation(make_result())
    assert [row["fused"] for row in about["rows"]] == [
        {"rank": 2, "score": 1.125},
        {"rank": 1, "score": 2.75},
    ]
    assert [row["fused"] for row in about["next"]] == [None]  # page 3 was not in the fused ranking
    page = words(render(make_result()))
    assert "ScoreFused" in page
    assert "2.5000#2 1.125" in page
    assert "1.2500#1 2.75" in page
    assert "-0.5000–" in page


def test_what_was_cut_and_why_is_there_also_for_a_page_that_another_retriever_found():
    about = explanation(make_result())
    assert [(group["ranking"], group["n"]) for group in about["cuts"]] == [("visual", 2)]
    assert [cut["page_no"] for cut in about["cuts"][0]["first"]] == [4, 1]
    shown = words(render(make_result()))
    assert "Cut from visual: 2" in shown
    assert "d.pdf, page 40.5000below the gap copper" in shown
    assert "cut from visual at #3: below the gap" in shown  # page 1 is a hit by its words


def test_long_lists_of_cuts_are_counted():
    cuts = tuple(Cut(unit(n), "bm25", n, 1.0, "low") for n in range(1, 26))
    about = explanation(replace(make_result(), cuts=cuts))
    assert len(about["cuts"][0]["first"]) == N_CUT
    assert f"and {25 - N_CUT} more" in words(render(replace(make_result(), cuts=cuts)))


def test_times_add_up_and_lie_one_after_the_other():
    about = explanation(make_result())
    assert about["total_ms"] == pytest.approx(1000)
    assert [step["share"] for step in about["steps"]] == pytest.approx([0.3, 0.1, 0.5, 0.05, 0.05])
    assert [step["start"] for step in about["steps"]] == pytest.approx([0, 0.3, 0.4, 0.9, 0.95])
    bars = [a for a in render(make_result()).attributes("rect") if a.get("class") == "bar"]
    assert [(bar["x"], bar["width"]) for bar in bars][2] == ("40.00", "50.00")
    assert "visual500.0" in words(render(make_result())).replace(" ", "")


def test_a_step_may_say_whatever_it_likes():
    detail = {
        "n_units": 3,
        "p_yes": 0.123456,
        "empty": [],
        "pages": ["a", ("b", 2)],
        "by": {"x": 1, "y": [1.5, None]},
        "text": "a\nb" + "c" * 1000,
        "other": unit(1),
    }
    found = dict(detail_values(detail))
    assert found["units"] == ["3"]
    assert found["p yes"] == ["0.1235"]
    assert found["empty"] == []
    assert found["pages"] == ["a", "b", "2"]
    assert found["by"] == ["x: 1", "y: 1.5, None"]
    assert found["text"][0].startswith("a bccc")
    assert len(found["text"][0]) == 400
    assert found["other"] == ["d.pdf", "1", "0", "id-d.pdf"]


def test_what_was_searched_for_is_shown_where_it_is_not_the_question():
    shown = words(render(make_result()))
    assert "Searched for" in shown
    assert "part 2copper pricebm25" in shown
    assert "split in two copper" in shown
    asked = replace(make_result(), plan=Plan((SubQuery("question copper"),)))
    assert "Searched for" not in words(render(asked))
    assert "Searched for" not in words(render(replace(make_result(), plan=None)))
    skipped = replace(
        make_result(), plan=Plan((SubQuery("question copper"),), retrieve=False, notes=("gate",))
    )
    assert "judged to need no document" in words(render(skipped))


def test_what_came_after_the_hits_is_shown_with_its_rank():
    about = explanation(make_result())
    assert [(row["rank"], row["page_no"]) for row in about["next"]] == [(3, 3)]
    many = tuple(Fused(unit(n), -float(n), {}) for n in range(1, 40))
    long = explanation(replace(make_result(), hits=(), fused=many))
    assert len(long["next"]) == N_NEXT
    assert "not among the results: 1" in words(render(make_result()))


def test_cost_notices_and_missing_pictures_are_there():
    shown = words(render(make_result()))
    assert "3 model calls, 1200 tokens in, 34 out, 2 pictures" in shown
    assert "only 1 of 4 pages have visual vectors" in shown
    assert "No picture: the file has changed" in shown


def test_nothing_found_says_so_and_still_explains():
    nothing = SearchResult(Query("x"), (), {"bm25": ()}, (), (TraceStep("bm25", 0.0, {"n_units": 0}),))
    shown = words(render(nothing))
    assert "Nothing found." in shown
    assert "bm25" in shown
    assert "not among the results" not in shown


def test_a_layer_is_shown_by_its_button():
    page = render(make_result())
    assert "input:nth-of-type(1):checked ~ .page .layer:nth-of-type(1)" in page.style
    assert [a["for"] for a in page.attributes("label")] == ["h1w1"]
    assert {"class": "page"}.items() <= next(
        a for a in page.attributes("svg") if "aria-label" in a and a.get("class") == "page"
    ).items()
