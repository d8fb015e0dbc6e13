"""The seeker and the inspector through their whole graph, with a model that follows a script."""

from __future__ import annotations

import json

import pytest
from tests.agents.fakes import (
    NOT_SAID,
    Hears,
    agent_parts,
    detail_of,
    said,
    scripted,
)
from tests.answer.conftest import FakeCorpus, make_page

from docrag.agents.options import SeekerInspectorOptions
from docrag.agents.seeker_inspector import SeekerInspectorAgent, SeekerReply
from docrag.answer.options import ContextOptions
from docrag.answer.reply import CUT_OFF
from docrag.chat.events import TokenEvent
from docrag.chat.json_reply import parse_reply
from docrag.errors import Cancelled, ModelFormatError, ModelUnavailable
from docrag.types import NOT_ANSWERABLE, Abstention, Answer, Query, Scope

QUESTION = Query("How much rain fell at the stations Alder and Birch?")
ALDER = ("Alder had 120 millimetres.", "E1", "Alder station rain 120")
BIRCH = ("Birch had 95 millimetres.", "E2", "Birch station rain 95")


def seek(*choice: object, summary: str = "rain by station") -> str:
    return json.dumps({"reason": "…", "summary": summary, "choice": list(choice)})


def enough(*sentences: tuple[str, str, str]) -> str:
    return json.dumps({"sufficient": True, "sentences": said(*sentences)["sentences"]})


def missing(what: str, *keep: object, sentences: tuple[tuple[str, str, str], ...] = ()) -> str:
    found = said(*sentences)["sentences"]
    return json.dumps({"sufficient": False, "information": what, "keep": list(keep), "sentences": found})


@pytest.fixture
def corpus() -> FakeCorpus:
    pages = [
        make_page(["Alder station rain 120", "rain fell"], page_no=1),
        make_page(["Birch station rain 95"], page_no=2),
        make_page(["Cedar had much snow 143"], page_no=3),
        make_page(["Nothing of the kind"], page_no=4),
    ]
    return FakeCorpus({"rain.pdf": pages})


def calls_of(answer: Answer) -> list[str]:
    return [
        str(detail["prompt"])
        for step in ("call inspect", "call answer")
        for detail in detail_of(answer, step)
    ]


def test_a_draft_from_all_inspected_pages_stands(corpus: FakeCorpus):
    model = scripted(seek("E1", "E2"), enough(ALDER, BIRCH))
    listener = Hears()
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION, listener=listener)
    assert answer.text == "Alder had 120 millimetres. Birch had 95 millimetres."
    assert [(c.page_no, c.support) for c in answer.citations] == [(1, "full"), (2, "full")]
    assert [s.citations for s in answer.sentences] == [(1,), (2,)]
    assert (answer.is_partial, answer.warnings) == (False, ())
    assert listener.steps == [
        "searching for: How much rain fell at the stations Alder and Birch?",
        "looking through 4 pages",
        "looked at rain.pdf, page 1, rain.pdf, page 2",
    ]
    assert TokenEvent(answer.text) in listener.events
    assert calls_of(answer) == ["seeker", "inspector"]
    assert detail_of(answer, "inspect")[0]["next"] == "accept"
    assert model.asked[0].n_images == 4
    assert model.asked[1].n_images == 2


def test_the_summary_of_the_seeker_reaches_the_inspector_as_data(corpus: FakeCorpus):
    model = scripted(seek("E1", summary="rain is in the first line"), enough(ALDER))
    SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert (
        "<<<MARK notes\nThe reader before you noted: rain is in the first line\nMARK>>>"
        in model.asked[1].last
    )


def test_a_draft_from_some_of_the_pages_is_checked_on_those(corpus: FakeCorpus):
    model = scripted(seek("E1", "E2"), enough(ALDER), json.dumps(said(ALDER)))
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert answer.text == "Alder had 120 millimetres."
    assert calls_of(answer) == ["seeker", "inspector", "inspected_answer"]
    last = model.asked[2]
    assert "a draft: Alder had 120 millimetres." in last.last
    assert "Birch" not in last.text.replace(QUESTION.text, "")
    assert detail_of(answer, "answer")[0]["pages"] == ["E1"]


