"""Relevance of one page at a time, by a chat model that may say only "yes" or "no".

The logits of the two words decide, not the word: ``P = sigmoid(z_yes - z_no)``, which is the softmax over the
pair (Qwen3-VL-Reranker; MMKB-RAG, 2504.10074). Log-probabilities serve as logits: they differ by a constant.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from docrag.chat.ask import as_messages
from docrag.chat.fence import MakeMarker, fenced, random_marker
from docrag.chat.messages import Message, user
from docrag.chat.model import Chat, Request
from docrag.chat.prompts import Prompt, Prompts
from docrag.chat.yes_no import MAX_TOKENS, N_LOGPROBS, yes_no_logprobs
from docrag.errors import DocragError
from docrag.retrieve.rerank.calls import Calls, each
from docrag.retrieve.rerank.relevance import Relevance, from_logits
from docrag.retrieve.rerank.shown import Shown

FULL_RELEVANCE = 10


class Verdict(BaseModel):
    """Relevance in so many words, from models that give no log-probabilities."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    relevance: float = Field(ge=0, le=FULL_RELEVANCE, description="10: the page answers the question")


class PointwiseScorer:
    """Asks a chat model about every page, several at a time.

    The prompts are ``rerank_pointwise`` and, for a model that gives no log-probabilities or speaks neither of
    the words, ``rerank_verdict``, which asks for a number from 0 to 10 as JSON. Text of pages is fenced.
    """

    name = "pointwise"

    def __init__(
        self,
        chat: Chat,
        prompts: Prompts,
        *,
        n_parallel: int = 4,
        timeout_s: float | None = 60.0,
        make_marker: MakeMarker = random_marker,
    ) -> None:
        self._chat = chat
        self._pointwise = prompts.get("rerank_pointwise")
        self._verdict = prompts.get("rerank_verdict")
        self._n_parallel = n_parallel
        self._timeout_s = timeout_s
        self._make_marker = make_marker
        self._has_logprobs = True  # until the model shows that it has none
        self._identity = f"{chat.name}|{self._pointwise.digest}|{self._verdict.digest}"

    def identify(self, calls: Calls) -> str:
        """Name the model and the prompts."""
        return self._identity

    def score(self, question: str, pages: Sequence[Shown], calls: Calls) -> Sequence[Relevance | DocragError]:
        """Relevance of every page, or what went wrong with it."""

        def work(page: Shown) -> Relevance:
            return self._relevance(question, page, calls)

        return each(work, pages, calls, n_parallel=self._n_parallel)

    def _relevance(self, question: str, page: Shown, calls: Calls) -> Relevance:
        if self._has_logprobs:
            request = Request(max_output_tokens=MAX_TOKENS, n_logprobs=N_LOGPROBS)
            messages = self._messages(self._pointwise, question, page)
            reply = calls.ask(self._chat, messages, request, timeout_s=self._timeout_s)
            if reply.first_logprobs is None:
                self._has_logprobs = False
            elif (pair := yes_no_logprobs(reply.first_logprobs)) is not None:
                return from_logits(*pair)
        messages = self._messages(self._verdict, question, page)
        verdict = calls.ask_for(self._chat, messages, Verdict, timeout_s=self._timeout_s)
        return Relevance(verdict.relevance / FULL_RELEVANCE)

    def _messages(self, prompt: Prompt, question: str, page: Shown) -> list[Message]:
        marker = self._make_marker()
        text = fenced(page.text, marker, label="page") if page.text else "(see the picture)"
        messages = as_messages(prompt.render(question=question, page=text))
        if page.picture is None:
            return messages
        return [*messages[:-1], user(page.picture, *messages[-1].parts)]
