"""The gates through their whole graph, with a model that follows a script."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from tests.agents.fakes import Hears, agent_parts, detail_of, names_of, said, scripted
from tests.answer.conftest import FakeCorpus, make_page

from docrag.agents.gated import NOT_FROM_DOCUMENTS, GatedAgent
from docrag.agents.options import GatedOptions
from docrag.answer.parts import AnswerParts
from docrag.errors import Cancelled, ModelUnavailable
from docrag.models.scripted import Rule, ScriptedReply
from docrag.types import NOT_ANSWERABLE, Abstention, Query

QUESTION = Query("How much rain fell at Alder?")
ANSWER = json.dumps(said(("Alder had 120 millimetres.", "E1", "rain fell at Alder 120")))
GATE, RELEVANT, COHERENT, WRITE = (
    "Does it need the documents",
    "Does the page help",
    "coherent evidence together|together are coherent",
    "answerable",
)


def p_yes(probability: float) -> ScriptedReply:
    """Return a reply whose first token has this probability of yes against no; the text says nothing."""
    logprobs = {"Yes": math.log(probability * 0.8), "No": math.log((1 - probability) * 0.8), "Well": -5.0}
    return ScriptedReply("Well", first_logprobs=logprobs)


def gated(parts: AnswerParts, **options: Any) -> GatedAgent:
    """An agent that asks page by page, so that replies in a row are those of the pages in a row."""
    return GatedAgent(parts, GatedOptions(n_parallel=1, **options))


@pytest.fixture
def corpus() -> FakeCorpus:
    pages = [
        make_page(["rain fell at Alder 120"], page_no=1),
        make_page(["rain fell at Birch 95"], page_no=2),
        make_page(["rain of the year before at Alder 88"], page_no=3),
    ]
    return FakeCorpus({"rain.pdf": pages})


def keep(*ids: str) -> str:
    return json.dumps({"keep": list(ids)})


def test_relevant_and_coherent_pages_are_answered_from(corpus: FakeCorpus):
    model = scripted(p_yes(0.9), p_yes(0.2), p_yes(0.6), keep("E1"), ANSWER)
    listener = Hears()
    answer = gated(agent_parts(corpus, model)).answer(QUESTION, listener=listener)
    assert answer.text == "Alder had 120 millimetres."
    assert answer.citations[0].page_no == 1
    assert (answer.is_partial, answer.warnings) == (False, ())
    assert listener.steps == [
        "searching for: How much rain fell at Alder?",
        "judging rain.pdf, page 1",
        "judging rain.pdf, page 2",
        "judging rain.pdf, page 3",
        "comparing 2 pages",
        "reading rain.pdf page 1",
    ]
    assert [d["p_relevant"] for d in detail_of(answer, "relevance")] == [0.9, 0.2, 0.6]
    assert detail_of(answer, "consistency")[0]["kept"] == [["rain.pdf", 1]]
    assert "Birch" not in model.asked[3].text
    assert "88" not in model.asked[4].text
    assert "gate" not in names_of(answer)  # docrag searches unless it is told not to


def test_the_most_relevant_pages_come_first_and_no_more_than_wanted(corpus: FakeCorpus):
    model = scripted(p_yes(0.6), p_yes(0.9), p_yes(0.8), ANSWER)
    gated(agent_parts(corpus, model), consistency=False, max_relevant=2).answer(QUESTION)
    asked = model.asked[3].text
    assert asked.index("rain.pdf, page 2") < asked.index("rain.pdf, page 3")
    assert "rain.pdf, page 1" not in asked


@pytest.mark.parametrize("probability", [0.5, 0.1])
def test_a_page_must_pass_the_threshold(corpus: FakeCorpus, probability: float):
    model = scripted(*[p_yes(probability)] * 3)
    answer = gated(agent_parts(corpus, model)).answer(QUESTION)
    assert (answer.text, answer.reason) == (NOT_ANSWERABLE, Abstention.NOT_IN_DOCUMENTS)


@pytest.mark.parametrize(
    ("said_of_it", "is_kept"),
    [("yes", True), ("No.", False), ("Yes, it does", True), ('{"verdict": false}', False)],
)
def test_words_and_json_decide_where_there_are_no_probabilities(
    corpus: FakeCorpus, said_of_it: str, is_kept: bool
):
    rules = [Rule("Reply with one JSON object, nothing else", '{"verdict": false}')]
    model = scripted(said_of_it, "no", "no", ANSWER, rules=rules)
    answer = gated(agent_parts(corpus, model)).answer(QUESTION)
    assert answer.abstained is not is_kept


def test_a_model_that_says_neither_is_asked_for_json(corpus: FakeCorpus):
    model = scripted("It may.", '{"verdict": true}', "no", "no", ANSWER)
    answer = gated(agent_parts(corpus, model)).answer(QUESTION)
    assert not answer.abstained
    assert "verdict" in json.dumps(model.asked[1].call.schema)


def test_a_page_that_cannot_be_judged_stays_behind_the_others(corpus: FakeCorpus):
    model = scripted("hm", "hm", "hm", "no", "yes", keep("E1", "E2", "E3"), ANSWER)
    answer = gated(agent_parts(corpus, model)).answer(QUESTION)
    assert any("was not judged" in warning for warning in answer.warnings)
    last = model.asked[-1].text
    assert last.index("rain.pdf, page 3") < last.index("rain.pdf, page 1")


@pytest.mark.parametrize("reply", [keep(), keep("E9"), "hm"])
def test_a_filter_that_keeps_nothing_keeps_all(corpus: FakeCorpus, reply: str):
    model = scripted("yes", "yes", "no", *([reply, reply] if reply == "hm" else [reply]), ANSWER)
    answer = gated(agent_parts(corpus, model)).answer(QUESTION)
    assert "Birch" in model.asked[-1].text
    assert not answer.abstained


def test_empty_retrieval_is_an_abstention_without_a_call(corpus: FakeCorpus):
    model = scripted()
    answer = gated(agent_parts(corpus, model)).answer(Query("volcano"))
    assert answer.abstained
    assert model.asked == []


# ── retrieve or not ──────────────────────────────────────────────────────────────────────────────────────


def test_what_needs_no_documents_is_answered_marked_and_without_citations(corpus: FakeCorpus):
    model = scripted(p_yes(0.1), "Hello! I can look into your documents [E1]. See https://example.test/x")
    answer = gated(agent_parts(corpus, model), ungrounded="answer").answer(Query("Hello!"))
    assert answer.text == "Hello! I can look into your documents. See (link removed)"
    assert answer.citations == ()
    assert not answer.abstained
    assert NOT_FROM_DOCUMENTS in answer.warnings
    assert detail_of(answer, "gate")[0] == {"p_retrieve": 0.1, "gamma": 0.5, "retrieve": False}
    assert "search" not in names_of(answer)


def test_what_needs_no_documents_can_be_withheld(corpus: FakeCorpus):
    answer = gated(agent_parts(corpus, scripted("no")), ungrounded="abstain").answer(Query("Hello!"))
    assert answer.abstained
    assert any("ungrounded" in warning for warning in answer.warnings)


@pytest.mark.parametrize("gate", [p_yes(0.8), "yes", p_yes(0.51)])
def test_what_needs_documents_is_searched_for(corpus: FakeCorpus, gate: str | ScriptedReply):
    model = scripted(gate, "yes", "no", "no", ANSWER)
    answer = gated(agent_parts(corpus, model), ungrounded="answer").answer(QUESTION)
    assert answer.text == "Alder had 120 millimetres."
    assert NOT_FROM_DOCUMENTS not in answer.warnings


def test_the_gate_opens_above_gamma_only(corpus: FakeCorpus):
    model = scripted(p_yes(0.7), "Hello.")
    agent = gated(agent_parts(corpus, model), ungrounded="answer", gamma=0.8)
    assert "search" not in names_of(agent.answer(QUESTION))


def test_a_gate_that_says_nothing_retrieves(corpus: FakeCorpus):
    model = scripted("hm", "hm", "hm", "yes", "no", "no", ANSWER)
    answer = gated(agent_parts(corpus, model), ungrounded="answer").answer(QUESTION)
    assert answer.text == "Alder had 120 millimetres."
    assert any("neither yes nor no" in warning for warning in answer.warnings)


# ── budgets and failures ─────────────────────────────────────────────────────────────────────────────────


def test_calls_are_kept_for_the_filter_and_the_answer(corpus: FakeCorpus):
    model = scripted("yes", keep("E1"), ANSWER)
    answer = gated(agent_parts(corpus, model, max_calls=3)).answer(QUESTION)
    assert answer.text == "Alder had 120 millimetres."
    assert any(w.startswith("2 pages were not judged: 2 of 3 model calls") for w in answer.warnings)


@pytest.mark.parametrize(
    "budget",
    [{"max_calls": 1}, {"max_images": 3}],
    ids=lambda budget: next(iter(budget)),
)
def test_what_cannot_be_judged_any_more_is_answered_from(corpus: FakeCorpus, budget: dict[str, int]):
    rules = [Rule(WRITE, ANSWER), Rule("Does the page help", "yes"), Rule("Keep at least one", keep("E1"))]
    parts = agent_parts(corpus, scripted(rules=rules), **budget)
    answer = gated(parts, max_relevant=1).answer(QUESTION)
    if next(iter(budget)) == "max_calls":
        assert answer.text == "Alder had 120 millimetres."
    else:
        assert (answer.abstained, answer.reason) == (True, Abstention.BUDGET_SPENT)
    assert any(f"(budget.{next(iter(budget))})" in warning for warning in answer.warnings)


@pytest.mark.parametrize("budget", [{"max_input_tokens": 5}, {"max_images": 0}])
def test_a_budget_spent_before_anything_is_an_abstention(corpus: FakeCorpus, budget: dict[str, int]):
    answer = gated(agent_parts(corpus, scripted(), **budget)).answer(QUESTION)
    assert (answer.abstained, answer.reason) == (True, Abstention.BUDGET_SPENT)


@pytest.mark.parametrize("n_before", [0, 2, 3, 4])
def test_a_model_that_fails_is_its_error(corpus: FakeCorpus, n_before: int):
    replies = ["yes", "yes", "no", keep("E1")][:n_before]
    with pytest.raises(ModelUnavailable):
        gated(agent_parts(corpus, scripted(*replies, ModelUnavailable("down")))).answer(QUESTION)


@pytest.mark.parametrize(
    ("at", "n_calls"), [("searching", 0), ("judging rain.pdf, page 2", 1), ("comparing", 3)]
)
def test_cancelling_makes_no_further_call(corpus: FakeCorpus, at: str, n_calls: int):
    model = scripted("yes", "yes", "no", keep("E1"), ANSWER)
    with pytest.raises(Cancelled):
        gated(agent_parts(corpus, model)).answer(QUESTION, listener=Hears(cancel_at=at))
    assert len(model.asked) == n_calls
