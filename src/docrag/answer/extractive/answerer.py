"""Answers without a model: the passage, cell, number or list that answers, quoted and boxed; or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from docrag.answer.abstention import reason_to_abstain, scope_warnings
from docrag.answer.citations import Claim, Verified, verify_citations
from docrag.answer.evidence import EvidenceLedger
from docrag.answer.extractive.confidence import Calibration, Judged, load_calibration
from docrag.answer.extractive.gather import Gathered, Gatherer
from docrag.answer.extractive.question_type import analyse
from docrag.answer.finish import nothing_unfinished
from docrag.answer.options import ExtractiveOptions
from docrag.answer.search import Search
from docrag.answer.spent import spent
from docrag.answer.trace import TraceBuilder
from docrag.chat.events import SILENCE, Listener, StepEvent
from docrag.protocols import Corpus
from docrag.types import NOT_ANSWERABLE, Abstention, Answer, Query, Usage

_TRACED = 5
"""Candidates shown in the trace."""


class ExtractiveAnswerer:
    """Answers from an index without any model; satisfies `docrag.protocols.Answerer`.

    The question is typed by what it asks, pages are retrieved, finders propose answers of that type with the
    places that carry them, and the one with the best calibrated confidence is given with verified citations,
    or withheld when its confidence is below the threshold. `unfinished` names documents whose indexing has
    not come to its end; while there are any, an abstention says that the index is incomplete.

    It holds no state between questions and may be used from several threads.
    """

    def __init__(
        self,
        corpus: Corpus,
        search: Search,
        options: ExtractiveOptions | None = None,
        *,
        calibration: Calibration | None = None,
        unfinished: Callable[[], Sequence[str]] = nothing_unfinished,
    ) -> None:
        self._corpus = corpus
        self._search = search
        self._options = options if options is not None else ExtractiveOptions()
        self._calibration = calibration if calibration is not None else load_calibration()
        self._unfinished = unfinished

    @property
    def threshold(self) -> float:
        """Least confidence at which an answer is given."""
        chosen = self._options.threshold
        return self._calibration.threshold if chosen is None else chosen

    def answer(self, query: Query, *, listener: Listener = SILENCE) -> Answer:
        """Answer with verified citations, or abstain with a reason."""
        trace = TraceBuilder()
        listener.on_event(StepEvent("find candidates", "searching the documents"))
        ledger = EvidenceLedger()
        with trace.step("read question") as detail:
            question = analyse(query.text)
            detail |= {"asks_for": str(question.kind), "words": " ".join(question.stems)}
            if question.operation is not None:
                detail["operation"] = str(question.operation)
        with trace.step("find candidates") as detail:
            search = partial(self._search, listener=listener)
            gatherer = Gatherer(self._corpus, search, n_pages=self._options.n_pages, ledger=ledger)
            gathered = gatherer.gather(question, query)
            detail["pages"] = [[v.evidence.hit.doc, v.page.page_no] for v in gathered.views]
            detail["n_candidates"] = len(gathered.candidates)
            if gathered.missing_names:
                detail["not_in_documents"] = list(gathered.missing_names)
        with trace.step("judge") as detail:
            judged = self._calibration.judge(gathered)
            confidence = self._calibration.probability(judged[0].score) if judged else 0.0
            detail |= {"confidence": round(confidence, 4), "threshold": self.threshold}
            detail["best"] = [[j.candidate.text, j.candidate.method] for j in judged[:_TRACED]]
        verified = Verified((), ())
        with trace.step("verify citations") as detail:
            if judged and confidence >= self.threshold:
                verified = self._verify(judged[0], ledger)
            detail["support"] = [c.support for c in verified.citations]
        given = any(c.support != "none" for c in verified.citations)
        return self._answer(query, gathered, judged, verified, confidence, trace, given=given, ledger=ledger)

    def _verify(self, best: Judged, ledger: EvidenceLedger) -> Verified:
        claims = [Claim(p.view.evidence.evidence_id, p.quote, p.start) for p in best.candidate.places]
        return verify_citations(claims, ledger, self._corpus)

    def _answer(
        self,
        query: Query,
        gathered: Gathered,
        judged: Sequence[Judged],
        verified: Verified,
        confidence: float,
        trace: TraceBuilder,
        *,
        given: bool,
        ledger: EvidenceLedger,
    ) -> Answer:
        unfinished = self._unfinished()
        warnings = [
            *scope_warnings(self._corpus, query.scope, unfinished=unfinished),
            *gathered.warnings,
            *verified.warnings,
        ]
        reason: Abstention | None = None
        if not given:
            with trace.step("abstain") as detail:
                reason = reason_to_abstain(self._corpus, query.scope, unfinished=unfinished)
                detail["reason"] = str(reason)
            if gathered.missing_names:
                warnings.append("not found in the documents: " + ", ".join(gathered.missing_names))
        cited = {c.evidence_id for c in verified.citations}
        shown = {v.evidence.evidence_id for v in gathered.views} | cited
        return Answer(
            question=query.text,
            text=judged[0].candidate.text if given else NOT_ANSWERABLE,
            abstained=not given,
            reason=reason,
            citations=verified.citations if given else (),
            evidence=tuple(e for e in ledger.issued if e.evidence_id in shown),
            usage=spent(Usage(elapsed_s=trace.elapsed_s), gathered.usage),
            warnings=tuple(warnings),
            trace=trace.build(),
            confidence=confidence,
        )
