import json

import pytest
from tests.answer.conftest import FakeCorpus, make_page
from tests.answer.model_support import (
    DECLINED,
    MARKER,
    FakeChat,
    Heard,
    cited_json,
    detail_of,
    parts_of,
)

from docrag.answer.options import SummariesOptions
from docrag.answer.summaries import SummariesAnswerer
from docrag.chat.budget import BudgetOptions
from docrag.errors import ModelError, ModelUnavailable
from docrag.types import Abstention, Query

CORPUS = FakeCorpus(
    {"a.pdf": [make_page([f"Revenue of year {n} was {n}00."], page_no=n) for n in range(1, 7)]}
)
QUESTION = Query("What was the revenue?")
OPTIONS = SummariesOptions(n_pages=2, n_candidates=6, pages_per_call=3, n_parallel=1)
"""One call at a time, so that replies in a row are those of the calls in a row."""
GOOD = cited_json(("It was 500.", ("E5", "Revenue of year 5 was 500")))


def summaries(**relevance: float) -> str:
    return json.dumps(
        {"summaries": [{"id": i, "summary": f"about {i}", "relevance": r} for i, r in relevance.items()]}
    )


FIRST, SECOND = summaries(E1=2, E2=3, E3=9), summaries(E4=0, E5=9, E6=3.5)


def answerer(chat, options=OPTIONS, **more):
    return SummariesAnswerer(parts_of(CORPUS, chat, **more), options)


def test_pages_are_summarised_and_the_best_are_read_in_the_original():
    inspect, chat, heard = FakeChat([FIRST, SECOND]), FakeChat([GOOD]), Heard()
    answer = answerer(chat, roles={"inspect": inspect}).answer(QUESTION, listener=heard)
    assert (answer.text, answer.citations[0].support, answer.warnings) == ("It was 500.", "full", ())
    assert [[i.label for i in messages[-1].images] for messages, _ in inspect.asked] == [
        ["E1", "E2", "E3"],
        ["E4", "E5", "E6"],
    ]
    ((messages, _),) = chat.asked
    assert [i.label for i in messages[-1].images] == ["E3", "E5"]  # 9 each: ties keep their rank
    assert f"<<<{MARKER} summaries\nE3: about E3\nE5: about E5\n{MARKER}>>>" in messages[-1].text
    assert detail_of(answer.trace, "choose") == {
        "chosen": [["a.pdf", 3], ["a.pdf", 5]],
        "n_summarised": 6,
        "n_failed": 0,
    }
    assert heard.steps == ["search", "summarise", "summarise", "answer"]
    assert heard.text == "It was 500."


def test_when_no_page_is_relevant_nothing_is_written():
    chat = FakeChat([summaries(E1=0, E2=1, E3=2), summaries(E4=0, E5=2.9, E6=0)])
    answer = answerer(chat).answer(QUESTION)
    assert (answer.abstained, answer.reason, len(chat.asked)) == (True, Abstention.NOT_IN_DOCUMENTS, 2)


def test_pages_whose_summary_failed_come_after_the_relevant_ones():
    chat = FakeChat([ModelError("broken"), summaries(E4=0, E5=9, E6=0), GOOD])
    answer = answerer(chat).answer(QUESTION)
    assert detail_of(answer.trace, "choose") == {
        "chosen": [["a.pdf", 5], ["a.pdf", 1]],
        "n_summarised": 3,
        "n_failed": 3,
    }
    assert answer.warnings == ("3 pages were not summarised: broken",)


def test_summaries_of_pages_that_were_not_shown_are_removed():
    chat = FakeChat([summaries(E1=5, E2=0, E3=0, E77=10), summaries(E1=10, E4=0, E5=9, E6=0), GOOD])
    answer = answerer(chat).answer(QUESTION)
    assert detail_of(answer.trace, "choose")["chosen"] == [["a.pdf", 5], ["a.pdf", 1]]
    assert answer.warnings == (
        "removed a summary of 'E77': it was not shown",
        "removed a summary of 'E1': it was not shown",
    )


def test_a_reply_that_is_no_summary_is_asked_for_again_then_done_without():
    chat = FakeChat(["nothing", "nothing", SECOND, GOOD])
    answer = answerer(chat).answer(QUESTION)
    assert not answer.abstained
    [warning] = [warning for warning in answer.warnings if "3 pages were not summarised" in warning]
    assert "neither of two replies" in warning
    assert "no JSON object" in warning


def test_an_endpoint_that_is_gone_ends_the_question():
    chat = FakeChat([ModelUnavailable("gone")])
    with pytest.raises(ModelUnavailable):
        answerer(chat).answer(QUESTION)
    assert len(chat.asked) == 1


@pytest.mark.parametrize(
    "budget",
    [
        BudgetOptions(max_calls=2),
        BudgetOptions(max_images=6),
        BudgetOptions(max_output_tokens=15),
        BudgetOptions(max_seconds=1e-9),
        BudgetOptions(max_input_tokens=100),
    ],
)
def test_a_spent_budget_is_an_abstention(budget):
    answer = answerer(FakeChat([FIRST, SECOND]), budget=budget).answer(QUESTION)
    assert (answer.abstained, answer.reason) == (True, Abstention.BUDGET_SPENT)


def test_declining_and_nothing_found_are_abstentions():
    assert answerer(FakeChat([FIRST, SECOND, DECLINED])).answer(QUESTION).abstained
    chat = FakeChat()
    assert answerer(chat).answer(Query("zzz")).abstained
    assert chat.asked == []
