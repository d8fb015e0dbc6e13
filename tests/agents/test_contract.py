"""What every agent keeps to, whatever its loop is."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.agents.fakes import NOT_SAID, Hears, agent_parts, said, scripted
from tests.answer.conftest import FakeCorpus, make_page

from docrag.agents.decompose_decide import DecomposeDecideAgent
from docrag.agents.gated import GatedAgent
from docrag.agents.planner import PlannerAgent
from docrag.agents.seeker_inspector import SeekerInspectorAgent
from docrag.answer.parts import AnswerParts
from docrag.chat.events import AnswerEvent, TokenEvent
from docrag.errors import Cancelled, ModelError, ModelUnavailable
from docrag.models.scripted import Asked, ScriptedReply
from docrag.protocols import Answerer
from docrag.types import NOT_ANSWERABLE, Abstention, Answer, Query

QUESTION = Query("How much rain fell at Alder?")
SENTENCE = ("Alder had 120 millimetres.", "E1", "rain fell at Alder 120")
KINDS: Mapping[str, Callable[[AnswerParts], Answerer]] = {
    "planner": PlannerAgent,
    "seeker-inspector": SeekerInspectorAgent,
    "decompose-decide": DecomposeDecideAgent,
    "gated": GatedAgent,
}
BUDGETS = {
    "max_rounds": 1,
    "max_calls": 1,
    "max_input_tokens": 10,
    "max_output_tokens": 1,
    "max_images": 0,
    "max_seconds": 1e-6,
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def corpus() -> FakeCorpus:
    pages = [
        make_page(["rain fell at Alder 120"], page_no=1),
        make_page(["rain fell at Birch 95"], page_no=2, label="ii"),
        None,
    ]
    return FakeCorpus({"rain.pdf": pages})


def cooperative(asked: Asked) -> str:
    """Do what each agent asks for, and find the answer."""
    form = asked.call.schema_name if asked.call.schema is not None else ""
    if form == "Turn":
        n_turns = sum(message.type == "ai" for message in asked.messages)
        action = [
            {"tool": "search", "query": "rain Alder"},
            {"tool": "read_page", "evidence_id": "E1"},
            {"tool": "answer", **said(SENTENCE)},
        ][min(n_turns, 2)]
        return json.dumps({"action": action})
    if form == "SeekerReply":
        return json.dumps({"choice": ["E1"], "summary": "Alder"})
    if form == "InspectorReply":
        return json.dumps({"sufficient": True, "sentences": said(SENTENCE)["sentences"]})
    if form == "SplitReply":
        return json.dumps({"several": False})
    if form == "CoherentReply":
        return json.dumps({"keep": ["E1"]})
    return json.dumps(said(SENTENCE)) if form else "yes"


def hopeless(asked: Asked) -> str:
    """Do what each agent asks for, and find nothing."""
    form = asked.call.schema_name if asked.call.schema is not None else ""
    if form == "Turn":
        return json.dumps({"action": {"tool": "answer", **NOT_SAID}})
    if form == "InspectorReply":
        return json.dumps({"sufficient": False, "information": "all", "keep": []})
    return (
        cooperative(asked)
        if form in ("SeekerReply", "SplitReply")
        else json.dumps(NOT_SAID)
        if form
        else "no"
    )


def answer_of(kind: str, corpus: FakeCorpus, reply: Callable[[Asked], str], **budget: float) -> Answer:
    model = scripted(reply)
    model.repeat_last = True
    return KINDS[kind](agent_parts(corpus, model, **budget)).answer(QUESTION)


def test_an_answer_has_what_is_promised(kind: str, corpus: FakeCorpus):
    listener = Hears()
    model = scripted(cooperative)
    model.repeat_last = True
    answer = KINDS[kind](agent_parts(corpus, model)).answer(QUESTION, listener=listener)
    assert (answer.question, answer.text) == (QUESTION.text, SENTENCE[0])
    assert (answer.abstained, answer.reason, answer.is_partial) == (False, None, False)
    [citation] = answer.citations
    assert (citation.n, citation.doc, citation.page_no, citation.support) == (1, "rain.pdf", 1, "full")
    assert citation.boxes
    assert answer.sentences[0].citations == (1,)
    assert citation.evidence_id in {e.evidence_id for e in answer.evidence}
    assert len({e.evidence_id for e in answer.evidence}) == len(answer.evidence)
    assert answer.usage.n_model_calls == len(model.asked) > 0
    assert answer.usage.n_input_tokens > 0
    assert answer.usage.n_images == sum(asked.n_images for asked in model.asked)
    assert any("1 page could not be read" in warning for warning in answer.warnings)
    assert "".join(e.text for e in listener.events if isinstance(e, TokenEvent)) == SENTENCE[0]
    assert not any(isinstance(e, AnswerEvent) for e in listener.events)  # its caller's to send


def test_every_call_is_traced_with_its_prompt_and_reply(kind: str, corpus: FakeCorpus):
    answer = answer_of(kind, corpus, cooperative)
    calls = [step.detail for step in answer.trace if step.name.startswith("call ")]
    assert len(calls) == answer.usage.n_model_calls
    for call in calls:
        assert len(call["prompt_digest"]) == 16
        assert {"model", "prompt", "reply", "finish", "n_input_tokens"} <= call.keys()
    json.dumps([dict(step.detail) for step in answer.trace])  # what cannot be written cannot be kept


def test_what_is_not_in_the_documents_is_abstained_from(kind: str, corpus: FakeCorpus):
    answer = answer_of(kind, corpus, hopeless)
    assert (answer.text, answer.abstained, answer.citations) == (NOT_ANSWERABLE, True, ())
    assert answer.reason == Abstention.NOT_IN_DOCUMENTS


def test_an_empty_index_is_an_abstention(kind: str):
    answer = answer_of(kind, FakeCorpus({}), hopeless)
    assert (answer.abstained, answer.reason) == (True, Abstention.INDEX_INCOMPLETE)


def test_unreadable_pages_are_told_apart(kind: str):
    answer = answer_of(kind, FakeCorpus({"scan.pdf": [None, None]}), hopeless)
    assert (answer.abstained, answer.reason) == (True, Abstention.UNREADABLE_PAGES)


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_budget_that_allows_next_to_nothing_ends_honestly(kind: str, corpus: FakeCorpus, budget: str):
    answer = answer_of(kind, corpus, cooperative, **{budget: BUDGETS[budget]})
    if answer.abstained:
        assert (answer.text, answer.reason) == (NOT_ANSWERABLE, Abstention.BUDGET_SPENT)
    else:
        assert answer.text == SENTENCE[0]
        assert any(citation.support == "full" for citation in answer.citations)
    said_so = any(f"(budget.{budget})" in warning for warning in answer.warnings)
    is_whole = not answer.abstained and not answer.is_partial
    assert said_so or (is_whole and budget == "max_rounds")  # one round can be enough
    limit = BUDGETS["max_calls"]
    assert budget != "max_calls" or answer.usage.n_model_calls <= limit


def test_a_run_that_is_called_off_before_it_begins_makes_no_call(kind: str, corpus: FakeCorpus):
    class CalledOff(Hears):
        def cancelled(self) -> bool:
            return True

    model = scripted(cooperative)
    with pytest.raises(Cancelled):
        KINDS[kind](agent_parts(corpus, model)).answer(QUESTION, listener=CalledOff())
    assert model.asked == []


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (ModelUnavailable("no answer"), ModelUnavailable),
        (ScriptedReply("I cannot help with that.", finish="refusal"), ModelError),
    ],
)
def test_a_model_that_fails_or_refuses_at_once_is_its_error(
    kind: str, corpus: FakeCorpus, reply: ModelUnavailable | ScriptedReply, error: type[Exception]
):
    model = scripted(reply)
    model.repeat_last = True
    with pytest.raises(error):
        KINDS[kind](agent_parts(corpus, model)).answer(QUESTION)


@pytest.mark.parametrize(
    "noise",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"answerable": "perhaps"}',
        "<html>502</html>",
        "\u202e}{",
        '{"action": {"tool": []}}',
        '{"choice": {"E1": 1}, "sufficient": "maybe", "keep": 7}',
        "E1 E1 E1",
        "9" * 300_000,
    ],
    ids=lambda noise: noise[:24],
)
def test_a_model_that_ignores_every_format_harms_nothing(kind: str, corpus: FakeCorpus, noise: str):
    model = scripted(noise)
    model.repeat_last = True
    try:
        answer = KINDS[kind](agent_parts(corpus, model)).answer(QUESTION)
    except ModelError:
        return
    assert all(c.support != "full" for c in answer.citations)
    assert len(model.asked) <= 16


def test_questions_at_the_same_time_do_not_mix(kind: str, corpus: FakeCorpus):
    model = scripted(cooperative)
    model.repeat_last = True
    agent = KINDS[kind](agent_parts(corpus, model))
    barrier = threading.Barrier(4, timeout=20)

    def one(n: int) -> Answer:
        barrier.wait()
        return agent.answer(Query(f"How much rain fell at Alder in {2000 + n}?"))

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(one, range(4)))
    assert [a.question for a in answers] == [f"How much rain fell at Alder in {2000 + n}?" for n in range(4)]
    assert len({a.trace.trace_id for a in answers}) == 4
    assert len({a.usage.n_model_calls for a in answers}) == 1
    assert {a.text for a in answers} == {SENTENCE[0]}
