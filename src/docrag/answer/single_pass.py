"""Retrieve pages and answer from them in one call (M3DocRAG, arXiv 2411.04952)."""

from __future__ import annotations

from docrag.answer.context import Viewer
from docrag.answer.finish import Finisher
from docrag.answer.one_pass import OnePass
from docrag.answer.options import SinglePassOptions
from docrag.answer.parts import AnswerParts
from docrag.answer.search import search_for
from docrag.chat.events import SILENCE, Listener
from docrag.errors import BudgetExceeded
from docrag.types import Answer, Query

PROMPT = "answer_cited"


class SinglePassAnswerer:
    """Answers from the retrieved pages in one call; satisfies `docrag.protocols.Answerer`.

    It holds no state between questions and may be used from several threads.
    """

    def __init__(self, parts: AnswerParts, options: SinglePassOptions | None = None) -> None:
        self._parts = parts
        self._options = options if options is not None else SinglePassOptions()
        viewer = Viewer(parts.corpus, parts.pictures, self._options.context)
        self._pass = OnePass(parts.corpus, viewer, PROMPT, self._options.prompt, self._options.citing)
        self._finisher = Finisher(parts.corpus, unfinished=parts.unfinished)

    def answer(self, query: Query, *, listener: Listener = SILENCE) -> Answer:
        """Answer with verified citations, or abstain with a reason.

        Raises
        ------
        ModelError, Cancelled
            The model failed or refused, or the run was called off.
        """
        run = self._parts.runs.start(listener)
        hits = search_for(run, self._parts.search, query, k=self._options.n_pages)
        try:
            outcome = self._pass.answer(run, query.text, hits)
        except BudgetExceeded as error:
            return self._finisher.broken_off(run, query, error)
        return self._finisher.conclude(run, query, outcome)