def test_feedback_opens_another_round_with_what_is_missing(corpus: FakeCorpus):
    model = scripted(
        seek("E1"), missing("rain at Birch", "E1"), seek("E2", summary="Birch"), enough(ALDER, BIRCH)
    )
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert len(answer.citations) == 2
    assert not answer.is_partial
    assert "missing so far: rain at Birch" in model.asked[2].last
    assert "Alder" not in model.asked[2].text.replace(QUESTION.text, "")  # chosen pages left the buffer
    assert detail_of(answer, "inspect")[1]["inspected"] == ["E1", "E2"]


def test_a_seeker_that_finds_no_more_ends_in_an_answer_from_the_kept_pages(corpus: FakeCorpus):
    model = scripted(seek("E1"), missing("more", "E1"), seek(), json.dumps(said(ALDER)))
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert answer.text == "Alder had 120 millimetres."
    assert "draft" not in model.asked[3].last
    assert not answer.is_partial


def test_feedback_on_an_empty_buffer_ends_in_an_answer_from_the_kept_pages(corpus: FakeCorpus):
    model = scripted(seek("E1", "E2", "E3", "E4"), missing("more", "E1"), json.dumps(said(ALDER)))
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert not answer.abstained
    assert calls_of(answer) == ["seeker", "inspector", "inspected_answer"]


def test_empty_retrieval_is_an_abstention_without_a_call(corpus: FakeCorpus):
    model = scripted()
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(Query("volcano"))
    assert (answer.text, answer.reason) == (NOT_ANSWERABLE, Abstention.NOT_IN_DOCUMENTS)
    assert model.asked == []


def test_a_seeker_that_chooses_nothing_at_all_is_an_abstention(corpus: FakeCorpus):
    answer = SeekerInspectorAgent(agent_parts(corpus, scripted(seek()))).answer(QUESTION)
    assert (answer.abstained, answer.reason) == (True, Abstention.NOT_IN_DOCUMENTS)


def test_an_inspector_that_keeps_nothing_of_everything_is_an_abstention(corpus: FakeCorpus):
    model = scripted(seek("E1", "E2", "E3", "E4"), missing("all of it"))
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert (answer.abstained, answer.reason) == (True, Abstention.NOT_IN_DOCUMENTS)


def test_an_answer_agent_that_finds_the_draft_unfounded_abstains(corpus: FakeCorpus):
    model = scripted(seek("E1", "E2"), enough(ALDER), json.dumps(NOT_SAID))
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert (answer.abstained, answer.reason) == (True, Abstention.NOT_IN_DOCUMENTS)


def test_ids_that_were_not_offered_are_ignored_and_numbers_understood(corpus: FakeCorpus):
    model = scripted(seek(1, "E9", "E2", "page 3"), enough(ALDER, BIRCH))
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert detail_of(answer, "seek")[0]["choice"] == ["E1", "E2"]
    assert detail_of(answer, "seek")[0]["unknown"] == ["E9", "page 3"]
    assert not answer.abstained


def test_more_pages_than_can_be_inspected_wait(corpus: FakeCorpus):
    model = scripted(seek("E1", "E2", "E3"), missing("more", "E1"), seek("E2"), enough(ALDER, BIRCH))
    options = SeekerInspectorOptions(max_inspected=2)
    answer = SeekerInspectorAgent(agent_parts(corpus, model), options).answer(QUESTION)
    assert detail_of(answer, "seek")[0]["choice"] == ["E1", "E2"]
    assert any("the others wait" in warning for warning in answer.warnings)


def test_a_draft_that_nothing_supports_does_not_stand(corpus: FakeCorpus):
    wrong = ("Alder had 999 millimetres.", "E1", "Alder 999 metres of snow")
    model = scripted(seek("E1"), enough(wrong), json.dumps(NOT_SAID))
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert answer.abstained
    assert calls_of(answer)[-1] == "inspected_answer"


