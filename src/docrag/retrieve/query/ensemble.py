"""GenQREnsemble: keywords from several paraphrased instructions widen the query (Dhole & Agichtein 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, Field

from docrag.chat.ask import as_messages, ask_for
from docrag.chat.events import SILENCE, Listener
from docrag.chat.model import CallUsage, Chat, Request
from docrag.chat.prompts import Prompt
from docrag.chat.side_by_side import Ending, side_by_side
from docrag.errors import ModelError
from docrag.retrieve.query.plan import Plan, SubQuery
from docrag.types import Query

Mode = Literal["concatenate", "fuse"]

INSTRUCTIONS: tuple[str, ...] = (
    "Suggest words that would make a search for this question find more of the right pages.",
    "Name the terms that a page answering this question is likely to contain.",
    "List synonyms and related terms for the important words of this question.",
    "Give keywords that a librarian would add to this question before looking it up.",
    "Which technical terms, abbreviations or spelled-out forms belong to this question?",
    "Think of the heading under which the answer would stand, and give its words.",
    "List the words of a table, chart or caption that would hold the answer.",
    "Write down expansion terms for this query, the most useful first.",
    "What would the sentence with the answer say? Give its content words without the answer itself.",
    "Reword the question as a list of search terms, with other words than its own.",
)
"""Paraphrases of one task; the original work uses ten, too, in its own words."""

MAX_KEYWORDS = 20
"""Keywords taken from one reply."""

MAX_KEYWORD_CHARS = 60


class Keywords(BaseModel):
    """What the model is asked for."""

    keywords: list[str] = Field(description="search terms, a word or a short phrase each")


class QueryEnsemble:
    """Adds keywords from `instructions`, one call each, to every sub-query of a plan.

    "concatenate" appends the keywords of all replies to the text, once each; "fuse" makes one further
    sub-query per reply, whose ranking is merged with that of the question. `retrievers` are given the widened
    texts: long queries help BM25 and blur late interaction; the others keep the text as it was. Replies that
    fail are left out with a warning.
    """

    name = "ensemble"

    def __init__(
        self,
        chat: Chat,
        prompt: Prompt,
        *,
        mode: Mode = "concatenate",
        n_instructions: int = 5,
        retrievers: tuple[str, ...] = ("bm25",),
        n_parallel: int = 4,
        timeout_s: float = 30.0,
    ) -> None:
        if not 1 <= n_instructions <= len(INSTRUCTIONS):
            raise ValueError(f"n_instructions is {n_instructions}, expected 1 to {len(INSTRUCTIONS)}")
        self._chat = chat
        self._prompt = prompt
        self._mode: Mode = mode
        self._instructions = INSTRUCTIONS[:n_instructions]
        self._retrievers = retrievers
        self._n_parallel = n_parallel
        self._timeout_s = timeout_s

    def revise(self, query: Query, plan: Plan, *, listener: Listener = SILENCE) -> Plan:
        """Return the plan with widened texts."""
        if not query.text.strip():
            return plan
        ending = Ending(listener.cancelled)
        replies = side_by_side(
            lambda told: self._keywords(query.text, told, ending),
            self._instructions,
            n_parallel=self._n_parallel,
            ending=ending,
        )
        lists = [reply for reply in replies if not isinstance(reply, ModelError)]
        for failure in dict.fromkeys(str(reply) for reply in replies if isinstance(reply, ModelError)):
            plan = plan.warned(f"query ensemble: {failure}")
        found = [words for words, _ in lists if words]
        usage = [call for _, calls in lists for call in calls]
        plan = plan.noted(f"query ensemble: {len(found)} of {len(replies)} lists of keywords", usage=usage)
        if not found:
            return plan
        added = self._concatenated if self._mode == "concatenate" else self._fused
        return replace(plan, queries=tuple(new for old in plan.queries for new in added(old, found)))

    def _concatenated(self, old: SubQuery, lists: Sequence[Sequence[str]]) -> list[SubQuery]:
        words = dict.fromkeys(word for keywords in lists for word in keywords)
        widened = replace(
            old,
            text=f"{old.text} {' '.join(words)}",
            label=f"{old.label} + keywords",
            retrievers=tuple(name for name in self._retrievers if old.serves(name)),
        )
        return [replace(old, not_for=(*old.not_for, *self._retrievers)), widened]

    def _fused(self, old: SubQuery, lists: Sequence[Sequence[str]]) -> list[SubQuery]:
        served = tuple(name for name in self._retrievers if old.serves(name))
        return [
            old,
            *(
                replace(
                    old,
                    text=f"{old.text} {' '.join(keywords)}",
                    label=f"{old.label} + keywords {n}",
                    retrievers=served,
                )
                for n, keywords in enumerate(lists, 1)
            ),
        ]

    def _keywords(
        self, question: str, instruction: str, ending: Ending
    ) -> tuple[list[str], tuple[CallUsage, ...]] | ModelError:
        messages = as_messages(self._prompt.render(question=question, instruction=instruction))
        request = Request(timeout_s=self._timeout_s, cancelled=ending)
        try:
            reply, usage = ask_for(self._chat, messages, Keywords, request=request)
        except ModelError as error:
            return error
        words = [" ".join(word.split()) for word in reply.keywords]
        kept = [word for word in words if word and len(word) <= MAX_KEYWORD_CHARS]
        return list(dict.fromkeys(kept))[:MAX_KEYWORDS], usage
