import pytest

from docrag.answer.extractive.question_type import Kind, Operation, analyse


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("How many plants does the company have?", Kind.COUNT),
        ("What is the number of stores in Ohio?", Kind.COUNT),
        ("What percentage of adults own a phone?", Kind.PERCENTAGE),
        ("How much did the building cost?", Kind.MONEY),
        ("What is the total revenue in 2023?", Kind.NUMBER),
        ("When was the company founded?", Kind.DATE),
        ("What date is on the cover page?", Kind.DATE),
        ("In which year did sales peak? What year was that?", Kind.YEAR),
        ("Who is the chairman?", Kind.NAME),
        ("Which model has the highest score?", Kind.NAME),
        ("List all directors.", Kind.LIST),
        ("What are the three bad fonts?", Kind.LIST),
        ("Does the warranty cover batteries?", Kind.YES_NO),
        ("Is the valve open? Answer 'yes' or 'no'.", Kind.YES_NO),
        ("Which is larger, Paris or Rome?", Kind.CHOICE),
        ("On which pages is Exhibit P-3 mentioned? List the pages.", Kind.PAGE),
        ("What is the email of the office?", Kind.EMAIL),
        ("What is the fax number of the office?", Kind.PHONE),
        ("What colour is the car?", Kind.COLOUR),
        ("How does the pump work?", Kind.PHRASE),
        ("", Kind.PHRASE),
        ("???", Kind.PHRASE),
    ],
)
def test_a_question_has_the_type_of_its_answer(text, kind):
    assert analyse(text).kind is kind


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ("What is the difference between sales and costs?", Operation.DIFFERENCE),
        ("How many more cats than dogs are there?", Operation.DIFFERENCE),
        ("How many cats and dogs are there in total?", Operation.SUM),
        ("What multiple of the 2014 sales was reached?", Operation.QUOTIENT),
        ("How many cats are there?", None),
    ],
)
def test_arithmetic_is_seen(text, operation):
    assert analyse(text).operation is operation


def test_the_form_asked_for_is_no_part_of_what_is_asked():
    question = analyse("What is the margin in 2023? Answer in percentage terms, round to two decimal places.")
    assert question.body == "What is the margin in 2023?"
    assert (question.decimals, question.as_percent, question.years) == (2, True, (2023,))
    assert analyse("What is the debt? Answer in million.").scale == 1e6
    assert analyse("What date is it? Format it as YYYY-MM-DD.").date_pattern == "YYYY-MM-DD"


def test_pages_are_read_as_numbers_words_and_places():
    assert analyse("What is on page 17?").pages == (17,)
    assert analyse("What is on pages 3 and 4?").pages == (3, 4)
    assert analyse("What is on pages 3-5?").pages == (3, 4, 5)
    assert analyse("What is on slide twelve?").pages == (12,)
    assert analyse("What is on page twenty?").pages == (20,)
    for beyond in ("page twenty-one", "page twenty one", "the twenty-first page", "the fifty second slide"):
        question = analyse(f"What is on {beyond}?")
        assert (question.pages, question.positions) == ((), ())
    assert analyse("What is on the city's first page?").positions == (1,)
    assert analyse("What is on the last page?").positions == (-1,)
    assert analyse("What is on the second page?").positions == (2,)


def test_fiscal_years_are_years():
    assert analyse("What was the revenue in FY2023 and FY22?").years == (2023, 2022)


def test_names_and_codes_are_entities_and_pages_are_not():
    entities = {
        t.text for t in analyse('Does Apple use the "blue dot" code AR01 on Page 7 of Table 2?').entities
    }
    assert entities == {"Apple", "blue", "dot", "AR01", "2"}


def test_the_two_options_of_a_choice_are_found():
    assert analyse("Which is larger, Paris or Rome?").choices == ("Paris", "Rome")
    assert analyse("Is it worn on the left or right side of the coat?").choices == ("left", "right")
    assert analyse("Which one sells more? Directly answer 'Coke' or 'Pepsi'.").choices == ("Coke", "Pepsi")


def test_the_focus_is_what_is_counted():
    assert analyse("How many domestic plants does it have?").focus == ("domestic", "plant")
