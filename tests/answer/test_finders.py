"""Each finder on a page made for it: what is proposed, and where it is cited."""

import pytest
from tests.answer.conftest import FakeCorpus, make_page

from docrag.answer.evidence import EvidenceLedger
from docrag.answer.extractive.gather import Gatherer
from docrag.answer.extractive.question_type import analyse
from docrag.types import Query


def candidates(question: str, *pages, method: str) -> list[tuple[str, list[str]]]:
    """Text and quotes of the candidates that one finder proposes."""
    corpus = FakeCorpus({"a.pdf": [make_page(p, page_no=n) for n, p in enumerate(pages, 1)]})
    gatherer = Gatherer(corpus, corpus.search, n_pages=5, ledger=EvidenceLedger())
    gathered = gatherer.gather(analyse(question), Query(question))
    return [(c.text, [p.quote for p in c.places]) for c in gathered.candidates if c.method == method]


BALANCE = [
    "Consolidated Balance Sheets",
    "$ in millions",
    [(300, "January 28, 2023"), (420, "January 29, 2022")],
    [(72, "Total current assets"), (300, "8,800"), (420, "10,500")],
    [(72, "Total assets"), (300, "16,000"), (420, "17,000")],
    [(72, "Total current liabilities"), (300, "4,000"), (420, "5,000")],
]
EARNINGS = [
    "Consolidated Statements of Earnings",
    "$ in millions",
    [(300, "January 28, 2023"), (420, "January 29, 2022")],
    [(72, "Revenue"), (300, "33,000"), (420, "30,000")],
    [(72, "Operating income"), (300, "1,500"), (420, "1,200")],
    [(72, "Interest expense"), (300, "(30)"), (420, "(20)")],
]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is the current ratio for 2023?", "2.20"),  # 8,800 / 4,000
        ("What is the working capital in FY2022?", "5500000000"),  # (10,500 - 5,000) million
        ("What is the interest coverage ratio in 2022?", "60.00"),  # 1,200 / 20
        ("What is the asset turnover in 2023?", "2.00"),  # 33,000 / ((16,000 + 17,000) / 2)
        (
            "What is the return on capital employed in 2023? Round to three decimals.",
            "0.125",
        ),  # 1,500 / 12,000
        ("What is the operating margin in 2022? Answer in percentage terms.", "4.00%"),  # 1,200 / 30,000
    ],
)
def test_ratios_are_computed_from_the_lines_of_the_year(question, answer):
    found = candidates(question, BALANCE, EARNINGS, method="ratio")
    assert [text for text, _ in found] == [answer]


def test_a_ratio_cites_every_line_it_uses():
    ((_, quotes),) = candidates("What is the current ratio for 2023?", BALANCE, EARNINGS, method="ratio")
    assert [q.split(" 8")[0].split(" 4")[0] for q in quotes] == [
        "Total current assets",
        "Total current liabilities",
    ]


def test_a_ratio_without_its_lines_is_not_guessed():
    assert candidates("What is the quick ratio for 2023?", BALANCE, EARNINGS, method="ratio") == []
    assert candidates("What is the current ratio for 2019?", BALANCE, EARNINGS, method="ratio") == []


def test_a_line_item_is_read_under_the_year_asked_for():
    found = candidates("What are total current assets in 2022?", BALANCE, method="line")
    assert [text for text, _ in found] in ([], ["10500"])
    ((text, quotes),) = candidates(
        "What is the value of total current assets in 2022?", BALANCE, method="line"
    )
    assert (text, quotes) == ("10500", ["Total current assets 8,800 10,500"])


def test_the_best_number_is_the_one_in_the_row_and_column_asked_for():
    table = [
        "Tweets by company and day",
        [(200, "Monday"), (300, "Tuesday")],
        [(72, "Lufthansa"), (200, "12"), (300, "17")],
        [(72, "Airbus"), (200, "5"), (300, "8")],
    ]
    found = candidates("How many tweets did Airbus send on Tuesday?", table, method="number")
    assert found[0] == ("8", ["Airbus 5 8"])


def test_differences_are_computed_and_cite_both_numbers():
    table = ["Tweets by company", [(72, "Lufthansa"), (200, "12")], [(72, "Airbus"), (200, "5")]]
    found = candidates(
        "How many more tweets are attributed to Lufthansa than Airbus?", table, method="arithmetic"
    )
    assert found[0] == ("7", ["Lufthansa 12", "Airbus 5"])


def test_a_date_takes_the_form_asked_for():
    page = ["The hearing was held on October 7, 2003 in Washington."]
    found = candidates("When was the hearing held? Format the date as YYYY-MM-DD.", page, method="typed")
    assert found == [("2003-10-07", ["The hearing was held on October 7, 2003 in Washington."])]


