import math
import threading
from dataclasses import replace

import pytest
from tests.answer.conftest import FakeCorpus, Found, make_page
from tests.answer.model_support import (
    DECLINED,
    MARKER,
    FakeChat,
    FakePictures,
    Heard,
    Said,
    cited_json,
    detail_of,
    parts_of,
    step_names,
)

from docrag.answer.options import AnswerPromptOptions, CitingOptions, ContextOptions, SinglePassOptions
from docrag.answer.reply import CUT_OFF, NO_FORMAT
from docrag.answer.single_pass import SinglePassAnswerer
from docrag.chat.budget import BudgetOptions
from docrag.chat.model import Limits
from docrag.chat.prompts import Prompts
from docrag.errors import Cancelled, ContextOverflow, ModelError, ModelFormatError, ModelUnavailable
from docrag.protocols import Answerer
from docrag.types import NOT_ANSWERABLE, Abstention, Query, Scope, UnitRef

PAGES = [
    make_page(["Revenue was 46,298 in 2023."], page_no=1),
    make_page(["Revenue and costs were discussed."], page_no=2),
]
CORPUS = FakeCorpus({"a.pdf": PAGES})
QUESTION = Query("What was the revenue?")
GOOD = cited_json(("Revenue was 46,298.", ("E1", "Revenue was 46,298")))


def answerer(chat: FakeChat, options: SinglePassOptions | None = None, *, corpus=CORPUS, **more) -> Answerer:
    return SinglePassAnswerer(parts_of(corpus, chat, **more), options)


def test_the_golden_path_gives_a_cited_answer_its_cost_and_its_trace():
    chat, heard = FakeChat([GOOD]), Heard()
    answer = answerer(chat).answer(QUESTION, listener=heard)
    assert (answer.text, answer.abstained, answer.reason, answer.is_partial) == (
        "Revenue was 46,298.",
        False,
        None,
        False,
    )
    (citation,) = answer.citations
    assert (citation.doc, citation.page_no, citation.support, len(citation.boxes)) == ("a.pdf", 1, "full", 1)
    assert answer.sentences[0].citations == (1,)
    assert [e.evidence_id for e in answer.evidence] == ["E1", "E2"]
    assert (answer.usage.n_model_calls, answer.usage.n_images, answer.usage.cost_usd) == (1, 2, 0.5)
    assert answer.warnings == ()
    assert step_names(answer.trace) == ["search", "make context", "call answer", "answer", "verify citations"]
    call = detail_of(answer.trace, "call answer")
    assert (call["prompt"], call["prompt_digest"]) == ("answer_cited", Prompts().get("answer_cited").digest)
    assert set(detail_of(answer.trace, "answer")["fragments"]) == {
        "answer_style_full",
        "answer_sufficiency_inline",
    }
    assert heard.steps == ["search", "answer"]
    assert heard.text == answer.text
    assert len(heard.tokens) > 1


def test_the_model_is_shown_pictures_and_fenced_text_before_the_question():
    chat = FakeChat([GOOD])
    answerer(chat).answer(QUESTION)
    ((system, user), request) = chat.asked[0]
    assert system.speaker == "system"
    assert [image.label for image in user.images] == ["E1", "E2"]
    assert user.text.index(f"<<<{MARKER} E1\nRevenue was 46,298") < user.text.index(
        "Question: What was the revenue?"
    )
    assert request.schema is not None
    assert list(request.schema["properties"]) == ["answerable", "sentences"]  # sufficiency comes first
    assert request.schema["required"] == ["answerable", "sentences"]


def test_two_questions_share_the_beginning_of_their_prompts():
    chat = FakeChat([GOOD, GOOD])
    one = answerer(chat)
    one.answer(QUESTION)
    one.answer(Query("What was the revenue of 2023?"))
    first, second = (messages for messages, _ in chat.asked)
    assert first[0] == second[0]
    n_evidence = len(first[1].parts) - 1
    assert first[1].parts[:n_evidence] == second[1].parts[:n_evidence]


