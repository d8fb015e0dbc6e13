"""A yes or no within a run: by the first token's log-probabilities, by the word, or by a JSON verdict."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field

from docrag.answer.run import Ask, Run
from docrag.chat.ask import KEPT_OF_BAD_REPLY
from docrag.chat.messages import Message, assistant, user
from docrag.chat.model import Reply, Request, Role
from docrag.chat.prompts import Prompt
from docrag.chat.yes_no import MAX_TOKENS, N_LOGPROBS, probability_of_yes, word_verdict, yes_no_logprobs
from docrag.errors import ModelFormatError


class Verdict(BaseModel):
    """Yes or no as JSON, of a model that says neither as its first word."""

    verdict: bool = Field(description="true for yes, false for no")


_AS_JSON = 'Reply with one JSON object, nothing else: {"verdict": true} for yes or {"verdict": false} for no.'


MAX_CALLS = 3
"""For one verdict: the first, one for JSON, and one more where that cannot be used."""


def yes_or_no(role: Role, messages: Sequence[Message], *, prompt: Prompt) -> Ask:
    """Return the call whose reply `probability_in` reads."""
    return Ask(role, messages, prompt, Request(max_output_tokens=MAX_TOKENS, n_logprobs=N_LOGPROBS))


def probability_in(run: Run, ask: Ask, reply: Reply) -> float:
    """Return P(yes), 0 to 1: the softmax over the first token's "yes" and "no" (MMKB-RAG, eq. 2).

    Without log-probabilities the word that the reply begins with decides, as 1 or 0; a reply that begins with
    neither is asked for again as JSON. Raises as `Run.ask_for`.
    """
    pair = yes_no_logprobs(reply.first_logprobs) if reply.first_logprobs else None
    if pair is not None:
        return probability_of_yes(*pair)
    try:
        return word_verdict(reply.text)
    except ModelFormatError:
        said = assistant(reply.text[:KEPT_OF_BAD_REPLY] or "…")
        again = run.ask_for(ask.role, [*ask.messages, said, user(_AS_JSON)], Verdict, prompt=ask.prompt)
        return 1.0 if again.verdict else 0.0