# ── replies out of format ────────────────────────────────────────────────────────────────────────────────


def test_a_seeker_out_of_format_is_asked_again_and_then_read_as_choosing_all(corpus: FakeCorpus):
    model = scripted("the first page!", seek("E1"), enough(ALDER))
    assert not SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION).warnings
    model = scripted("first", "first!", enough(ALDER), json.dumps(said(ALDER)))
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert detail_of(answer, "seek")[0]["choice"] == ["E1", "E2", "E3", "E4"]
    assert any("seeker did not keep" in warning for warning in answer.warnings)
    assert not answer.abstained


def test_an_inspector_out_of_format_keeps_its_pages(corpus: FakeCorpus):
    model = scripted(seek("E1", "E2", "E3", "E4"), "hm", "hm", json.dumps(said(ALDER)))
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert answer.text == "Alder had 120 millimetres."
    assert any("inspector did not keep" in warning for warning in answer.warnings)


# ── budgets ──────────────────────────────────────────────────────────────────────────────────────────────


def test_rounds_that_are_used_up_give_an_answer_from_the_kept_pages(corpus: FakeCorpus):
    model = scripted(seek("E1"), missing("more", "E1"), json.dumps(said(ALDER)))
    answer = SeekerInspectorAgent(agent_parts(corpus, model, max_rounds=1)).answer(QUESTION)
    assert answer.text == "Alder had 120 millimetres."
    assert answer.is_partial
    assert answer.warnings == ("stopped early: all 1 rounds are used (budget.max_rounds)",)


def test_one_call_is_kept_for_the_answer(corpus: FakeCorpus):
    model = scripted(seek("E1"), missing("more", "E1"), json.dumps(said(ALDER)))
    answer = SeekerInspectorAgent(agent_parts(corpus, model, max_calls=3)).answer(QUESTION)
    assert answer.is_partial
    assert answer.text == "Alder had 120 millimetres."
    single = SeekerInspectorAgent(agent_parts(corpus, scripted(json.dumps(said(ALDER))), max_calls=1))
    assert single.answer(QUESTION).is_partial


def test_rounds_used_up_with_an_answer_in_part_give_it(corpus: FakeCorpus):
    model = scripted(seek("E1"), missing("more", "E1", sentences=(ALDER,)), json.dumps(NOT_SAID))
    answer = SeekerInspectorAgent(agent_parts(corpus, model, max_rounds=1)).answer(QUESTION)
    assert answer.text == "Alder had 120 millimetres."
    assert answer.is_partial


def test_what_is_forged_in_an_answer_in_part_is_removed_and_said(corpus: FakeCorpus):
    forged = ("Birch had 95 millimetres.", "E42", "Birch station rain 95")
    partly = missing("more", "E1", sentences=(ALDER, forged))
    model = scripted(seek("E1"), partly, json.dumps(NOT_SAID))
    answer = SeekerInspectorAgent(agent_parts(corpus, model, max_rounds=1)).answer(QUESTION)
    assert answer.is_partial
    assert [c.evidence_id for c in answer.citations] == ["E1"]
    assert any("E42" in warning for warning in answer.warnings)


@pytest.mark.parametrize(
    "budget",
    [{"max_calls": 2}, {"max_images": 5}, {"max_output_tokens": 90}, {"max_input_tokens": 1_800}],
    ids=lambda budget: next(iter(budget)),
)
def test_a_spent_budget_gives_the_best_supported_answer(corpus: FakeCorpus, budget: dict[str, int]):
    model = scripted(
        seek("E1", summary="rain " * 20),
        missing("rain at Birch", "E1", sentences=(ALDER,)),
        seek("E2"),
        enough(ALDER, BIRCH),
    )
    parts = agent_parts(corpus, model, **budget)
    answer = SeekerInspectorAgent(parts, SeekerInspectorOptions(n_pages=2)).answer(QUESTION)
    assert answer.text == "Alder had 120 millimetres."
    assert answer.is_partial
    assert any(f"(budget.{next(iter(budget))})" in warning for warning in answer.warnings)