@pytest.mark.parametrize(("modality", "n_images"), [("text", 0), ("image", 2), ("both", 2)])
def test_the_paradigms_differ_in_what_is_shown(modality, n_images):
    chat = FakeChat([GOOD])
    options = SinglePassOptions(context=ContextOptions(modality=modality))
    answer = answerer(chat, options).answer(QUESTION)
    user = chat.asked[0][0][1]
    assert len(user.images) == n_images
    assert (MARKER in user.text) == (modality != "image")
    assert answer.citations[0].support == "full"  # quotes are looked up in the page's text all the same


def test_the_style_is_a_prompt_of_its_own():
    chat = FakeChat([GOOD])
    answerer(chat, SinglePassOptions(prompt=AnswerPromptOptions(style="short"))).answer(QUESTION)
    assert Prompts().get("answer_style_short").render().user in chat.asked[0][0][1].text


# ── abstention ───────────────────────────────────────────────────────────────────────────────────────


def test_nothing_found_is_an_abstention_without_a_call():
    chat = FakeChat()
    answer = answerer(chat).answer(Query("zzz"))
    assert (answer.text, answer.abstained, answer.reason) == (
        NOT_ANSWERABLE,
        True,
        Abstention.NOT_IN_DOCUMENTS,
    )
    assert chat.asked == []
    assert step_names(answer.trace) == ["search", "make context", "abstain"]


def test_a_model_that_declines_is_an_abstention_and_says_nothing():
    heard = Heard()
    answer = answerer(FakeChat([DECLINED])).answer(QUESTION, listener=heard)
    assert (answer.abstained, answer.reason, answer.citations, answer.sentences) == (
        True,
        Abstention.NOT_IN_DOCUMENTS,
        (),
        (),
    )
    assert heard.tokens == []
    assert answer.evidence != ()


def test_the_state_of_the_documents_gives_the_reason():
    failed = FakeCorpus({"a.pdf": [PAGES[0], None, None]})
    assert (
        answerer(FakeChat([DECLINED]), corpus=failed).answer(QUESTION).reason is Abstention.UNREADABLE_PAGES
    )
    unfinished = answerer(FakeChat([DECLINED]), unfinished=["b.pdf"]).answer(QUESTION)
    assert unfinished.reason is Abstention.INDEX_INCOMPLETE
    assert answerer(FakeChat(), corpus=FakeCorpus({})).answer(QUESTION).reason is Abstention.INDEX_INCOMPLETE
    scoped = Query(QUESTION.text, scope=Scope(docs=("a.pdf",)))
    assert answerer(FakeChat([DECLINED])).answer(scoped).reason is Abstention.NOT_IN_DOCUMENTS


SCANS = FakeCorpus({"a.pdf": [make_page([], page_no=n) for n in (1, 2, 3)]})


@pytest.mark.parametrize(
    ("modality", "max_images", "broken", "reason"),
    [
        ("both", 50, (), Abstention.NOT_IN_DOCUMENTS),
        ("image", 50, (), Abstention.NOT_IN_DOCUMENTS),
        ("text", 50, (), Abstention.UNREADABLE_PAGES),
        ("both", 0, (), Abstention.UNREADABLE_PAGES),  # the model takes no pictures
        ("image", 50, (1, 2), Abstention.UNREADABLE_PAGES),  # and these cannot be drawn
        ("image", 50, (1,), Abstention.NOT_IN_DOCUMENTS),
    ],
)
def test_pages_without_text_are_unreadable_to_who_sees_no_pictures(modality, max_images, broken, reason):
    hits = [SCANS.hit(UnitRef("a.pdf", n, 0, "id-a.pdf"), 1.0) for n in (1, 2)]  # as found by their looks
    chat = FakeChat([DECLINED], limits=Limits(max_images=max_images))
    parts = parts_of(SCANS, chat, pictures=FakePictures(broken=frozenset(broken)))
    parts = replace(parts, search=lambda query, *, k, listener: Found(hits))
    options = SinglePassOptions(context=ContextOptions(modality=modality))
    assert SinglePassAnswerer(parts, options).answer(QUESTION).reason is reason


