"""Yes or no from first-token log-probabilities, against worked numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.chat.messages import Message, user
from docrag.chat.model import Limits, Reply, Request
from docrag.chat.yes_no import ask_yes_no, probability_of_yes, yes_no_logprobs
from docrag.errors import ModelFormatError


class OneReply:
    """A chat model that always replies the same."""

    name = "one reply"
    limits = Limits()

    def __init__(self, text: str, first_logprobs: Mapping[str, float] | None = None) -> None:
        self._reply = Reply(text, first_logprobs=first_logprobs)
        self.requests: list[Request] = []

    def count_text(self, text: str) -> int:
        return len(text)

    def count_image(self, width_px: int, height_px: int) -> int:
        return 1

    def complete(self, messages: Sequence[Message], request: Request) -> Reply:
        self.requests.append(request)
        return self._reply


def test_three_to_one_is_three_quarters():
    assert probability_of_yes(math.log(0.6), math.log(0.2)) == pytest.approx(0.75)


@given(st.floats(-1e4, 0), st.floats(-1e4, 0))
def test_yes_and_no_sum_to_one_and_never_overflow(yes: float, no: float):
    assert probability_of_yes(yes, no) + probability_of_yes(no, yes) == pytest.approx(1)


def test_variants_of_a_word_count_together():
    logprobs = {"yes": math.log(0.3), " Yes": math.log(0.2), "▁YES": math.log(0.1), "No": math.log(0.2)}
    assert yes_no_logprobs(logprobs) == pytest.approx((math.log(0.6), math.log(0.2)))


def test_a_word_that_is_not_listed_is_no_likelier_than_the_least_listed():
    assert yes_no_logprobs({"yes": -0.1, "Maybe": -4.0}) == pytest.approx((-0.1, -4.0))


def test_neither_word_gives_nothing():
    assert yes_no_logprobs({"Maybe": -0.1, "yesterday": -1.0}) is None


def test_logprobs_decide_even_against_the_word():
    chat = OneReply("yes", {"yes": math.log(0.2), "no": math.log(0.6)})
    verdict = ask_yes_no(chat, [user("?")])
    assert verdict.probability == pytest.approx(0.25)
    assert verdict.logprob_no == pytest.approx(math.log(0.6))
    assert chat.requests[0].n_logprobs == 20


@pytest.mark.parametrize(("text", "probability"), [("Yes.", 1.0), (" no, it is not", 0.0), ("**No**", 0.0)])
def test_without_logprobs_the_word_decides(text: str, probability: float):
    verdict = ask_yes_no(OneReply(text), [user("?")])
    assert (verdict.probability, verdict.logprob_yes) == (probability, None)


@pytest.mark.parametrize("text", ["", "Perhaps", "nothing", "yesterday"])
def test_anything_else_is_a_format_error(text: str):
    with pytest.raises(ModelFormatError, match="expected yes or no"):
        ask_yes_no(OneReply(text), [user("?")])