@pytest.mark.parametrize("budget", [{"max_images": 1}, {"max_input_tokens": 10}])
def test_a_budget_spent_before_anything_is_known_is_an_abstention(corpus: FakeCorpus, budget: dict[str, int]):
    answer = SeekerInspectorAgent(agent_parts(corpus, scripted(), **budget)).answer(QUESTION)
    assert (answer.abstained, answer.reason) == (True, Abstention.BUDGET_SPENT)


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_that_fails_leaves_the_best_answer_or_its_error(corpus: FakeCorpus):
    model = scripted(seek("E1"), missing("more", "E1", sentences=(ALDER,)), ModelUnavailable("down"))
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION)
    assert answer.is_partial
    assert "stopped early: down" in answer.warnings
    with pytest.raises(ModelUnavailable):
        SeekerInspectorAgent(agent_parts(corpus, scripted(ModelUnavailable("down")))).answer(QUESTION)


@pytest.mark.parametrize(("at", "n_calls"), [("searching", 0), ("looking", 0), ("looked", 1), ("writing", 2)])
def test_cancelling_makes_no_further_call(corpus: FakeCorpus, at: str, n_calls: int):
    model = scripted(seek("E1", "E2"), enough(ALDER), json.dumps(said(ALDER)))
    with pytest.raises(Cancelled):
        SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION, listener=Hears(cancel_at=at))
    assert len(model.asked) == n_calls


def test_the_scope_is_kept(corpus: FakeCorpus):
    model = scripted(seek("E1"), enough(("Birch had 95.", "E1", "Birch station rain 95")))
    answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(
        Query(QUESTION.text, scope=Scope(pages=((2, 2),)))
    )
    assert {c.page_no for c in answer.citations} == {2}
    assert "Alder station" not in model.asked[0].text


def test_the_loop_ends_whatever_the_model_says(corpus: FakeCorpus):
    model = scripted(*[seek("E1"), missing("more", "E1")] * 30)
    parts = agent_parts(corpus, model, max_rounds=100, max_calls=None)
    answer = SeekerInspectorAgent(parts).answer(QUESTION)
    # E1 leaves the buffer with the first choice; the second finds nothing, so what is kept is answered from.
    assert calls_of(answer) == ["seeker", "inspector", "seeker", "inspected_answer"]
    assert (answer.abstained, answer.reason) == (True, Abstention.NOT_IN_DOCUMENTS)


def test_an_answer_whose_last_reply_broke_off_is_partial(corpus: FakeCorpus):
    whole = json.dumps(said(ALDER, ("Birch had 95.", "E2", "Birch station rain 95")))
    for reply, is_partial in ((whole, False), (whole[: whole.index("Birch") + 8], True)):
        model = scripted(seek("E1", "E2"), enough(ALDER), reply)
        answer = SeekerInspectorAgent(agent_parts(corpus, model)).answer(QUESTION)
        assert calls_of(answer) == ["seeker", "inspector", "inspected_answer"]
        assert answer.text.startswith("Alder")
        assert (answer.is_partial, CUT_OFF in answer.warnings) == (is_partial, is_partial)


def test_pages_can_be_packed_into_one_picture(corpus: FakeCorpus):
    from tests.agents.fakes import JpegPictures

    model = scripted(seek("E1", "E2"), enough(ALDER, BIRCH))
    options = SeekerInspectorOptions(context=ContextOptions(packing="collage", min_line_px=1))
    parts = agent_parts(corpus, model, pictures=JpegPictures())
    answer = SeekerInspectorAgent(parts, options).answer(QUESTION)
    assert [asked.n_images for asked in model.asked] == [1, 1]
    assert [d["packing"] for d in detail_of(answer, "make context")] == ["collage", "collage"]


def test_an_object_without_a_choice_is_no_reply_of_the_seeker():
    with pytest.raises(ModelFormatError, match="choice"):
        parse_reply('{"tool": "format_disk"}', SeekerReply)
    assert parse_reply('{"choice": []}', SeekerReply).choice == []
