from tests.answer.conftest import FakeCorpus, make_page

from docrag.answer.evidence import EvidenceLedger
from docrag.answer.extractive.grid import build_grid
from docrag.answer.extractive.view import PageView, TermWeights
from docrag.types import UnitRef

STATEMENT = make_page(
    [
        "Consolidated Balance Sheets",
        [(300, "2023"), (400, "2022")],
        "Current assets:",
        [(90, "Cash"), (290, "$"), (300, "1,874"), (390, "$"), (400, "2,936")],
        [(90, "Total current assets.........."), (300, "8,802"), (400, "10,539")],
    ]
)


def view_of(page) -> PageView:
    corpus = FakeCorpus({"a.pdf": [page]})
    return PageView(page, EvidenceLedger().issue(corpus.hit(UnitRef("a.pdf", 1, 0, "id-a.pdf")), ""), rank=1)


def test_rows_are_cut_at_wide_gaps_without_currency_signs_and_leaders():
    grid = build_grid(STATEMENT)
    assert [[c.text for c in row] for row in grid.rows] == [
        ["Consolidated Balance Sheets"],
        ["2023", "2022"],
        ["Current assets:"],
        ["Cash", "1,874", "2,936"],
        ["Total current assets", "8,802", "10,539"],
    ]


def test_every_word_of_a_cell_leads_back_to_it():
    grid = build_grid(STATEMENT)
    start = STATEMENT.text.index("current assets..")
    cell = grid.cell_at(start)
    assert cell is not None
    assert cell.text == "Total current assets"
    assert grid.cell_at(len(STATEMENT.text) + 5) is None


def test_a_value_has_its_row_label_its_column_header_and_the_label_above():
    view = view_of(STATEMENT)
    start = STATEMENT.text.index("1,874")
    around = view.around(start, start + 5)
    assert (around.row_label, around.column_label) == ("Cash", "2023")
    assert {"current", "asset"} <= around.channels["near"]


def test_a_row_of_years_heads_columns_that_are_not_aligned_with_it():
    page = make_page(
        ["Years ended", [(200, "2019"), (260, "2018")], [(72, "Revenue"), (400, "6,489"), (500, "7,500")]]
    )
    view = view_of(page)
    start = page.text.index("7,500")
    assert view.around(start, start + 5).column_label == "2018"


def test_sentences_end_at_full_stops_and_nowhere_else():
    page = make_page(["It cost 1.5 million in May. The rest", "was free! So was this"])
    view = view_of(page)
    assert [page.text[a:b] for a, b in view.sentences] == [
        "It cost 1.5 million in May.",
        "The rest\nwas free!",
        "So was this",
    ]
    assert view.sentence_at(page.text.index("free")) == view.sentences[1]


def test_an_empty_page_has_no_rows_and_no_sentences():
    view = view_of(make_page([]))
    assert (view.grid.rows, view.sentences, view.stems) == ((), [], frozenset())


def test_rare_words_weigh_more_and_absent_ones_are_missing():
    weights = TermWeights(10, {"rare": 1, "common": 9, "absent": 0})
    assert weights.missing == {"absent"}
    assert weights.total(["rare"]) > weights.total(["common"]) > 0


def test_coverage_is_one_when_all_words_label_the_value_and_zero_without_any():
    weights = TermWeights(10, {"a": 1, "b": 2})
    assert weights.coverage(["a", "b"], {"row": frozenset("ab"), "page": frozenset()}) == 1.0
    assert weights.coverage(["a", "b"], {"row": frozenset(), "page": frozenset()}) == 0.0
    assert weights.coverage([], {"row": frozenset("a")}) == 0.0
