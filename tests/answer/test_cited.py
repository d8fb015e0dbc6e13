import pytest
from tests.answer.conftest import FakeCorpus, make_page
from tests.answer.figure_pages import PICTURE, page_with_figure
from tests.answer.model_support import MARKER, FakeChat, detail_of, run_of

from docrag.answer.cited import cite
from docrag.answer.options import CitingOptions
from docrag.answer.reply import CitedSentence, QuotedId
from docrag.geometry import Box, union_box
from docrag.types import UnitRef

FIRST = make_page(["The board met seven times.", "Revenue was 46,298 in 2023.", "It was not a good year."])
SECOND = make_page(["Costs were 36,386 in 2023."], page_no=2)
THIRD = page_with_figure(["Sales in the north rose."], "Figure 3: Sales by region and year", page_no=3)
CORPUS = FakeCorpus({"a.pdf": [FIRST, SECOND, THIRD]})


def cited(*sentences: tuple, options: CitingOptions | None = None, corpus=CORPUS, chunk_no: int = 0):
    """Cite sentences with pages 1 to 3 shown as E1 to E3, the last by its chunk."""
    run = run_of(FakeChat())
    for page_no in (1, 2, 3):
        hit = corpus.hit(UnitRef("a.pdf", page_no, 0, "id-a.pdf"))
        run.ledger.issue(hit, "")
    written = [
        CitedSentence(text=text, citations=[QuotedId(id=i, quote=q) for i, q in citations])
        for text, *citations in sentences
    ]
    return cite(run, written, corpus, options), run


def test_sentences_name_their_citations_and_both_are_numbered_in_order():
    result, run = cited(
        ("Costs fell.", ("E2", "Costs were 36,386")),
        ("Revenue rose.", ("E1", "Revenue was 46,298"), ("E2", "Costs were 36,386")),
    )
    assert [(c.n, c.evidence_id, c.support) for c in result.citations] == [
        (1, "E2", "full"),
        (2, "E1", "full"),
    ]
    assert [(s.text, s.citations) for s in result.sentences] == [
        ("Costs fell.", (1,)),
        ("Revenue rose.", (2, 1)),
    ]
    assert result.text == "Costs fell. Revenue rose."
    assert run.warnings == []
    assert detail_of(run.trace.build(), "verify citations") == {
        "n_sentences": 2,
        "n_claims": 3,
        "n_citations": 2,
        "support": ["full", "full"],
    }


def test_items_of_a_list_keep_their_lines():
    assert cited(("Two:",), ("- one",), ("- two",))[0].text == "Two:\n- one\n- two"


def test_marks_in_the_text_are_citations_too():
    result, run = cited(("Revenue was 46,298 in 2023 [E1].", ("E2", "Costs were 36,386")), ("See [E9].",))
    assert [(s.text, s.citations) for s in result.sentences] == [
        ("Revenue was 46,298 in 2023.", (1, 2)),
        ("See.", ()),
    ]
    assert [(c.evidence_id, c.quote) for c in result.citations] == [
        ("E2", "Costs were 36,386"),
        ("E1", "Revenue was 46,298 in 2023."),
    ]
    assert run.warnings[0] == "removed a citation of 'E9': no evidence was issued under this id"


def test_a_citation_without_a_quote_points_to_the_passage_that_the_sentence_rests_on():
    result, run = cited(("In 2023 the revenue was 46,298.", ("E1", "")))
    (citation,) = result.citations
    assert (citation.quote, citation.support) == ("Revenue was 46,298 in 2023.", "full")
    line = [w.box for w in FIRST.words if FIRST.word_text(w) in ("Revenue", "2023.")]
    assert citation.boxes == (union_box(line),)
    assert run.warnings == []


@pytest.mark.parametrize(
    "text",
    [
        "In 2023 the revenue was 46,299.",  # another number
        "It was a good year.",  # the page denies it
        "The chairman resigned in March.",
    ],
)
def test_a_sentence_that_the_page_does_not_state_gets_no_passage(text):
    result, run = cited((text, ("E1", "")))
    assert [(c.support, c.boxes, c.quote) for c in result.citations] == [("none", (), "")]
    assert run.warnings[0] == "a.pdf, page 1: cited without a quote"


def test_a_sentence_without_verified_citations_is_marked():
    result, run = cited(
        ("Revenue rose.", ("E1", "Revenue was 46,298")), ("All is well.",), ("Bad.", ("E1", "made up words"))
    )
    assert len(result.sentences) == 3
    assert run.warnings[-2:] == [
        "no evidence was found for: 'All is well.'",
        "no evidence was found for: 'Bad.'",
    ]


