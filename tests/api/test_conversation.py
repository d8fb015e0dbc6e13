"""A conversation keeps its turns and its scope, and asks rewritten questions."""

from __future__ import annotations

import pytest
from tests.api.conftest import TALKER, settings_with

from docrag import DocRAG, Scope
from docrag.chat.events import AnswerEvent
from docrag.errors import ModelError, UsageError


def test_a_conversation_keeps_questions_and_answers_in_order(talking):
    chat = talking.chat()
    chat.ask("is it?")
    chat.ask("really?")
    assert [(turn.question, turn.asked, turn.answer.text) for turn in chat.history] == [
        ("is it?", "is it?", "yes it is"),
        ("really?", "really?", "yes it is"),
    ]


def test_follow_ups_are_rewritten_with_the_history_and_the_first_question_is_not(talking):
    seen = []

    def rewrite(history, question):
        seen.append(([turn.asked for turn in history], question))
        return f"{history[-1].asked} {question}"

    chat = talking.chat(rewrite=rewrite)
    assert chat.ask("revenue").question == "revenue"
    assert chat.ask("and costs?").question == "revenue and costs?"
    assert chat.ask("why?").question == "revenue and costs? why?"
    assert seen == [(["revenue"], "and costs?"), (["revenue", "revenue and costs?"], "why?")]


def test_nothing_is_not_asked_and_no_model_is_made_to_complete_it(talking):
    completed = []
    chat = talking.chat(rewrite=lambda history, question: completed.append(question) or "made up")
    with pytest.raises(UsageError, match="the question is empty"):
        chat.ask(" ")
    chat.ask("one")
    with pytest.raises(UsageError, match="the question is empty"):
        chat.ask("\n")
    assert (completed, [turn.question for turn in chat.history]) == ([], ["one"])


def test_a_rewriting_to_nothing_leaves_the_question_as_it_was(talking):
    chat = talking.chat(rewrite=lambda history, question: "  ")
    chat.ask("one")
    assert chat.ask("two").question == "two"


def test_what_completing_a_question_cost_and_that_it_failed_stands_in_the_answer(folder):
    replies = ["models.default.kind=scripted", 'models.default.replies=["no JSON", "neither"]']
    with DocRAG.open(folder, settings=settings_with(*TALKER, *replies)) as rag:
        chat = rag.chat()
        chat.ask("What was the revenue in 2023?")
        failed = chat.ask("And in 2022?")
    assert failed.question == "What was the revenue in 2022?"
    assert [w.partition(":")[0] for w in failed.warnings] == ["the follow-up was completed by rules"]
    replies[1] = 'models.default.replies=["{\\"question\\": \\"What about costs in 2023?\\"}"]'
    with DocRAG.open(folder, settings=settings_with(*TALKER, *replies)) as rag:
        chat = rag.chat()
        first = chat.ask("What was the revenue in 2023?")
        second = chat.ask("And costs?")
    assert (second.question, second.warnings) == ("What about costs in 2023?", ())
    assert first.usage.n_model_calls == 1
    assert second.usage.n_model_calls == 2
    assert second.usage.n_input_tokens > first.usage.n_input_tokens


def test_the_scope_holds_until_it_is_changed(rag):
    chat = rag.chat(scope=Scope(docs=("notes.pdf",)))
    assert {e.hit.doc for e in chat.ask("Who is the chief executive?").evidence} <= {"notes.pdf"}
    chat.scope = Scope()
    assert {c.doc for c in chat.ask("Who is the chief executive?").citations} == {"report.pdf"}
    assert [turn.scope.docs for turn in chat.history] == [("notes.pdf",), None]


def test_a_stream_adds_its_turn_when_it_is_read_to_the_end(talking):
    chat = talking.chat()
    events = chat.stream("wait")
    next(events)
    events.close()
    assert chat.history == ()
    assert isinstance(list(chat.stream("is it?"))[-1], AnswerEvent)
    assert [turn.question for turn in chat.history] == ["is it?"]


def test_a_question_that_failed_is_no_turn(talking):
    chat = talking.chat()
    with pytest.raises(ModelError):
        chat.ask("fail")
    assert chat.history == ()


def test_turns_can_be_taken_back(talking):
    chat = talking.chat()
    for question in ("a", "b", "c"):
        chat.ask(question)
    chat.forget(1)
    assert [turn.question for turn in chat.history] == ["a", "b"]
    chat.forget(0)
    assert len(chat.history) == 2
    chat.forget(5)
    assert chat.history == ()
    chat.ask("d")
    chat.forget()
    assert chat.history == ()