def test_a_model_that_turns_out_to_take_no_pictures_has_not_seen_the_pages():
    hits = [SCANS.hit(UnitRef("a.pdf", 1, 0, "id-a.pdf"), 1.0)]

    def refuse(_messages):
        chat.limits = Limits(max_images=0)  # as the client does, which then asks again without them
        return DECLINED

    chat = FakeChat([refuse])
    parts = replace(parts_of(SCANS, chat), search=lambda query, *, k, listener: Found(hits))
    assert SinglePassAnswerer(parts).answer(QUESTION).reason is Abstention.UNREADABLE_PAGES


def test_pages_without_text_that_were_not_found_are_unreadable():
    assert answerer(FakeChat(), corpus=SCANS).answer(QUESTION).reason is Abstention.UNREADABLE_PAGES


def test_pages_that_failed_are_unreadable_whatever_is_shown_of_others():
    failed = FakeCorpus({"a.pdf": [make_page(["revenue"]), None, None]})
    answer = answerer(FakeChat([DECLINED]), corpus=failed).answer(QUESTION)
    assert (answer.usage.n_images, answer.reason) == (1, Abstention.UNREADABLE_PAGES)


@pytest.mark.parametrize(
    ("said", "probability", "judged"),
    [
        (Said("no"), 0.0, {"p_sufficient": 0.0, "judged_by": "word"}),
        (Said("No, they are not."), 0.0, {"p_sufficient": 0.0, "judged_by": "word"}),
        (
            Said("yes", first_logprobs={"yes": math.log(0.3), "no": math.log(0.6)}),
            1 / 3,
            {"p_sufficient": 0.3333, "judged_by": "logprobs", "p_yes_or_no": 0.9},
        ),
    ],
)
def test_a_judge_can_withhold_the_answer_before_it_is_written(said, probability, judged):
    judge, writer = FakeChat([said], name="judge"), FakeChat()
    options = SinglePassOptions(prompt=AnswerPromptOptions(sufficiency="call"))
    answer = answerer(writer, options, roles={"judge": judge}).answer(QUESTION)
    assert answer.abstained
    assert answer.confidence == pytest.approx(probability)
    assert writer.asked == []
    assert judge.asked[0][1].n_logprobs == 20
    assert [image.label for image in judge.asked[0][0][1].images] == ["E1", "E2"]
    assert detail_of(answer.trace, "judge sufficiency") == judged


def test_above_the_threshold_the_answer_is_written_with_the_judges_probability():
    judge = FakeChat([Said("yes", first_logprobs={"yes": math.log(0.3), "no": math.log(0.6)})])
    options = SinglePassOptions(prompt=AnswerPromptOptions(sufficiency="call", sufficiency_threshold=0.3))
    chat = FakeChat([GOOD])
    answer = answerer(chat, options, roles={"judge": judge}).answer(QUESTION)
    assert not answer.abstained
    assert answer.confidence == pytest.approx(1 / 3)
    assert Prompts().get("answer_sufficiency_off").render().user in chat.asked[0][0][1].text


def test_a_judge_that_says_neither_leaves_the_answer_to_be_written():
    options = SinglePassOptions(prompt=AnswerPromptOptions(sufficiency="call"))
    answer = answerer(FakeChat(["perhaps", GOOD]), options).answer(QUESTION)
    assert not answer.abstained
    assert answer.confidence is None
    assert answer.warnings == ("sufficiency was not judged: expected yes or no, got 'perhaps'",)


def test_when_every_sentence_is_dropped_nothing_is_answered():
    options = SinglePassOptions(citing=CitingOptions(unsupported="drop"))
    answer = answerer(FakeChat([cited_json(("Made up.", ("E1", "made up")))]), options).answer(QUESTION)
    assert (answer.abstained, answer.citations) == (True, ())
    assert "left out a sentence" in answer.warnings[-1]


