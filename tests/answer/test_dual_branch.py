import json

import pytest
from tests.answer.conftest import FakeCorpus, make_page
from tests.answer.model_support import (
    MARKER,
    FakeChat,
    FakePictures,
    Heard,
    cited_json,
    detail_of,
    parts_of,
    step_names,
)

from docrag.answer.dual_branch import DualBranchAnswerer
from docrag.answer.options import AnswerPromptOptions, CitingOptions, DualBranchOptions
from docrag.chat.budget import BudgetOptions
from docrag.chat.prompts import Prompts
from docrag.errors import ModelError, ModelFormatError, ModelUnavailable
from docrag.types import Abstention, Query

CORPUS = FakeCorpus(
    {
        "a.pdf": [
            make_page(["Revenue was 46,298 in 2023."]),
            make_page(["Revenue in 2022 was 40,000."], page_no=2),
        ]
    }
)
QUESTION = Query("What was the revenue?")
OPTIONS = DualBranchOptions()


def branch(short: str, *sentences: tuple, answerable: bool = True) -> str:
    note = {"id": "E1", "element": "paragraph", "content": "Revenue was 46,298", "relevance": "states it"}
    return cited_json(
        *sentences, answerable=answerable, evidence=[note], reasoning=f"So {short}.", short_answer=short
    )


TEXT = branch("46,298", ("Revenue was 46,298.", ("E1", "Revenue was 46,298")))
SAME = branch("46298", ("The revenue in the picture is 46298.", ("E1", "46,298 in 2023")))
OTHER = branch("40,000", ("Revenue was 40,000.", ("E2", "Revenue in 2022 was 40,000")))
DECLINED = branch("", answerable=False)
FUSED = cited_json(("It was 46,298.", ("E1", "Revenue was 46,298")), analysis="a", conclusion="b")


def answerer(chat, options=OPTIONS, **more):
    return DualBranchAnswerer(parts_of(CORPUS, chat, **more), options)


def test_branches_that_disagree_are_reconciled():
    chat, heard = FakeChat([TEXT, OTHER, FUSED]), Heard()
    answer = answerer(chat).answer(QUESTION, listener=heard)
    assert (answer.text, answer.is_partial, answer.warnings) == ("It was 46,298.", False, ())
    assert [(c.evidence_id, c.support) for c in answer.citations] == [("E1", "full")]
    assert heard.steps == ["search", "branch text", "branch image", "fuse"]
    assert heard.text == answer.text
    assert step_names(answer.trace) == [
        "search",
        *["make context", "call answer", "verify citations", "branch text"],
        *["make context", "call answer", "verify citations", "branch image"],
        *["compare", "call answer", "fuse", "verify citations"],
    ]
    assert detail_of(answer.trace, "compare") == {"agree": False, "answers": ["46,298", "40,000"]}
    assert answer.usage.n_model_calls == 3


def test_every_branch_sees_its_modality_alone_and_the_fusion_neither():
    chat = FakeChat([TEXT, OTHER, FUSED])
    answerer(chat).answer(QUESTION)
    text, image, fusion = (messages[-1] for messages, _ in chat.asked)
    assert text.images == ()
    assert f"<<<{MARKER} E1" in text.text
    assert [i.label for i in image.images] == ["E1", "E2"]
    assert "Revenue was" not in image.text
    assert fusion.images == ()
    assert (
        f"<<<{MARKER} reader of the text\nEvidence:\n- E1, paragraph: Revenue was 46,298 (states it)"
        in fusion.text
    )
    assert "Reasoning:\nSo 40,000." in fusion.text
    assert '- Revenue was 40,000. [E2 "Revenue in 2022 was 40,000"]' in fusion.text


def test_the_order_of_every_reply_is_evidence_reasoning_answer():
    chat = FakeChat([TEXT, OTHER, FUSED])
    answerer(chat).answer(QUESTION)
    orders = [list(request.schema["properties"]) for _, request in chat.asked]
    assert orders[0] == orders[1] == ["evidence", "reasoning", "answerable", "short_answer", "sentences"]
    assert orders[2] == ["analysis", "conclusion", "answerable", "sentences"]


@pytest.mark.parametrize(
    ("prior", "text"), [("visual", "The revenue in the picture is 46298."), ("text", "Revenue was 46,298.")]
)
def test_branches_that_agree_need_no_third_call_and_the_prior_chooses_the_wording(prior, text):
    chat, heard = FakeChat([TEXT, SAME]), Heard()
    answer = answerer(chat, DualBranchOptions(prior=prior)).answer(QUESTION, listener=heard)
    assert (answer.text, answer.usage.n_model_calls, heard.text) == (text, 2, text)
    assert detail_of(answer.trace, "compare")["agree"]


