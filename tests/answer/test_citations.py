import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.answer.conftest import FakeCorpus, make_page

from docrag.answer.citations import Claim, verify_citations
from docrag.answer.evidence import EvidenceLedger
from docrag.types import UnitRef

FIRST = make_page(["The board met seven times.", "Revenue was 46,298 in 2023."], page_no=1, label="i")
SECOND = make_page(["Costs were 36,386 in 2023."], page_no=2, label="ii")
CORPUS = FakeCorpus({"report.pdf": [FIRST, SECOND]})


def ledger_of(*page_nos: int) -> EvidenceLedger:
    ledger = EvidenceLedger()
    for page_no in page_nos:
        ledger.issue(CORPUS.hit(UnitRef("report.pdf", page_no, 0, "id-report.pdf")), "text")
    return ledger


def test_a_true_citation_has_full_support_and_one_box_per_line():
    quote = "seven times. Revenue was 46,298"
    verified = verify_citations([Claim("E1", quote)], ledger_of(1), CORPUS)
    (citation,) = verified.citations
    assert (citation.n, citation.doc, citation.page_no, citation.page_label) == (1, "report.pdf", 1, "i")
    assert (citation.support, citation.quote, citation.page_size) == ("full", quote, (595.0, 842.0))
    words = {FIRST.word_text(w): w.box for w in FIRST.words}
    assert [(b.x0, b.x1) for b in citation.boxes] == [
        (words["seven"].x0, words["times."].x1),
        (words["Revenue"].x0, words["46,298"].x1),
    ]
    assert verified.warnings == ()


@pytest.mark.parametrize(
    "forged",
    [
        "E2",
        "E0",
        "E-1",
        "e1",
        "E01",
        " E1",
        "E1 ",
        "Е1",
        "E１",
        "E1\u200b",
        "",
        "1",
        "report.pdf",
        "E1E1",
    ],
)
def test_an_id_that_was_not_issued_is_removed_and_named(forged):
    verified = verify_citations(
        [Claim(forged, "seven times"), Claim("E1", "seven times")], ledger_of(1), CORPUS
    )
    assert [c.evidence_id for c in verified.citations] == ["E1"]
    assert verified.citations[0].n == 1
    assert len(verified.warnings) == 1
    assert ascii(forged) in verified.warnings[0]


def test_a_quote_of_another_page_has_no_support_and_no_boxes():
    verified = verify_citations([Claim("E2", "Revenue was 46,298 in 2023")], ledger_of(1, 2), CORPUS)
    (citation,) = verified.citations
    assert (citation.page_no, citation.support, citation.boxes) == (2, "none", ())
    assert "page 2" in verified.warnings[0]


@pytest.mark.parametrize("quote", ["", " ", "of the", "Revenue was 46,299 in 2023"])
def test_a_quote_that_says_nothing_or_something_else_has_no_support(quote):
    verified = verify_citations([Claim("E1", quote)], ledger_of(1), CORPUS)
    assert [c.support for c in verified.citations] == ["none"]
    assert len(verified.warnings) == 1


def test_equal_claims_are_one_citation_and_numbers_follow_the_claims():
    claims = [Claim("E2", "36,386"), Claim("E1", "46,298"), Claim("E2", "36,386")]
    verified = verify_citations(claims, ledger_of(1, 2), CORPUS)
    assert [(c.n, c.evidence_id, c.support) for c in verified.citations] == [
        (1, "E2", "full"),
        (2, "E1", "full"),
    ]


def test_a_page_that_left_the_index_takes_its_citation_along():
    ledger = ledger_of(1)
    verified = verify_citations([Claim("E1", "seven times")], ledger, FakeCorpus({}))
    assert verified.citations == ()
    assert "no longer in the index" in verified.warnings[0]


def test_the_hint_chooses_among_equal_numbers():
    page = make_page(["2023 costs", "2023 sales"])
    corpus = FakeCorpus({"a.pdf": [page]})
    ledger = EvidenceLedger()
    ledger.issue(corpus.hit(UnitRef("a.pdf", 1, 0, "id-a.pdf")), "")
    second = page.text.rindex("2023")
    verified = verify_citations([Claim("E1", "2023", near=second)], ledger, corpus)
    assert verified.citations[0].boxes == page.boxes_of(second, second + 4)


def test_the_same_unit_keeps_its_id():
    ledger = ledger_of(1, 2, 1)
    assert [e.evidence_id for e in ledger.issued] == ["E1", "E2"]


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_boxes_of_a_found_quote_hold_exactly_its_words(data):
    first = data.draw(st.integers(0, len(FIRST.words) - 1))
    last = data.draw(st.integers(first, len(FIRST.words) - 1))
    quote = FIRST.text[FIRST.words[first].start : FIRST.words[last].end]
    near = FIRST.words[first].start
    (citation,) = verify_citations([Claim("E1", quote, near)], ledger_of(1), CORPUS).citations
    if citation.support == "none":
        assert quote.lower() in ("the", "was", "in", "was in")
        return
    inside = [
        FIRST.word_text(w)
        for w in FIRST.words
        if any(b.contains_point(*w.box.center) for b in citation.boxes)
    ]
    assert " ".join(inside) == " ".join(quote.split())
