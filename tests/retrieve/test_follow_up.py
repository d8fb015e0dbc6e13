"""Follow-up questions, completed by rules or by a model."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from docrag.chat.messages import Message
from docrag.chat.model import Limits, Reply, Request
from docrag.chat.prompts import Prompts
from docrag.errors import ModelUnavailable
from docrag.retrieve.query.follow_up import FollowUp, FollowUpRewriter, PromptedRewriter, RuleRewriter, Turn

LAST = "What was the revenue in Kiel in 2025?"
HISTORY = [Turn("What is sold?", "Boats."), Turn(LAST, "5 million.")]


class Says:
    """A chat model with one reply, or one error."""

    name = "says"
    limits = Limits()

    def __init__(self, reply: str | Exception) -> None:
        self._reply = reply
        self.asked: list[str] = []

    def count_text(self, text: str) -> int:
        return len(text)

    def count_image(self, width_px: int, height_px: int) -> int:
        return 1

    def complete(self, messages: Sequence[Message], request: Request) -> Reply:
        self.asked.append("\n".join(message.text for message in messages))
        if isinstance(self._reply, Exception):
            raise self._reply
        return Reply(self._reply)


def prompted(chat: Says) -> PromptedRewriter:
    return PromptedRewriter(chat, Prompts().get("query_follow_up"))


@pytest.mark.parametrize(
    ("question", "rewritten"),
    [
        ("And in 2024?", "What was the revenue in Kiel in 2024?"),
        ("what about 1999", "What was the revenue in Kiel in 1999?"),
        ("2023?", "What was the revenue in Kiel in 2023?"),
        ("And the profit?", f"{LAST} And the profit?"),
        ("How about Bremen?", f"{LAST} How about Bremen?"),
        ("Why did it fall?", f"{LAST} Why did it fall?"),
        ("Who runs the harbour of Bremen?", "Who runs the harbour of Bremen?"),
        ("Android phones sold in 2024?", "Android phones sold in 2024?"),
    ],
)
def test_rules_complete_what_leans_on_the_last_question(question: str, rewritten: str):
    assert RuleRewriter().rewrite(HISTORY, question) == FollowUp(rewritten)


def test_a_year_for_a_question_without_one_is_added():
    turns = [Turn("What was the revenue?", "5")]
    assert RuleRewriter().rewrite(turns, "And in 2024?").question == "What was the revenue? And in 2024?"


@pytest.mark.parametrize("rewriter", [RuleRewriter(), prompted(Says(ModelUnavailable("down")))])
def test_without_history_every_question_stays(rewriter: FollowUpRewriter):
    assert rewriter.rewrite([], "And in 2024?") == FollowUp("And in 2024?")
    assert rewriter.rewrite(HISTORY, "") == FollowUp("")


def test_the_model_sees_the_conversation_and_its_question_is_taken():
    chat = Says('{"question": "What was the profit\\n in Kiel?"}')
    found = prompted(chat).rewrite(HISTORY, "And the profit?")
    assert (found.question, found.warning, len(found.usage)) == ("What was the profit in Kiel?", "", 1)
    for said in (*HISTORY[0], *HISTORY[1], "And the profit?"):
        assert said in chat.asked[0]


def test_a_failing_model_leaves_it_to_the_rules_and_says_so():
    found = prompted(Says(ModelUnavailable("down"))).rewrite(HISTORY, "And in 2024?")
    assert found.question == "What was the revenue in Kiel in 2024?"
    assert "down" in found.warning