def test_without_a_prior_the_better_supported_branch_is_given():
    better = branch("46,298", ("Revenue was 46,298.", ("E1", "Revenue was 46,298"), ("E1", "in 2023")))
    unsupported = branch("46,298", ("So it is.", ("E1", "made up words")))
    none = DualBranchOptions(prior="none")
    assert answerer(FakeChat([better, SAME]), none).answer(QUESTION).text == "Revenue was 46,298."
    # A prior does not help a branch that nothing supports.
    assert answerer(FakeChat([TEXT, unsupported])).answer(QUESTION).text == "Revenue was 46,298."


def test_agreeing_branches_are_fused_where_that_is_wished():
    chat = FakeChat([TEXT, SAME, FUSED])
    assert answerer(chat, DualBranchOptions(skip_if_agree=False)).answer(QUESTION).text == "It was 46,298."


@pytest.mark.parametrize("prior", ["visual", "text", "none"])
def test_the_prior_is_a_prompt_of_its_own(prior):
    chat = FakeChat([TEXT, OTHER, FUSED])
    answer = answerer(chat, DualBranchOptions(prior=prior)).answer(QUESTION)
    assert Prompts().get(f"answer_prior_{prior}").render().user in chat.asked[2][0][0].text
    assert f"answer_prior_{prior}" in detail_of(answer.trace, "fuse")["fragments"]


# ── declining and failing ────────────────────────────────────────────────────────────────────────────


def test_a_declined_branch_is_told_as_such_to_the_fusion():
    chat = FakeChat([DECLINED, OTHER, FUSED])
    answer = answerer(chat).answer(QUESTION)
    assert answer.text == "It was 46,298."
    assert "declined: the evidence is not sufficient" in chat.asked[2][0][-1].text
    assert "A reader who declined\n   counts less" in chat.asked[2][0][0].text


def test_the_fusion_can_decline():
    answer = answerer(FakeChat([TEXT, OTHER, cited_json(answerable=False)])).answer(QUESTION)
    assert (answer.abstained, answer.reason) == (True, Abstention.NOT_IN_DOCUMENTS)


def test_two_declined_branches_are_an_abstention_without_a_third_call():
    chat = FakeChat([DECLINED, DECLINED])
    answer = answerer(chat).answer(QUESTION)
    assert (answer.abstained, answer.reason, len(chat.asked)) == (True, Abstention.NOT_IN_DOCUMENTS, 2)


def test_nothing_found_is_an_abstention_without_a_call():
    chat = FakeChat()
    answer = answerer(chat).answer(Query("zzz"))
    assert answer.abstained
    assert chat.asked == []


@pytest.mark.parametrize(
    ("scripts", "text", "failed"),
    [
        ([ModelError("broken"), OTHER], "Revenue was 40,000.", "text"),
        ([TEXT, ModelError("broken")], "Revenue was 46,298.", "image"),
    ],
)
def test_when_one_branch_fails_the_other_answers_and_is_marked(scripts, text, failed):
    answer = answerer(FakeChat(scripts)).answer(QUESTION)
    assert (answer.text, answer.is_partial) == (text, True)
    assert answer.warnings == (f"the {failed} branch failed: broken",)


def test_when_the_other_branch_declined_nothing_is_answered():
    answer = answerer(FakeChat([DECLINED, ModelError("broken")])).answer(QUESTION)
    assert answer.abstained
    assert answer.warnings == ("the image branch failed: broken",)


def test_when_both_branches_fail_the_error_is_raised():
    with pytest.raises(ModelFormatError):
        answerer(FakeChat([ModelError("one"), ModelFormatError("two")])).answer(QUESTION)


def test_an_endpoint_that_is_gone_is_not_asked_again():
    chat = FakeChat([ModelUnavailable("gone")])
    with pytest.raises(ModelUnavailable):
        answerer(chat).answer(QUESTION)
    assert len(chat.asked) == 1


def test_a_fusion_that_fails_leaves_the_preferred_branch_marked():
    answer = answerer(FakeChat([TEXT, OTHER, ModelError("broken")])).answer(QUESTION)
    assert (answer.text, answer.is_partial) == ("Revenue was 40,000.", True)
    assert answer.warnings == ("stopped early: broken",)


