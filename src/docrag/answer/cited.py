"""From a model's reply to sentences whose citations were verified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from docrag.answer.citations import Claim, verify_citations
from docrag.answer.evidence import EvidenceLedger
from docrag.answer.figures import figure_box
from docrag.answer.locate import passage_for
from docrag.answer.options import CitingOptions
from docrag.answer.plain_output import plain_output
from docrag.answer.quote_match import QuoteFinder
from docrag.answer.reply import CitedSentence, cited_ids, space_before, split_ids
from docrag.answer.run import Run
from docrag.chat.fence import unfenced
from docrag.geometry import Box
from docrag.protocols import Corpus
from docrag.types import Citation, Evidence, Page, Sentence

FENCE = "a copied marker of the prompt"
_SHOWN_CHARS = 80


@dataclass(frozen=True, slots=True)
class Cited:
    """Sentences of an answer and the citations that they name by number, numbered from 1."""

    sentences: tuple[Sentence, ...] = ()
    citations: tuple[Citation, ...] = ()

    @property
    def text(self) -> str:
        """The sentences in a row; items of a list begin lines."""
        text = ""
        for sentence in self.sentences:
            text += (space_before(sentence.text) if text else "") + sentence.text
        return text

    def supported(self, sentence: Sentence) -> bool:
        """Whether a citation of the sentence has its quote on the page, or points to a figure there."""
        return any(is_supported(c) for c in self.citations if c.n in sentence.citations)

    @property
    def is_supported(self) -> bool:
        """Whether any sentence is."""
        return any(is_supported(citation) for citation in self.citations)


NOTHING = Cited()


def is_supported(citation: Citation) -> bool:
    """Whether a citation was verified: its quote stands on the page, or the figure that is meant is known."""
    return citation.support != "none" or bool(citation.boxes)


def cite(
    run: Run, sentences: Sequence[CitedSentence], corpus: Corpus, options: CitingOptions | None = None
) -> Cited:
    """Verify the citations of what a model wrote; what is removed or doubtful becomes a warning of the run.

    Markup, addresses, invisible characters and copies of the prompt's fences are taken out of the sentences,
    and fences out of the quotes. Ids may stand in the citations
    or as marks in the text; only those issued in this run survive, each under its page's text: the quote is
    looked up; without a quote the passage that the sentence rests on is; where neither is found, the figure
    that is spoken of gets a box. Sentences without a verified citation are marked or dropped.
    """
    options = options if options is not None else CitingOptions()
    with run.trace.step("verify citations") as detail:
        written: list[tuple[str, list[Claim]]] = []
        said: dict[Claim, str] = {}
        removed: dict[str, None] = {}
        pages = _Pages(run.ledger, corpus)
        for sentence in sentences:
            text, marks, what = shown_text(sentence.text, options, marker=run.marker)
            removed.update(dict.fromkeys(what))
            if not text:
                continue
            claims = [
                pages.claim(evidence_id, unfenced(quoted.quote, run.marker).strip(), text)
                for quoted in sentence.citations
                for evidence_id in split_ids(quoted.id)
            ]
            named = {claim.evidence_id for claim in claims}
            claims += [pages.claim(mark, "", text) for mark in dict.fromkeys(marks) if mark not in named]
            for claim in claims:
                said[claim] = f"{said.get(claim, '')} {text} {claim.quote}"
            written.append((text, claims))
        if removed:
            run.warn(f"removed from the answer: {', '.join(removed)}")

        def find_region(claim: Claim, evidence: Evidence, page: Page) -> Box | None:
            return figure_box(page, evidence.hit, said=said[claim])

        every = [claim for _, claims in written for claim in claims]
        verified = verify_citations(every, run.ledger, corpus, find_region=find_region)
        for warning in verified.warnings:
            run.warn(warning)
        result = _judged(run, written, verified.citations, options)
        detail |= {
            "n_sentences": len(written),
            "n_claims": len(every),
            "n_citations": len(result.citations),
            "support": [citation.support for citation in result.citations],
        }
        return result


def renumbered(cited: Cited) -> Cited:
    """Number the citations from 1 in the order in which sentences name them; those that none names go."""
    by_n = {citation.n: citation for citation in cited.citations}
    numbers: dict[int, int] = {}
    for sentence in cited.sentences:
        for n in (*sentence.citations, *sentence.figures):
            numbers.setdefault(n, len(numbers) + 1)
    return Cited(
        tuple(
            replace(
                sentence,
                citations=tuple(numbers[n] for n in sentence.citations),
                figures=tuple(numbers[n] for n in sentence.figures),
            )
            for sentence in cited.sentences
        ),
        tuple(replace(by_n[old], n=new) for old, new in numbers.items()),
    )


def shown_text(text: str, options: CitingOptions, *, marker: str) -> tuple[str, list[str], tuple[str, ...]]:
    """A sentence as it is shown, the ids that marks in it name, and what was taken out of it.

    `marker` is the one that fences pages in the run's prompts.
    """
    own_words = unfenced(text, marker)
    without_marks, marks = cited_ids(own_words)
    plain = plain_output(without_marks, links=options.links)
    copied = () if own_words == text else (FENCE,)
    return plain.text.strip(), marks, (*plain.removed, *copied)


def _judged(
    run: Run,
    written: Sequence[tuple[str, Sequence[Claim]]],
    citations: Sequence[Citation],
    options: CitingOptions,
) -> Cited:
    """Sentences with what survived of their claims; those without are marked or dropped."""
    # Citations come in the order of the distinct claims that survived, and all claims of an id share a fate:
    # it was issued and its page is there, or not.
    by_claim: dict[Claim, Citation] = {}
    left = list(citations)
    for claim in dict.fromkeys(claim for _, claims in written for claim in claims):
        if left and left[0].evidence_id == claim.evidence_id:
            by_claim[claim] = left.pop(0)
    sentences: list[Sentence] = []
    for text, claims in written:
        own = [by_claim[claim] for claim in dict.fromkeys(claims) if claim in by_claim]
        if not any(is_supported(citation) for citation in own):
            shown = ascii(text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…")
            if options.unsupported == "drop":
                run.warn(f"left out a sentence that no evidence was found for: {shown}")
                continue
            run.warn(f"no evidence was found for: {shown}")
        sentences.append(Sentence(text, tuple(citation.n for citation in own)))
    return renumbered(Cited(tuple(sentences), tuple(citations)))


class _Pages:
    """The pages of the evidence, each read once, and claims on them."""

    def __init__(self, ledger: EvidenceLedger, corpus: Corpus) -> None:
        self._ledger = ledger
        self._corpus = corpus
        self._pages: dict[str, tuple[Page, QuoteFinder, int | None] | None] = {}

    def claim(self, evidence_id: str, quote: str, sentence: str) -> Claim:
        """The claim of a quote, or of the passage that the sentence rests on where there is no quote."""
        found = self._page(evidence_id)
        if found is None:
            return Claim(evidence_id, quote)
        page, finder, near = found
        if quote.strip():
            return Claim(evidence_id, quote, near)
        passage = passage_for(sentence, page, finder)
        if passage is None:
            return Claim(evidence_id, "", near)
        start, end = passage
        return Claim(evidence_id, " ".join(page.text[start:end].split()), start)

    def _page(self, evidence_id: str) -> tuple[Page, QuoteFinder, int | None] | None:
        if evidence_id not in self._pages:
            self._pages[evidence_id] = self._read(evidence_id)
        return self._pages[evidence_id]

    def _read(self, evidence_id: str) -> tuple[Page, QuoteFinder, int | None] | None:
        evidence = self._ledger.get(evidence_id)
        if evidence is None:
            return None
        unit = evidence.hit.unit
        try:
            page = self._corpus.page(unit.page)
            near = self._corpus.chunk(unit).start if unit.chunk_no else None
        except KeyError:
            return None
        return page, QuoteFinder(page.text), near
