import json

import pytest
from tests.answer.conftest import FakeCorpus, make_page
from tests.answer.figure_pages import PICTURE, page_with_figure
from tests.answer.model_support import FakeChat, Heard, cited_json, detail_of, parts_of, step_names

from docrag.answer.interleaved import InterleavedAnswerer
from docrag.answer.options import InterleavedOptions
from docrag.chat.budget import BudgetOptions
from docrag.geometry import union_box
from docrag.types import Abstention, Query

SALES = page_with_figure(["Sales grew in the south."], "Figure 1: Sales by region", page_no=1)
COSTS = page_with_figure(
    ["Costs fell and sales of stock rose."], "Figure 2: Costs per plant", page_no=2, kind="table"
)
CORPUS = FakeCorpus({"a.pdf": [SALES, COSTS, make_page(["Sales of nothing"], page_no=3)]})
QUESTION = Query("How did sales and costs develop?")
# Pages 2, 1, 3 by words in common are E1, E2, E3; the table on page 2 is E4, the picture on page 1 is E5.


def reply(*sentences: tuple) -> str:
    """A sentence is its text, its figures, and its citations."""
    whole = json.loads(cited_json(*((text, *citations) for text, _, *citations in sentences)))
    for sentence, (_, figures, *_) in zip(whole["sentences"], sentences, strict=True):
        sentence["figures"] = figures
    return json.dumps(whole)


GOOD = reply(
    ("Costs fell.", ["E4"], ("E1", "Costs fell")),
    ("Sales grew.", ["E5"], ("E2", "Sales grew in the south")),
)


def answerer(chat, options=None, **more):
    return InterleavedAnswerer(parts_of(CORPUS, chat, **more), options)


def test_figures_stand_after_the_sentences_that_the_model_names():
    chat, heard = FakeChat([GOOD]), Heard()
    answer = answerer(chat).answer(QUESTION, listener=heard)
    assert answer.text == "Costs fell. Sales grew."
    assert [(s.citations, s.figures) for s in answer.sentences] == [((1, 2), (2,)), ((3, 4), (4,))]
    table, picture = answer.citations[1], answer.citations[3]
    assert (table.page_no, table.quote, table.support) == (2, "Figure 2: Costs per plant", "full")
    assert picture.boxes == (union_box((PICTURE, SALES.regions[1].box)),)
    assert detail_of(answer.trace, "place figures")["figures"] == [[2], [4]]
    assert answer.warnings == ()
    assert heard.text == answer.text


def test_the_model_is_shown_the_figures_under_their_own_ids():
    chat = FakeChat([GOOD])
    answer = answerer(chat).answer(QUESTION)
    assert [image.label for image in chat.asked[0][0][1].images] == ["E1", "E2", "E3", "E4", "E5"]
    assert detail_of(answer.trace, "call answer")["prompt"] == "answer_interleaved"
    assert "at most 4 in all" in chat.asked[0][0][0].text


@pytest.mark.parametrize("forged", ["E9", "E1", "e4", "\u04154", "", "figure 2"])
def test_a_figure_that_is_none_is_removed(forged):
    answer = answerer(FakeChat([reply(("Costs fell.", [forged, "E4"], ("E1", "Costs fell")))])).answer(
        QUESTION
    )
    assert [len(s.figures) for s in answer.sentences] == [1]
    assert answer.warnings == (f"removed a figure {forged!a}: no figure was shown under this id",)


def test_a_figure_is_shown_once_and_there_are_at_most_so_many():
    twice = reply(
        ("Costs fell.", ["E4"], ("E1", "Costs fell")), ("Sales grew.", ["E4", "E5"], ("E2", "Sales grew"))
    )
    answer = answerer(FakeChat([twice])).answer(QUESTION)
    assert [len(s.figures) for s in answer.sentences] == [1, 1]
    answer = answerer(FakeChat([GOOD]), InterleavedOptions(max_figures=1)).answer(QUESTION)
    assert [len(s.figures) for s in answer.sentences] == [1, 0]


def test_words_can_place_the_figures():
    plain = cited_json(
        ("In the south sales grew.", ("E2", "Sales grew in the south")),
        ("Costs per plant fell.", ("E1", "Costs fell")),
        ("Other sales by region.", ("E3", "Sales of nothing")),
    )
    chat = FakeChat([plain])
    answer = answerer(chat, InterleavedOptions(interleave="rule")).answer(QUESTION)
    pages = {c.n: (c.page_no, c.quote) for c in answer.citations}
    shown = [[pages[n] for n in s.figures] for s in answer.sentences]
    # Half of the caption "Sales by region" is in the first sentence; the third cites another page.
    assert shown == [[(1, "Figure 1: Sales by region")], [(2, "Figure 2: Costs per plant")], []]
    assert len(chat.asked[0][0][1].images) == 3
    assert detail_of(answer.trace, "call answer")["prompt"] == "answer_cited"


def test_a_sentence_that_names_a_figure_gets_it():
    plain = cited_json(
        ("Sales grew.", ("E2", "Sales grew")), ("As Figure 1 shows, so it is.", ("E2", "Sales grew"))
    )
    answer = answerer(FakeChat([plain]), InterleavedOptions(interleave="rule")).answer(QUESTION)
    assert [len(s.figures) for s in answer.sentences] == [0, 1]


def test_figures_can_be_left_off():
    answer = answerer(
        FakeChat([cited_json(("Costs fell.", ("E1", "Costs fell")))]), InterleavedOptions(interleave="off")
    )
    answer = answer.answer(QUESTION)
    assert answer.sentences[0].figures == ()


@pytest.mark.parametrize("text", ["Costs fell [E1].", GOOD[: GOOD.index("Sales grew") + 3]])
def test_replies_without_the_format_or_broken_off_are_used(text):
    answer = answerer(FakeChat([text])).answer(QUESTION)
    assert answer.sentences[0].text == "Costs fell."
    assert answer.warnings != ()


def test_declining_and_a_spent_budget_are_abstentions():
    declined = answerer(FakeChat([cited_json(answerable=False)])).answer(QUESTION)
    assert declined.reason is Abstention.NOT_IN_DOCUMENTS
    assert "place figures" not in step_names(declined.trace)
    spent = answerer(FakeChat(), budget=BudgetOptions(max_images=4)).answer(QUESTION)
    assert spent.reason is Abstention.BUDGET_SPENT
    assert answerer(FakeChat()).answer(Query("zzz")).abstained