# ── the support check ────────────────────────────────────────────────────────────────────────────────

CHECKED = SinglePassOptions(prompt=AnswerPromptOptions(check_support=True))
TWO = cited_json(("Revenue was 46,298.", ("E1", "Revenue was 46,298")), ("It doubled.", ("E1", "in 2023")))
VERDICTS = '{"verdicts": [{"sentence": 1, "support": "full"}, {"sentence": 2, "support": "none"}]}'


def test_the_support_check_marks_what_the_pages_do_not_support():
    chat = FakeChat([TWO, VERDICTS])
    answer = answerer(chat, CHECKED).answer(QUESTION)
    assert len(answer.sentences) == 2
    assert answer.warnings == ("the cited pages do not support: 'It doubled.'",)
    message = chat.asked[1][0][1]
    assert [image.label for image in message.images] == ["E1"]  # only what is cited
    assert f"<<<{MARKER} sentences\n1. Revenue was 46,298.\n2. It doubled.\n{MARKER}>>>" in message.text
    assert detail_of(answer.trace, "check support")["verdicts"] == ["full", "none"]


def test_the_support_check_can_drop():
    options = SinglePassOptions(prompt=CHECKED.prompt, citing=CitingOptions(unsupported="drop"))
    answer = answerer(FakeChat([TWO, VERDICTS]), options).answer(QUESTION)
    assert [s.text for s in answer.sentences] == ["Revenue was 46,298."]
    assert [c.quote for c in answer.citations] == ["Revenue was 46,298"]


def test_an_answer_that_cites_nothing_is_not_checked():
    chat = FakeChat([cited_json(("It is so.", ("E9", "x")))])
    answer = answerer(chat, CHECKED).answer(QUESTION)
    assert (len(chat.asked), answer.citations) == (1, ())
    assert answer.warnings[-1] == "no evidence was found for: 'It is so.'"


@pytest.mark.parametrize("failure", [ModelUnavailable("gone"), ModelError("refused")])
def test_an_answer_whose_check_fails_is_given_unchecked(failure):
    answer = answerer(FakeChat([TWO, failure]), CHECKED).answer(QUESTION)
    assert len(answer.sentences) == 2
    assert answer.warnings == (f"the support of the sentences was not checked: {failure}",)


# ── models that do not do as they are told ───────────────────────────────────────────────────────────


def test_a_reply_without_format_is_used_and_marked():
    heard = Heard()
    answer = answerer(FakeChat(["Revenue was 46,298 in 2023 [E1]."])).answer(QUESTION, listener=heard)
    assert (answer.text, answer.citations[0].support) == ("Revenue was 46,298 in 2023.", "full")
    assert answer.warnings == (NO_FORMAT,)
    assert heard.text == answer.text


def test_an_empty_reply_is_asked_for_again_once():
    chat = FakeChat(["", GOOD])
    answer = answerer(chat).answer(QUESTION)
    assert answer.text == "Revenue was 46,298."
    assert len(chat.asked) == 2
    assert chat.asked[1][0][:2] == chat.asked[0][0][:2]
    with pytest.raises(ModelFormatError, match="the reply is empty"):
        answerer(FakeChat(["", " "])).answer(QUESTION)


def test_a_reply_that_breaks_off_is_a_partial_answer():
    answer = answerer(FakeChat([Said(TWO[: TWO.index("It doubled") + 4], finish="length")])).answer(QUESTION)
    assert answer.is_partial
    assert [s.text for s in answer.sentences] == ["Revenue was 46,298.", "It d"]
    assert CUT_OFF in answer.warnings


def test_a_refusal_is_an_error_that_says_so():
    with pytest.raises(ModelError, match="fake refused to answer: 'I cannot help"):
        answerer(FakeChat([Said("I cannot help with that.", finish="refusal")])).answer(QUESTION)