def test_mail_addresses_of_the_named_page_only():
    pages = ["Office: a@example.org"], ["Office: b@example.org"]
    assert [t for t, _ in candidates("What is the email on page 2?", *pages, method="typed")] == [
        "b@example.org"
    ]


def test_captions_answer_for_the_title_of_a_figure():
    page = ["Text before", "Figure 2: Rock gashes in the cliff.", "More text about Figure 3"]
    found = candidates("What is the title of Figure 2?", page, method="caption")
    assert [text for text, _ in found] == ["Rock gashes in the cliff"]


def test_labelled_things_of_the_whole_document_are_counted():
    pages = ["Table 1. Cats", "As Table 1 shows, cats"], ["Table 2. Dogs"], ["Table 3: Birds"]
    found = candidates("How many tables are in the document?", *pages, method="labelled_document")
    assert [text for text, _ in found] == ["3"]
    assert candidates("How many tables show cats?", *pages, method="labelled_document") == []


def test_steps_under_a_matching_heading_are_counted():
    page = ["Steps to replace the grille:", "1. Open the door", "2. Lift the grille", "3. Close the door"]
    found = candidates("How many steps are needed to replace the grille?", page, method="items")
    assert [text for text, _ in found] == ["3"]


def test_pages_that_mention_a_code_are_listed_by_their_numbers():
    pages = ["Exhibit P-3 is here"], ["nothing"], ["see Exhibit P-3 again, not P-30"]
    found = candidates("On which pages is Exhibit P-3 mentioned? List all pages.", *pages, method="pages")
    assert found == [('["1", "3"]', ["P-3", "P-3"])]


def test_bullets_and_columns_become_lists():
    page = ["Areas of support:", "• Audit", "• Tax", "• Advisory"]
    found = candidates("List the areas of support.", page, method="bullets")
    assert found[0] == ('["Audit", "Tax", "Advisory"]', ["• Audit", "• Tax", "• Advisory"])
    page = ["Bad fonts", "Arial", "Comic Sans", "Papyrus", "Good fonts"]
    found = candidates("What are the three bad fonts?", page, method="column")
    assert '["Arial", "Comic Sans", "Papyrus"]' in [text for text, _ in found]


def test_yes_needs_a_passage_and_no_denial():
    page = ["Ozone and skin", "The loss of ozone causes skin burn in summer."]
    assert [t for t, _ in candidates("Does ozone loss cause skin burn?", page, method="yes_no")] == ["Yes"]
    page = ["Ozone and skin", "The loss of ozone does not cause skin burn in summer."]
    assert [t for t, _ in candidates("Does ozone loss cause skin burn?", page, method="yes_no")] == ["No"]


def test_of_two_options_the_one_with_the_larger_number_is_chosen():
    page = ["Population of cities", [(72, "Paris"), (200, "2,100,000")], [(72, "Rome"), (200, "2,800,000")]]
    found = candidates("Which is greater in population, Paris or Rome?", page, method="option")
    assert [text for text, _ in found] == ["Rome"]


def test_the_order_of_two_steps_is_read_from_the_page():
    page = ["Installing it properly is first.", "Plugging it in comes next."]
    question = 'Is "Installing it properly" done before or after "Plugging it in"?'
    assert [t for t, _ in candidates(question, page, method="option")] == ["before"]


def test_the_row_with_the_highest_value_answers_which_has_the_most():
    page = [
        "Errors by type",
        [(72, "Token"), (200, "8")],
        [(72, "Syntax"), (200, "25")],
        [(72, "Subtask"), (200, "2")],
    ]
    assert ("Syntax", ["Syntax 25"]) in candidates("Which type has the most errors?", page, method="extreme")
    assert ("Subtask", ["Subtask 2"]) in candidates(
        "Which type has the fewest errors?", page, method="extreme"
    )


def test_a_total_is_not_one_of_the_rows_to_choose_from():
    page = [
        "Errors by type",
        [(72, "Token"), (200, "8")],
        [(72, "Syntax"), (200, "25")],
        [(72, "Subtask"), (200, "2")],
        [(72, "Total"), (200, "35")],
    ]
    found = candidates("Which type has the most errors?", page, method="extreme")
    assert [text for text, _ in found] == ["Syntax"]


def test_names_that_no_page_has_are_reported_but_not_misspelled_ones():
    corpus = FakeCorpus({"a.pdf": [make_page(["Tweets of Lufthansa"])]})
    gatherer = Gatherer(corpus, corpus.search, n_pages=5, ledger=EvidenceLedger())
    question = "How many tweets did Boeing and Lufthanse send?"
    assert gatherer.gather(analyse(question), Query(question)).missing_names == ("Boeing",)