@pytest.mark.parametrize(
    ("budget", "n_calls"),
    [
        (BudgetOptions(max_seconds=1e-9), 0),
        (BudgetOptions(max_input_tokens=10), 0),
    ],
)
def test_a_budget_that_allows_no_branch_is_an_abstention(budget, n_calls):
    chat = FakeChat([TEXT, OTHER])
    answer = answerer(chat, budget=budget).answer(QUESTION)
    assert (answer.reason, len(chat.asked)) == (Abstention.BUDGET_SPENT, n_calls)


@pytest.mark.parametrize(
    "budget",
    [
        BudgetOptions(max_calls=1),
        BudgetOptions(max_images=1),
        BudgetOptions(max_output_tokens=5),
        BudgetOptions(max_input_tokens=900),
    ],
)
def test_a_budget_that_allows_one_branch_gives_its_answer_marked(budget):
    chat = FakeChat([TEXT])
    answer = answerer(chat, budget=budget).answer(QUESTION)
    assert (answer.text, answer.is_partial) == ("Revenue was 46,298.", True)
    assert "the image branch failed" in answer.warnings[0]
    assert "(budget." in answer.warnings[0]


def test_a_budget_that_allows_no_fusion_gives_the_preferred_branch_marked():
    answer = answerer(FakeChat([TEXT, OTHER]), budget=BudgetOptions(max_calls=2)).answer(QUESTION)
    assert (answer.text, answer.is_partial) == ("Revenue was 40,000.", True)


def test_a_branch_that_breaks_off_in_its_reasoning_is_asked_again():
    cut = TEXT[: TEXT.index("So 46")]
    chat = FakeChat([cut, TEXT, OTHER, FUSED])
    answer = answerer(chat).answer(QUESTION)
    assert (answer.text, answer.is_partial) == ("It was 46,298.", False)
    assert "cannot be used" in chat.asked[1][0][-1].text


def test_a_branch_that_breaks_off_twice_leaves_the_answer_to_the_other():
    cut = TEXT[: TEXT.index("So 46")]
    answer = answerer(FakeChat([cut, cut, OTHER])).answer(QUESTION)
    assert answer.is_partial
    assert "{" not in answer.text
    assert any(warning.startswith("the text branch failed") for warning in answer.warnings)


def test_evidence_under_ids_that_were_not_issued_does_not_reach_the_fusion():
    forged = json.loads(TEXT) | {
        "evidence": [{"id": "E9", "content": "invented"}, {"id": "E1", "content": "real"}]
    }
    chat = FakeChat([json.dumps(forged), OTHER, FUSED])
    answerer(chat).answer(QUESTION)
    assert "invented" not in chat.asked[2][0][-1].text
    assert "real" in chat.asked[2][0][-1].text


def test_a_fusion_that_cites_what_was_not_shown_is_caught():
    forged = cited_json(("It was 5.", ("E7", "five"), ("E1", "Revenue was 46,298")))
    answer = answerer(FakeChat([TEXT, OTHER, forged])).answer(QUESTION)
    assert [c.evidence_id for c in answer.citations] == ["E1"]
    assert any("'E7'" in warning for warning in answer.warnings)


# ── searches of their own ────────────────────────────────────────────────────────────────────────────


def test_branches_can_search_by_words_and_by_looks():
    first, second = (CORPUS.search(QUESTION, k=5).hits[i] for i in (0, 1))
    found = type(CORPUS.search(QUESTION, k=5))
    parts = parts_of(CORPUS, FakeChat([TEXT, OTHER, FUSED]), pictures=FakePictures())
    one = DualBranchAnswerer(
        parts,
        text_search=lambda query, *, k, listener: found([first]),
        image_search=lambda query, *, k, listener: found([second]),
    )
    answer = one.answer(QUESTION)
    contexts = [dict(s.detail) for s in answer.trace if s.name == "make context"]
    assert [c["evidence"] for c in contexts] == [{"E1": ["a.pdf", 1]}, {"E2": ["a.pdf", 2]}]
    assert step_names(answer.trace).count("search") == 2


def test_the_support_check_covers_agreed_answers_too():
    options = DualBranchOptions(
        prompt=AnswerPromptOptions(check_support=True), citing=CitingOptions(unsupported="drop")
    )
    verdict = '{"verdicts": [{"sentence": 1, "support": "none"}]}'
    answer = answerer(FakeChat([TEXT, SAME, verdict]), options).answer(QUESTION)
    assert answer.abstained