def test_a_server_that_counts_more_tokens_gets_half_the_pages():
    chat = FakeChat([ContextOverflow("8,001 tokens, at most 8,000"), GOOD])
    answer = answerer(chat).answer(QUESTION)
    assert answer.text == "Revenue was 46,298."
    assert len(chat.asked[1][0][1].images) == 1
    assert answer.warnings == ("8,001 tokens, at most 8,000; asked again with 1 of 2 pages",)


def test_a_text_only_model_answers_from_text():
    answer = answerer(FakeChat([GOOD], limits=Limits(max_images=0))).answer(QUESTION)
    assert answer.text == "Revenue was 46,298."
    assert answer.warnings == ("fake takes no pictures; the text of the pages is used instead",)


def test_files_that_are_gone_are_answered_from_their_text():
    answer = answerer(FakeChat([GOOD]), pictures=FakePictures(frozenset({1, 2}))).answer(QUESTION)
    assert answer.text == "Revenue was 46,298."
    assert len(answer.warnings) == 2


# ── budget and cancelling ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"max_images": 1}, "budget.max_images"),
        ({"max_input_tokens": 10}, "budget.max_input_tokens"),
        ({"max_seconds": 1e-9}, "budget.max_seconds"),
    ],
)
def test_a_budget_that_is_spent_before_the_answer_is_an_abstention(limit, said):
    chat = FakeChat([GOOD])
    answer = answerer(chat, budget=BudgetOptions(**limit)).answer(QUESTION)
    assert (answer.abstained, answer.reason) == (True, Abstention.BUDGET_SPENT)
    assert said in answer.warnings[-1]
    assert chat.asked == []


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"max_calls": 1}, "budget.max_calls"),
        ({"max_output_tokens": 5}, "budget.max_output_tokens"),
        ({"max_images": 2}, "budget.max_images"),
    ],
)
def test_a_budget_that_is_spent_by_the_answer_leaves_it_unchecked(limit, said):
    chat = FakeChat([TWO])
    answer = answerer(chat, CHECKED, budget=BudgetOptions(**limit)).answer(QUESTION)
    assert not answer.abstained
    assert said in answer.warnings[-1]
    assert len(chat.asked) == 1


def test_a_deadline_that_passes_during_the_call_is_a_spent_budget():
    def slow(messages):
        threading.Event().wait(0.06)
        raise ModelUnavailable("timed out")

    answer = answerer(FakeChat([slow]), budget=BudgetOptions(max_seconds=0.05)).answer(QUESTION)
    assert answer.reason is Abstention.BUDGET_SPENT


def test_a_call_gets_what_is_left_of_the_time():
    chat = FakeChat([GOOD])
    answerer(chat, budget=BudgetOptions(max_seconds=30)).answer(QUESTION)
    assert 0 < chat.asked[0][1].timeout_s <= 30


def test_cancelling_while_the_reply_streams_ends_it_and_leaves_nothing_running():
    n_threads = threading.active_count()
    chat, heard = FakeChat([TWO], piece=3), Heard(n_tokens=1)
    with pytest.raises(Cancelled):
        answerer(chat).answer(QUESTION, listener=heard)
    assert len(heard.tokens) == 1
    assert chat.n_streamed < len(TWO) / 3 - 5
    assert threading.active_count() == n_threads
    assert chat.threads == {threading.get_ident()}


def test_cancelling_before_the_search_makes_no_call():
    chat = FakeChat([GOOD])
    with pytest.raises(Cancelled):
        answerer(chat).answer(QUESTION, listener=Heard(n_tokens=0))
    assert chat.asked == []


def test_an_endpoint_that_is_gone_is_the_error_of_the_question():
    with pytest.raises(ModelUnavailable, match="gone"):
        answerer(FakeChat([ModelUnavailable("gone")])).answer(QUESTION)


def test_questions_may_be_asked_from_several_threads():
    chat = FakeChat([GOOD] * 8)
    one = answerer(chat)
    found = []
    threads = [threading.Thread(target=lambda: found.append(one.answer(QUESTION))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.text for answer in found} == {"Revenue was 46,298."}
    assert {answer.usage.n_model_calls for answer in found} == {1}