def test_a_sentence_without_verified_citations_is_dropped_with_its_citations():
    drop = CitingOptions(unsupported="drop")
    result, run = cited(("Bad.", ("E1", "made up words")), ("Costs.", ("E2", "36,386")), options=drop)
    assert [(s.text, s.citations) for s in result.sentences] == [("Costs.", (1,))]
    assert [(c.n, c.evidence_id) for c in result.citations] == [(1, "E2")]
    assert "left out a sentence that no evidence was found for: 'Bad.'" in run.warnings


def test_markup_and_addresses_are_removed_from_sentences_and_unverified_quotes():
    result, run = cited(
        (
            "Revenue <b>rose</b> ![x](https://evil.test/p) at https://evil.test.",
            ("E1", "see https://evil.test/q"),
        )
    )
    assert result.sentences[0].text == "Revenue rose x at (link removed)."
    assert "evil" not in result.citations[0].quote
    assert run.warnings[0] == "removed from the answer: a picture, HTML, a link"
    assert not any("evil" in warning for warning in run.warnings)


def test_what_a_model_copies_of_the_prompts_fences_is_no_answer():
    result, run = cited(
        (f"{MARKER} E3",),
        (f"Costs {MARKER} E2 fell.", ("E2", f"<<<{MARKER} E2\nCosts were 36,386")),
    )
    assert result.text == "Costs fell."
    assert [(c.evidence_id, c.support, c.quote) for c in result.citations] == [
        ("E2", "full", "Costs were 36,386")
    ]
    assert run.warnings == ["removed from the answer: a copied marker of the prompt"]


def test_addresses_stay_as_text_where_that_is_wished():
    result, _ = cited(("See https://acme.test/a.",), options=CitingOptions(links="text"))
    assert result.sentences[0].text == "See acme.test/a."


def test_an_id_that_is_an_address_shows_none_in_the_warning():
    _, run = cited(("A.", ("https://evil.test", "x")))
    assert not any("evil" in warning for warning in run.warnings)


# ── figures ──────────────────────────────────────────────────────────────────────────────────────────

FIGURE_BOX = union_box((PICTURE, THIRD.regions[1].box))


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("As Figure 3 shows, the south leads.", "the south leads"),
        ("The south leads.", "Fig. 3: south 40 %"),
        ("Sales by region show that the south leads in every year.", "south 40 %"),
    ],
)
def test_what_only_a_figure_shows_is_cited_by_its_box(text, quote):
    result, run = cited((text, ("E3", quote)))
    (citation,) = result.citations
    assert (citation.support, citation.boxes) == ("none", (FIGURE_BOX,))
    assert "the citation points to the figure or region meant" in run.warnings[0]
    assert len(run.warnings) == 1


@pytest.mark.parametrize(
    ("text", "quote"), [("As Figure 4 shows, the south leads.", "south"), ("The board resigned.", "resigned")]
)
def test_where_no_figure_is_meant_only_the_page_is_known(text, quote):
    (citation,) = cited((text, ("E3", quote)))[0].citations
    assert (citation.support, citation.boxes) == ("none", ())


def test_a_retrieved_region_is_its_own_box():
    unit = UnitRef("a.pdf", 3, 2, "id-a.pdf")
    run = run_of(FakeChat())
    hit = CORPUS.hit(unit._replace(chunk_no=0))
    box = Box(1, 2, 3, 4)
    run.ledger.issue(type(hit)(unit, "3", 1.0, {}, "", kind="picture", box=box), "")
    sentence = CitedSentence(text="The bar is red.", citations=[QuotedId(id="E1", quote="red bar")])
    assert cite(run, [sentence], CORPUS).citations[0].boxes == (box,)


def test_a_quote_in_a_region_is_found_there_and_not_elsewhere_on_the_page():
    page = page_with_figure(["Total 12", "Total 12 again"], "Figure 1: Total 12 by year")
    corpus = FakeCorpus({"a.pdf": [page]})
    run = run_of(FakeChat())
    unit = UnitRef("a.pdf", 1, 2, "id-a.pdf")
    run.ledger.issue(
        type(hit := corpus.hit(unit._replace(chunk_no=0)))(unit, hit.page_label, 1.0, {}, ""), ""
    )
    sentence = CitedSentence(text="Twelve.", citations=[QuotedId(id="E1", quote="Total 12")])
    (citation,) = cite(run, [sentence], corpus).citations
    at = page.text.rindex("Total 12")
    assert citation.boxes == page.boxes_of(at, at + 8)
