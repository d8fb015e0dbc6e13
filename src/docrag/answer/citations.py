"""Citations that can be checked: issued ids only, every quote looked up on its page and boxed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from docrag.answer.evidence import EvidenceLedger
from docrag.answer.plain_output import plain_output
from docrag.answer.quote_match import QuoteFinder
from docrag.geometry import Box
from docrag.protocols import Corpus
from docrag.types import Citation, Evidence, Page, PageRef

_SHOWN_CHARS = 60
"""How much of an id or a quote a warning repeats."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an answerer says supports its answer: evidence by id, and the words of it.

    `near` is the offset in `Page.text` where the quote is meant to stand, when the answerer knows it: a
    number may stand on a page many times.
    """

    evidence_id: str
    quote: str
    near: int | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """Citations that stand, numbered from 1 in the order of the claims, and what was removed or doubtful."""

    citations: tuple[Citation, ...]
    warnings: tuple[str, ...]


FindRegion = Callable[[Claim, Evidence, Page], Box | None]
"""Gives the box of the figure that a claim speaks of when its quote is not in the text; None for none."""


def no_region(_claim: Claim, _evidence: Evidence, _page: Page) -> None:
    """Know of no figure."""


def verify_citations(
    claims: Sequence[Claim], ledger: EvidenceLedger, corpus: Corpus, *, find_region: FindRegion = no_region
) -> Verified:
    """Keep the claims whose id was issued, and look every quote up in the text of the page it cites.

    A claim of an id that was not issued in this run is removed with a warning. A quote that does not stand on
    the page keeps its citation with support "none" and a warning; it gets no boxes but that of the figure
    that `find_region` names. Equal claims are merged.
    """
    citations: list[Citation] = []
    warnings: list[str] = []
    pages: dict[PageRef, tuple[Page, QuoteFinder]] = {}
    for claim in dict.fromkeys(claims):
        evidence = ledger.get(claim.evidence_id)
        if evidence is None:
            warnings.append(
                f"removed a citation of {_shown(claim.evidence_id)}: no evidence was issued under this id"
            )
            continue
        hit = evidence.hit
        ref = hit.unit.page
        if ref not in pages:
            try:
                page = corpus.page(ref)
            except KeyError:
                warnings.append(
                    f"removed a citation of {hit.doc}, page {hit.page_no}: the page is no longer in the index"
                )
                continue
            pages[ref] = page, QuoteFinder(page.text)
        page, finder = pages[ref]
        match = finder.find(claim.quote, near=claim.near)
        boxes: dict[Box, None] = {}
        for start, end in match.spans:
            boxes.update(dict.fromkeys(page.boxes_of(start, end)))
        quote = claim.quote
        if match.support == "none":
            region = find_region(claim, evidence, page)
            boxes = {} if region is None else {region: None}
            quote = plain_output(quote).text  # words of the model, not of the page
            what = f"the quote {_shown(quote)} is not on the page" if quote else "cited without a quote"
            if region is not None:
                what += "; the citation points to the figure or region meant"
            warnings.append(f"{hit.doc}, page {hit.page_no}: {what}")
        citations.append(
            Citation(
                n=len(citations) + 1,
                evidence_id=claim.evidence_id,
                doc=hit.doc,
                doc_id=hit.unit.doc_id,
                page_no=hit.page_no,
                page_label=page.label,
                boxes=tuple(boxes),
                page_size=page.size,
                quote=quote,
                support=match.support,
            )
        )
    return Verified(tuple(citations), tuple(warnings))


def _shown(text: str) -> str:
    """Return the text for a warning, quoted; characters that look alike or do not print are escaped."""
    if "//" in text or ":" in text:  # what was refused as a citation is no way to show an address either
        text = plain_output(text).text
    return ascii(text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…")
