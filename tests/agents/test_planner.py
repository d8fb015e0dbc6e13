"""The planner through its whole graph, with a model that follows a script."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest
from tests.agents.fakes import (
    NOT_SAID,
    FakePictures,
    Hears,
    agent_parts,
    detail_of,
    names_of,
    said,
    scripted,
)
from tests.answer.conftest import FakeCorpus, make_page

from docrag.agents.options import PlannerOptions
from docrag.agents.planner import PlannerAgent
from docrag.chat.events import TokenEvent
from docrag.chat.model import Limits
from docrag.errors import Cancelled, ModelUnavailable
from docrag.geometry import Box
from docrag.models.scripted import Asked, Rule
from docrag.types import NOT_ANSWERABLE, Abstention, Query, Region, Scope, Table

QUESTION = Query("How much more rain did Alder have than Birch?")


def act(
    tool: str, *, thought: str = "", sub_question: str = "", so_far: object = None, **arguments: object
) -> str:
    turn: dict[str, object] = {"thought": thought, "sub_question": sub_question}
    turn["action"] = {"tool": tool, **arguments}
    if so_far is not None:
        turn["answer_so_far"] = so_far
    return json.dumps(turn)


SEARCH = act("search", query="rain of stations", sub_question="Which page has the rain?")
READ = act("read_page", evidence_id="E1")
ANSWER = act("answer", **said(("Alder had 25 millimetres more.", "E1", "Alder 120")))
SO_FAR = said(("Alder had 120 millimetres.", "E1", "Alder 120"))


@pytest.fixture
def corpus() -> FakeCorpus:
    page = make_page(["Rain of stations", "Alder 120", "Birch 95"], page_no=1)
    table = Table((("Station", "Rain"), ("Alder", "120"), ("Birch", "95")), ((None, None),) * 3)
    regions = (*page.regions, Region(1, "table", Box(60, 84, 200, 120), 17, 34, table))
    return FakeCorpus(
        {"rain.pdf": [replace(page, regions=regions), make_page(["Snow of stations"], page_no=2)]}
    )


def test_the_planner_searches_reads_zooms_computes_and_answers(corpus: FakeCorpus):
    model = scripted(
        SEARCH,
        READ,
        act("zoom", evidence_id="E1", region=1),
        act("read_table", evidence_id="E1", thought="the table has both"),
        act("calculate", expression="120 - 95"),
        ANSWER,
    )
    listener = Hears()
    agent = PlannerAgent(agent_parts(corpus, model, pictures=FakePictures(), max_rounds=8))
    answer = agent.answer(QUESTION, listener=listener)
    assert answer.text == "Alder had 25 millimetres more."
    assert [(c.doc, c.page_no, c.support) for c in answer.citations] == [("rain.pdf", 1, "full")]
    assert answer.citations[0].boxes
    assert (answer.is_partial, answer.abstained, answer.warnings) == (False, False, ())
    assert listener.steps == [
        "searching: rain of stations",
        "looked at rain.pdf, page 1",
        "zooming into rain.pdf, page 1",
        "reading a table on rain.pdf, page 1",
        "calculating: 120 - 95",
    ]
    told = [event.text for event in listener.events if isinstance(event, TokenEvent)]
    assert "".join(told) == "Alder had 25 millimetres more."
    assert [n for n in names_of(answer) if n not in ("make context", "verify citations")] == [
        "call plan", "tool search", "call plan", "tool read_page", "call plan", "tool zoom",
        "call plan", "tool read_table", "call plan", "tool calculate", "call plan",
    ]  # fmt: skip
    assert detail_of(answer, "tool calculate")[0]["seen"] == "120 - 95 = 25"
    assert detail_of(answer, "tool search")[0]["sub_question"] == "Which page has the rain?"
    assert answer.usage.n_model_calls == 6
    assert "120 - 95 = 25" in model.asked[5].last
    assert model.asked[2].n_images == 1
    assert model.asked[5].n_images == 2  # the page and the crop, sent again


def test_the_answer_is_told_while_it_arrives_and_drafts_are_not(corpus: FakeCorpus):
    model = scripted(SEARCH, act("read_page", evidence_id="E1", so_far=SO_FAR), ANSWER)
    model.chunk_chars = 5
    listener = Hears()
    answer = PlannerAgent(agent_parts(corpus, model)).answer(QUESTION, listener=listener)
    told = [event.text for event in listener.events if isinstance(event, TokenEvent)]
    assert "".join(told) == answer.text == "Alder had 25 millimetres more."
    assert len(told) > 3


def test_a_last_answer_is_told_while_it_arrives(corpus: FakeCorpus):
    model = scripted(SEARCH, READ, json.dumps(said(("Alder had 25 millimetres more.", "E1", "Alder 120"))))
    model.chunk_chars = 5
    listener = Hears()
    answer = PlannerAgent(agent_parts(corpus, model, max_rounds=2)).answer(QUESTION, listener=listener)
    told = [event.text for event in listener.events if isinstance(event, TokenEvent)]
    assert answer.is_partial
    assert "".join(told) == answer.text == "Alder had 25 millimetres more."
    assert len(told) > 3


def test_a_conversation_only_grows(corpus: FakeCorpus):
    model = scripted(SEARCH, READ, act("calculate", expression="120 - 95"), ANSWER)
    PlannerAgent(agent_parts(corpus, model, pictures=FakePictures(), max_rounds=4)).answer(QUESTION)
    prompts = [[(m.type, json.dumps(m.content)) for m in asked.messages] for asked in model.asked]
    assert len(prompts) == 4
    for before, after in itertools.pairwise(prompts):
        assert after[: len(before)] == before
        shared = sum(len(content) for _, content in before)
        assert shared >= 0.6 * sum(len(content) for _, content in after)


def test_the_model_is_told_the_tools_and_given_their_schema(corpus: FakeCorpus):
    model = scripted(SEARCH, act("answer", **NOT_SAID))
    options = PlannerOptions(tools=("search", "calculate"))
    PlannerAgent(agent_parts(corpus, model), options).answer(QUESTION)
    opening = model.asked[0].text
    assert '{"tool": "calculate"' in opening
    assert "read_table" not in opening.split("Rules:")[0]
    schema = json.dumps(model.asked[0].call.schema)
    assert "CalculateArguments" in schema
    assert "ZoomArguments" not in schema
    assert QUESTION.text in opening
    assert "MARK" in opening


@pytest.mark.parametrize("tools", [(), ("shell",), ("search", "fetch")])
def test_only_known_tools_can_be_allowed(tools: tuple[str, ...]):
    with pytest.raises(ValueError, match="tools"):
        PlannerOptions(tools=tools)


def test_a_tool_that_is_not_allowed_is_refused_and_the_loop_goes_on(corpus: FakeCorpus):
    model = scripted(SEARCH, act("zoom", evidence_id="E1", region=0), READ, ANSWER)
    options = PlannerOptions(tools=("search", "read_page"))
    answer = PlannerAgent(agent_parts(corpus, model), options).answer(QUESTION)
    assert not answer.abstained
    refused = detail_of(answer, "invalid action")
    assert len(refused) == 1
    assert "'zoom'" in refused[0]["told"]
    assert "That is not possible" in model.asked[2].last
    assert "tool zoom" not in names_of(answer)


@pytest.mark.parametrize(
    "bad",
    [
        "I would search for rain.",
        "{broken",
        act("search"),
        act("search", query="rain", url="http://192.0.2.1/"),
        act("read_page", evidence_id="E7"),
        act("read_page", evidence_id=7),
        act("calculate", expression="__import__('os').getcwd()"),
        act("search", query="x" * 5000),
        json.dumps({"action": "search"}),
        json.dumps({"action": {"query": "rain"}}),
    ],
)
def test_one_action_that_is_not_possible_is_told_and_two_in_a_row_end_the_loop(corpus: FakeCorpus, bad: str):
    once = PlannerAgent(agent_parts(corpus, scripted(SEARCH, bad, READ, ANSWER))).answer(QUESTION)
    assert not once.abstained
    assert not once.is_partial
    assert detail_of(once, "invalid action")[0]["n_invalid"] == 1
    worse = act("read_page", evidence_id="E8")
    model = scripted(SEARCH, READ, bad, worse, json.dumps(SO_FAR))
    twice = PlannerAgent(agent_parts(corpus, model, max_rounds=9)).answer(QUESTION)
    assert twice.text == "Alder had 120 millimetres."
    assert twice.is_partial
    assert twice.warnings == ("stopped early: 2 actions were asked for that are not possible",)


def test_too_many_impossible_actions_end_the_loop_even_with_others_between(corpus: FakeCorpus):
    bad = [act("read_page", evidence_id=f"E{n}") for n in (7, 8)]
    good = [act("calculate", expression=f"{n} + 1") for n in range(2)]
    model = scripted(SEARCH, bad[0], good[0], bad[1], json.dumps(NOT_SAID))
    options = PlannerOptions(max_invalid=1)
    answer = PlannerAgent(agent_parts(corpus, model, max_rounds=9), options).answer(QUESTION)
    assert answer.abstained
    assert "2 actions" in answer.warnings[0]


def test_an_object_that_is_an_action_alone_is_understood(corpus: FakeCorpus):
    model = scripted('{"tool": "search", "query": "rain"}', f"```json\n{READ}\n```", ANSWER)
    assert not PlannerAgent(agent_parts(corpus, model)).answer(QUESTION).abstained


@pytest.mark.parametrize("again", [SEARCH, act("search", query="Rain  of STATIONS", thought="once more")])
def test_an_identical_call_ends_the_loop(corpus: FakeCorpus, again: str):
    model = scripted(SEARCH, READ, again, json.dumps(SO_FAR))
    answer = PlannerAgent(agent_parts(corpus, model, max_rounds=9)).answer(QUESTION)
    assert answer.text == "Alder had 120 millimetres."
    assert answer.is_partial
    assert "repeated call" in names_of(answer)
    assert names_of(answer).count("tool search") == 1
    assert answer.warnings == ("stopped early: the same step was asked for twice",)


def test_a_model_that_repeats_itself_for_ever_ends_without_an_answer(corpus: FakeCorpus):
    model = scripted(SEARCH, SEARCH)
    answer = PlannerAgent(agent_parts(corpus, model, max_rounds=50, max_calls=None)).answer(QUESTION)
    assert answer.abstained
    assert answer.reason == Abstention.NOT_IN_DOCUMENTS
    assert len(model.asked) == 2


def test_empty_retrieval_is_told_and_other_words_help(corpus: FakeCorpus):
    model = scripted(act("search", query="volcano"), SEARCH, READ, ANSWER)
    answer = PlannerAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert not answer.abstained
    assert "Nothing was found" in model.asked[1].last


def test_a_question_that_the_documents_do_not_answer_is_abstained_from(corpus: FakeCorpus):
    model = scripted(act("search", query="volcano"), act("answer", **NOT_SAID))
    answer = PlannerAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert (answer.text, answer.abstained, answer.reason) == (
        NOT_ANSWERABLE,
        True,
        Abstention.NOT_IN_DOCUMENTS,
    )


def test_nothing_outside_the_scope_is_found(corpus: FakeCorpus):
    model = scripted(SEARCH, act("answer", **NOT_SAID))
    query = replace(QUESTION, scope=Scope(pages=((2, 2),)))
    answer = PlannerAgent(agent_parts(corpus, model)).answer(query)
    assert [e.hit.page_no for e in answer.evidence] == [2]


# ── budgets ──────────────────────────────────────────────────────────────────────────────────────────────


def test_rounds_that_are_used_up_give_an_answer_from_what_was_read(corpus: FakeCorpus):
    model = scripted(SEARCH, READ, json.dumps(SO_FAR))
    answer = PlannerAgent(agent_parts(corpus, model, max_rounds=2)).answer(QUESTION)
    assert answer.text == "Alder had 120 millimetres."
    assert answer.is_partial
    assert answer.warnings == ("stopped early: all 2 rounds are used (budget.max_rounds)",)
    assert "The search has ended" in model.asked[2].last


def test_one_call_is_kept_for_the_answer(corpus: FakeCorpus):
    model = scripted(SEARCH, READ, json.dumps(SO_FAR))
    answer = PlannerAgent(agent_parts(corpus, model, max_rounds=9, max_calls=3)).answer(QUESTION)
    assert answer.is_partial
    assert answer.text == "Alder had 120 millimetres."
    assert "(budget.max_calls)" in answer.warnings[0]


@pytest.mark.parametrize("n_rounds", [1, 2])
def test_rounds_used_up_before_anything_answers_are_an_abstention(corpus: FakeCorpus, n_rounds: int):
    model = scripted(SEARCH, READ, json.dumps(NOT_SAID))
    answer = PlannerAgent(agent_parts(corpus, model, max_rounds=n_rounds)).answer(QUESTION)
    assert (answer.abstained, answer.reason) == (True, Abstention.BUDGET_SPENT)
    assert len(model.asked) == (1 if n_rounds == 1 else 3)  # what was not read cannot be answered from


@pytest.mark.parametrize(
    "budget",
    [{"max_images": 2}, {"max_output_tokens": 250}, {"max_input_tokens": 3_000}],
    ids=lambda budget: next(iter(budget)),
)
def test_a_spent_budget_gives_the_best_answer_so_far(corpus: FakeCorpus, budget: dict[str, int]):
    long = "so " * 300
    model = scripted(
        SEARCH,
        READ,
        act("zoom", evidence_id="E1", region=1, so_far=SO_FAR, thought=long),
        act("zoom", evidence_id="E1", region=0, thought=long),
        rules=[Rule("The search has ended|You answer a question from pages", json.dumps(SO_FAR))],
    )
    parts = agent_parts(corpus, model, pictures=FakePictures(), max_rounds=9, **budget)
    answer = PlannerAgent(parts).answer(QUESTION)
    assert answer.text == "Alder had 120 millimetres."
    assert answer.is_partial
    assert answer.citations[0].support == "full"
    assert any(f"(budget.{next(iter(budget))})" in warning for warning in answer.warnings)


def test_pictures_that_no_longer_fit_give_way_to_text_for_the_last_answer(corpus: FakeCorpus):
    model = scripted(SEARCH, READ, act("zoom", evidence_id="E1", region=1), json.dumps(SO_FAR))
    parts = agent_parts(corpus, model, pictures=FakePictures(), max_rounds=9, max_images=2)
    answer = PlannerAgent(parts).answer(QUESTION)
    assert model.asked[-1].n_images == 0
    assert "Birch 95" in model.asked[-1].text
    assert answer.is_partial
    assert not answer.abstained


def test_a_last_reply_that_is_one_more_action_is_no_answer(corpus: FakeCorpus):
    model = scripted(SEARCH, READ, SEARCH, json.dumps(SO_FAR))
    answer = PlannerAgent(agent_parts(corpus, model, max_rounds=2)).answer(QUESTION)
    assert answer.text == "Alder had 120 millimetres."
    assert "cannot be used" in model.asked[3].last


def test_a_budget_spent_before_the_first_call_is_an_abstention(corpus: FakeCorpus):
    answer = PlannerAgent(agent_parts(corpus, scripted(), max_input_tokens=5)).answer(QUESTION)
    assert (answer.abstained, answer.reason) == (True, Abstention.BUDGET_SPENT)


def test_time_that_runs_out_gives_the_best_answer_so_far(corpus: FakeCorpus):
    import time

    def slow(_asked: Asked) -> str:
        time.sleep(0.3)
        return act("read_table", evidence_id="E1", so_far=SO_FAR)

    model = scripted(SEARCH, slow, SEARCH)
    answer = PlannerAgent(agent_parts(corpus, model, max_rounds=9, max_seconds=0.25)).answer(QUESTION)
    assert answer.abstained or answer.is_partial
    assert any("(budget.max_seconds)" in warning for warning in answer.warnings)


def test_a_conversation_that_overflows_the_context_is_closed_with_the_text_alone(corpus: FakeCorpus):
    from docrag.errors import ContextOverflow

    model = scripted(
        SEARCH, READ, ContextOverflow("too long"), ContextOverflow("too long"), json.dumps(SO_FAR)
    )
    answer = PlannerAgent(agent_parts(corpus, model, limits=Limits(8_000, 0))).answer(QUESTION)
    assert answer.is_partial
    assert answer.text == "Alder had 120 millimetres."


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_that_fails_mid_loop_leaves_the_best_answer_so_far(corpus: FakeCorpus):
    model = scripted(
        SEARCH, READ, act("read_table", evidence_id="E1", so_far=SO_FAR), ModelUnavailable("down")
    )
    answer = PlannerAgent(agent_parts(corpus, model, max_rounds=9)).answer(QUESTION)
    assert answer.is_partial
    assert answer.text == "Alder had 120 millimetres."
    assert any("down" in warning for warning in answer.warnings)


@pytest.mark.parametrize("n_before", [0, 1, 2])
def test_a_model_that_fails_before_anything_is_known_is_its_error(corpus: FakeCorpus, n_before: int):
    model = scripted(*[SEARCH, READ][:n_before], ModelUnavailable("down"))
    with pytest.raises(ModelUnavailable, match="down"):
        PlannerAgent(agent_parts(corpus, model, max_rounds=9)).answer(QUESTION)


def test_an_answer_so_far_that_nothing_supports_is_not_given(corpus: FakeCorpus):
    unsupported = said(("The moon is cheese.", "E1", "made of cheese"))
    model = scripted(SEARCH, act("read_page", evidence_id="E1", so_far=unsupported), ModelUnavailable("down"))
    with pytest.raises(ModelUnavailable):
        PlannerAgent(agent_parts(corpus, model, max_rounds=9)).answer(QUESTION)


def test_an_unsupported_answer_so_far_does_not_stand_in_for_none(corpus: FakeCorpus):
    unsupported = said(("The moon is cheese.", "E9", "made of cheese"))
    model = scripted(SEARCH, act("read_page", evidence_id="E1", so_far=unsupported), json.dumps(NOT_SAID))
    answer = PlannerAgent(agent_parts(corpus, model, max_rounds=2)).answer(QUESTION)
    assert (answer.abstained, answer.reason) == (True, Abstention.BUDGET_SPENT)
    assert not any("E9" in warning for warning in answer.warnings)


@pytest.mark.parametrize("at", ["searching", "looked at"])
def test_cancelling_ends_the_loop_at_once(corpus: FakeCorpus, at: str):
    model = scripted(SEARCH, act("read_page", evidence_id="E1", so_far=SO_FAR), ANSWER)
    with pytest.raises(Cancelled):
        PlannerAgent(agent_parts(corpus, model)).answer(QUESTION, listener=Hears(cancel_at=at))
    assert len(model.asked) == (1 if at == "searching" else 2)


def test_forged_citations_are_removed_from_the_answer(corpus: FakeCorpus):
    forged = act("answer", **said(("Alder had 120 millimetres.", "E9", "Alder 120")))
    answer = PlannerAgent(agent_parts(corpus, scripted(SEARCH, READ, forged))).answer(QUESTION)
    assert answer.citations == ()
    assert any("E9" in warning for warning in answer.warnings)


def test_a_text_only_model_gets_no_pictures(corpus: FakeCorpus):
    model = scripted(SEARCH, READ, ANSWER)
    parts = agent_parts(corpus, model, pictures=FakePictures(), limits=Limits(32_000, 0))
    answer = PlannerAgent(parts).answer(QUESTION)
    assert sum(asked.n_images for asked in model.asked) == 0
    assert any("takes no pictures" in warning for warning in answer.warnings)
    assert not answer.abstained
