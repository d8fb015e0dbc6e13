"""The answer of a run: given with its citations, or withheld with its reason, marked when it is partial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from docrag.answer.abstention import reason_to_abstain, scope_warnings
from docrag.answer.cited import Cited
from docrag.answer.one_pass import Outcome
from docrag.answer.run import Run
from docrag.answer.spent import spent
from docrag.errors import BudgetExceeded, DocragError
from docrag.protocols import Corpus
from docrag.types import NOT_ANSWERABLE, Abstention, Answer, Query


def nothing_unfinished() -> Sequence[str]:
    """Say that every document is indexed."""
    return ()


class Finisher:
    """Makes answers of runs over one index; `unfinished` names documents whose indexing has not ended."""

    def __init__(
        self, corpus: Corpus, *, unfinished: Callable[[], Sequence[str]] = nothing_unfinished
    ) -> None:
        self._corpus = corpus
        self._unfinished = unfinished

    def answer(
        self,
        run: Run,
        query: Query,
        cited: Cited,
        *,
        is_partial: bool = False,
        confidence: float | None = None,
    ) -> Answer:
        """Give an answer; one that has no sentence left is withheld."""
        if not cited.sentences:
            return self.abstain(run, query, confidence=confidence)
        return replace(
            self._empty(run, query),
            text=cited.text,
            abstained=False,
            citations=cited.citations,
            sentences=cited.sentences,
            is_partial=is_partial,
            confidence=confidence,
        )

    def conclude(self, run: Run, query: Query, outcome: Outcome) -> Answer:
        """Give what one pass gave, marked as partial when the model's reply broke off."""
        return self.answer(
            run,
            query,
            outcome.cited,
            is_partial=not outcome.is_complete,
            confidence=outcome.confidence,
        )

    def abstain(
        self, run: Run, query: Query, reason: Abstention | None = None, *, confidence: float | None = None
    ) -> Answer:
        """Withhold an answer; without a `reason` the state of the documents in scope gives it."""
        with run.trace.step("abstain") as detail:
            if reason is None:
                reason = reason_to_abstain(
                    self._corpus,
                    query.scope,
                    unfinished=self._unfinished(),
                    saw_pictures=run.saw_pictures,
                )
            detail["reason"] = str(reason)
        return replace(self._empty(run, query), reason=reason, confidence=confidence)

    def broken_off(self, run: Run, query: Query, error: DocragError, best: Cited | None = None) -> Answer:
        """Give the best supported answer so far, marked as partial, when a run cannot go on.

        Without one, a spent budget is an abstention; any other error is raised.
        """
        run.warn(f"stopped early: {error}")
        if best is not None and best.sentences:
            return self.answer(run, query, best, is_partial=True)
        if not isinstance(error, BudgetExceeded):
            raise error
        return self.abstain(run, query, Abstention.BUDGET_SPENT)

    def _empty(self, run: Run, query: Query) -> Answer:
        warnings = scope_warnings(self._corpus, query.scope, unfinished=self._unfinished())
        return Answer(
            question=query.text,
            text=NOT_ANSWERABLE,
            abstained=True,
            reason=None,
            citations=(),
            evidence=run.ledger.issued,
            usage=spent(run.meter.usage, run.search_usage),
            warnings=tuple(dict.fromkeys((*warnings, *run.warnings))),
            trace=run.trace.build(),
        )
