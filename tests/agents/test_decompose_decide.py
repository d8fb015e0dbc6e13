"""Splitting, answering per source and deciding, through the whole graph."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from tests.agents.fakes import (
    NOT_SAID,
    PICTURES,
    Hears,
    agent_parts,
    detail_of,
    names_of,
    said,
    scripted,
)
from tests.answer.conftest import FakeCorpus, make_page

from docrag.agents.decompose_decide import DecomposeDecideAgent
from docrag.agents.options import DecomposeDecideOptions
from docrag.chat.events import SILENCE, Listener
from docrag.errors import Cancelled, ModelUnavailable
from docrag.models.scripted import ScriptedChatModel
from docrag.types import NOT_ANSWERABLE, Abstention, Hit, Query, Scored, UnitRef, Usage

QUESTION = Query("What share of the staff left?")
ONE_THING = json.dumps({"several": False, "sub_questions": []})
ALONE = DecomposeDecideOptions(decompose="never")
UNITS = [UnitRef("staff.pdf", n, 0, "id-staff.pdf") for n in (1, 2, 3)]


@dataclass(frozen=True)
class RankedResult:
    """What a retrieval stage returns, as far as agents look at it."""

    hits: Sequence[Hit]
    rankings: Mapping[str, Sequence[Scored]]
    warnings: Sequence[str] = ()
    usage: Usage = Usage(n_model_calls=1)  # noqa: RUF009 - it is frozen


class RankedSearch:
    """Three retrievers that each prefer another page."""

    def __init__(self, corpus: FakeCorpus, **orders: Sequence[int]) -> None:
        self._corpus = corpus
        self._orders = orders or {"bm25": (0, 1), "dense": (1, 0), "visual": (2, 1)}
        self.asked: list[str] = []

    def __call__(self, query: Query, *, k: int, listener: Listener = SILENCE) -> RankedResult:
        self.asked.append(query.text)
        rankings = {
            name: [Scored(UNITS[i], 1.0 / (place + 1)) for place, i in enumerate(order)]
            for name, order in self._orders.items()
        }
        return RankedResult([self._corpus.hit(UNITS[0])], rankings)


@pytest.fixture
def corpus() -> FakeCorpus:
    pages = [
        make_page(["Of the staff 12.5 % left", "Alder kept all"], page_no=1),
        make_page(["The share that left was 0.125"], page_no=2),
        make_page(["In the year before 14 % left"], page_no=3),
    ]
    return FakeCorpus({"staff.pdf": pages})


def agent(
    corpus: FakeCorpus,
    model: ScriptedChatModel,
    options: DecomposeDecideOptions = ALONE,
    *,
    orders: Mapping[str, Sequence[int]] | None = None,
    **budget: object,
) -> DecomposeDecideAgent:
    parts = agent_parts(corpus, model, **budget)
    return DecomposeDecideAgent(replace(parts, search=RankedSearch(corpus, **(orders or {}))), options)


PERCENT = json.dumps(said(("12.5 % left.", "E1", "Of the staff 12.5 % left")))
FRACTION = json.dumps(said(("A share of 0.125 left.", "E2", "The share that left was 0.125")))
OLD = json.dumps(said(("14 % left.", "E3", "In the year before 14 % left")))
REFINED = json.dumps(said(("12.5 % of the staff left.", "E1", "Of the staff 12.5 % left")))


def test_sources_that_agree_are_refined(corpus: FakeCorpus):
    model = scripted(PERCENT, FRACTION, PERCENT.replace("E1", "E1"), REFINED)
    listener = Hears()
    answer = agent(corpus, model).answer(QUESTION, listener=listener)
    assert answer.text == "12.5 % of the staff left."
    assert answer.citations[0].support == "full"
    assert (answer.is_partial, answer.warnings) == (False, ())
    decided = detail_of(answer, "decide")[0]
    assert decided["decision"] == "agree"
    assert decided["groups"] == [["bm25", "dense", "visual"]]
    assert all(score >= 0.6 for _, _, score in decided["agreement"])
    assert listener.steps == [
        "searching for: What share of the staff left?",
        "answering from bm25",
        "answering from dense",
        "answering from visual",
        "comparing 3 answers",
    ]
    assert answer.usage.n_model_calls == 4 + 1  # and what searching took
    refining = model.asked[3]
    assert refining.n_images == 0
    assert '12.5 % left. [E1: "Of the staff 12.5 % left"]' in refining.last


def test_every_source_is_shown_its_own_pages(corpus: FakeCorpus):
    model = scripted(PERCENT, FRACTION, OLD, PERCENT)
    agent(corpus, model).answer(QUESTION)
    own = [[n for n in (1, 2, 3) if f"staff.pdf, page {n}" in asked.text] for asked in model.asked]
    assert own == [[1, 2], [1, 2], [2, 3], [1, 2, 3]]
    assert model.asked[1].text.index("staff.pdf, page 2") < model.asked[1].text.index("staff.pdf, page 1")


def test_numbers_that_differ_go_to_the_expert_with_all_evidence(corpus: FakeCorpus):
    model = scripted(PERCENT, FRACTION, OLD, REFINED)
    answer = agent(corpus, model).answer(QUESTION)
    assert detail_of(answer, "decide")[0]["decision"] == "expert"
    assert detail_of(answer, "decide")[0]["groups"] == [["bm25", "dense"], ["visual"]]
    assert answer.text == "12.5 % of the staff left."
    assert "call judge" in names_of(answer)
    assert "visual: 14 % left." in model.asked[3].last


def test_a_vote_takes_the_majority_without_a_further_call(corpus: FakeCorpus):
    model = scripted(OLD, PERCENT, FRACTION)
    answer = agent(corpus, model, DecomposeDecideOptions(decompose="never", decide="vote")).answer(QUESTION)
    assert detail_of(answer, "decide")[0]["decision"] == "vote"
    assert answer.text == "12.5 % left."
    assert len(model.asked) == 3


def test_a_vote_without_a_majority_goes_to_the_expert(corpus: FakeCorpus):
    model = scripted(PERCENT, OLD, REFINED)
    options = DecomposeDecideOptions(decompose="never", decide="vote")
    orders = {"bm25": (0,), "visual": (2,)}
    answer = agent(corpus, model, options, orders=orders).answer(QUESTION)
    assert detail_of(answer, "decide")[0]["decision"] == "expert"
    assert answer.text == "12.5 % of the staff left."


def test_one_source_that_has_no_answer_is_a_matter_for_the_expert(corpus: FakeCorpus):
    model = scripted(PERCENT, json.dumps(NOT_SAID), PERCENT, REFINED)
    answer = agent(corpus, model).answer(QUESTION)
    assert detail_of(answer, "decide")[0]["decision"] == "expert"
    assert "dense: (no answer)" in model.asked[3].last


def test_the_expert_may_find_no_answer(corpus: FakeCorpus):
    model = scripted(PERCENT, FRACTION, OLD, json.dumps(NOT_SAID))
    answer = agent(corpus, model).answer(QUESTION)
    assert (answer.text, answer.reason) == (NOT_ANSWERABLE, Abstention.NOT_IN_DOCUMENTS)


def test_sources_without_any_answer_are_an_abstention(corpus: FakeCorpus):
    answer = agent(corpus, scripted(*[json.dumps(NOT_SAID)] * 3)).answer(QUESTION)
    assert (answer.abstained, answer.reason) == (True, Abstention.NOT_IN_DOCUMENTS)
    assert "decide" not in names_of(answer)


def test_empty_retrieval_is_an_abstention_without_a_call(corpus: FakeCorpus):
    model = scripted()
    answer = DecomposeDecideAgent(agent_parts(corpus, model), ALONE).answer(Query("volcano"))
    assert answer.abstained
    assert model.asked == []


def test_a_search_without_rankings_is_one_source(corpus: FakeCorpus):
    answer = DecomposeDecideAgent(agent_parts(corpus, scripted(PERCENT)), ALONE).answer(QUESTION)
    assert detail_of(answer, "decide")[0]["decision"] == "only source"
    assert answer.text == "12.5 % left."


def test_text_and_pictures_can_be_the_sources(corpus: FakeCorpus):
    model = scripted(PERCENT, PERCENT)
    options = DecomposeDecideOptions(decompose="never", sources="modalities", refine=False)
    answer = DecomposeDecideAgent(agent_parts(corpus, model, pictures=PICTURES), options).answer(QUESTION)
    assert [asked.n_images > 0 for asked in model.asked] == [False, True]
    assert "Of the staff" not in model.asked[1].text
    assert answer.text == "12.5 % left."


@pytest.mark.parametrize("changed", ["13 % of the staff left.", "None of the staff left."])
def test_a_refinement_that_says_something_else_is_not_taken(corpus: FakeCorpus, changed: str):
    worse = json.dumps(said((changed, "E1", "Of the staff 12.5 % left")))
    answer = agent(corpus, scripted(PERCENT, FRACTION, PERCENT, worse)).answer(QUESTION)
    assert answer.text == "12.5 % left."


# ── parts ────────────────────────────────────────────────────────────────────────────────────────────────

PARTS = json.dumps({"several": True, "sub_questions": ["What share left now?", "What share left before?"]})
BOTH = json.dumps(
    said(
        ("12.5 % left now.", "E1", "Of the staff 12.5 % left"),
        ("14 % left before.", "E2", "In the year before 14 % left"),
    )
)


def test_parts_are_answered_one_by_one_and_combined(corpus: FakeCorpus):
    orders = {"visual": (0, 2)}
    model = scripted(PARTS, PERCENT, OLD.replace("E3", "E2"), BOTH)
    search = RankedSearch(corpus, **orders)
    parts = replace(agent_parts(corpus, model), search=search)
    answer = DecomposeDecideAgent(parts).answer(QUESTION)
    assert search.asked == ["What share left now?", "What share left before?"]
    assert answer.text == "12.5 % left now. 14 % left before."
    assert [c.page_no for c in answer.citations] == [1, 3]
    assert "Part: What share left before?\nAnswer: 14 % left." in model.asked[3].last
    assert detail_of(answer, "decompose")[0]["several"] is True


@pytest.mark.parametrize(
    "split",
    [
        ONE_THING,
        json.dumps({"several": True, "sub_questions": ["What share left?"]}),
        json.dumps({"several": False, "sub_questions": ["a?", "b?"]}),
        json.dumps({"several": True, "sub_questions": []}),
    ],
)
def test_a_question_that_asks_for_one_thing_is_not_split(corpus: FakeCorpus, split: str):
    model = scripted(split, PERCENT)
    answer = agent(corpus, model, DecomposeDecideOptions(), orders={"bm25": (0,)}).answer(QUESTION)
    assert answer.text == "12.5 % left."
    assert detail_of(answer, "decompose")[0]["several"] is False


def test_a_split_out_of_format_leaves_the_question_whole(corpus: FakeCorpus):
    model = scripted("no", "no", PERCENT)
    answer = agent(corpus, model, DecomposeDecideOptions(), orders={"bm25": (0,)}).answer(QUESTION)
    assert answer.text == "12.5 % left."
    assert any("not split" in warning for warning in answer.warnings)


def test_no_more_parts_than_allowed(corpus: FakeCorpus):
    many = json.dumps({"several": True, "sub_questions": [f"part {n}?" for n in range(9)]})
    model = scripted(many, *[PERCENT] * 3, BOTH)
    answer = agent(corpus, model, DecomposeDecideOptions(), orders={"bm25": (0,)}).answer(QUESTION)
    assert len(detail_of(answer, "search")) == 3


# ── budgets and failures ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "budget",
    [{"max_rounds": 1}, {"max_calls": 2}, {"max_images": 1}, {"max_output_tokens": 60}],
    ids=lambda budget: next(iter(budget)),
)
def test_a_spent_budget_gives_the_parts_answered_so_far(corpus: FakeCorpus, budget: dict[str, int]):
    model = scripted(PARTS, PERCENT, OLD, BOTH)
    answer = agent(corpus, model, DecomposeDecideOptions(), orders={"bm25": (0,)}, **budget).answer(QUESTION)
    assert answer.text == "12.5 % left."
    assert answer.is_partial
    assert any(f"(budget.{next(iter(budget))})" in warning for warning in answer.warnings)


@pytest.mark.parametrize("budget", [{"max_input_tokens": 5}, {"max_images": 0}])
def test_a_budget_spent_before_any_answer_is_an_abstention(corpus: FakeCorpus, budget: dict[str, int]):
    answer = agent(corpus, scripted(), **budget).answer(QUESTION)
    assert (answer.abstained, answer.reason) == (True, Abstention.BUDGET_SPENT)


def test_a_model_that_fails_leaves_what_the_first_source_says_or_its_error(corpus: FakeCorpus):
    answer = agent(corpus, scripted(PERCENT, ModelUnavailable("down"))).answer(QUESTION)
    assert answer.is_partial
    assert answer.text == "12.5 % left."
    with pytest.raises(ModelUnavailable):
        agent(corpus, scripted(ModelUnavailable("down"))).answer(QUESTION)


def test_a_source_out_of_format_has_no_answer(corpus: FakeCorpus):
    model = scripted("", "", FRACTION, FRACTION, FRACTION)
    answer = agent(corpus, model).answer(QUESTION)
    assert any("the answer from bm25 could not be read" in warning for warning in answer.warnings)
    assert not answer.abstained


@pytest.mark.parametrize(("at", "n_calls"), [("searching", 0), ("answering from dense", 1), ("comparing", 3)])
def test_cancelling_makes_no_further_call(corpus: FakeCorpus, at: str, n_calls: int):
    model = scripted(PERCENT, FRACTION, OLD, REFINED)
    with pytest.raises(Cancelled):
        agent(corpus, model).answer(QUESTION, listener=Hears(cancel_at=at))
    assert len(model.asked) == n_calls


def test_a_forged_citation_of_a_source_does_not_survive(corpus: FakeCorpus):
    forged = json.dumps(said(("12.5 % left.", "E77", "Of the staff 12.5 % left")))
    answer = agent(corpus, scripted(forged), orders={"bm25": (0,)}).answer(QUESTION)
    assert answer.citations == ()
    assert any("E77" in warning for warning in answer.warnings)
