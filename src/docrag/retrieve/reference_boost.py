"""Lift the pages, captions and sections that a question names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from docrag.protocols import Corpus
from docrag.retrieve.printed_numbers import edge_numbers, number_offsets
from docrag.retrieve.references import References, caption_kind, references_in
from docrag.types import Document, Fused, Page, PageRef, Query, Scope, Scored, UnitRef, ranked

PAGE_LIFT = 1.0
CAPTION_LIFT = 0.5
SECTION_LIFT = 0.25
"""How strongly each kind of reference speaks for a page: a section has many, a caption is often elsewhere
mentioned, a page number means one page or, printed against physical, two."""

MAX_DOCUMENTS = 5
"""Page 17 is looked for in the documents in question, or else in this many that the ranking favours."""

N_SAMPLED = 12
"""Pages read, evenly spread, to find out how printed and physical page numbers differ."""

N_CAPTION_PAGES = 20
"""Best pages whose captions are read when a question names a table or figure."""

_CAPTION_START = re.compile(
    r"\W*(?P<kind>[^\W\d_]+)\.?\s*(?:no\.?\s*)?(?P<number>\d{1,3}(?:[.-]\d{1,3})*)\b", re.IGNORECASE
)


class ReferenceBoost:
    """Resolves "page 17" by printed and physical number, "Table 3" by caption, "Section 2" by outline."""

    name = "references"

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._offsets: dict[str, tuple[int, ...]] = {}

    def lift(self, query: Query, fused: Sequence[Fused]) -> list[Scored]:
        """Units that the question names, best first; nothing when it names none."""
        references = references_in(query.text)
        lifts: dict[PageRef, float] = {}
        documents = {d.doc_id: d for d in self._documents(query.scope, fused)}

        def add(doc_id: str, page_nos: Iterable[int], strength: float) -> None:
            for page_no in page_nos:
                if query.scope.allows_page(page_no):
                    page = PageRef(doc_id, page_no)
                    lifts[page] = max(strength, lifts.get(page, 0.0))

        for document in documents.values():
            if references.names_pages:
                add(document.doc_id, self._pages_named(document, references), PAGE_LIFT)
            for section in references.sections:
                add(document.doc_id, _section_pages(document, section), SECTION_LIFT)
        if references.captions:
            candidates = self._caption_candidates(query, fused, references)
            for ref, page in self._corpus.read_pages(candidates).items():
                if _has_caption(page, references.captions):
                    add(ref.doc_id, [ref.page_no], CAPTION_LIFT)
        if not lifts:
            return []
        names = {d.doc_id: d.doc for d in self._corpus.documents()}
        return ranked(
            [
                Scored(unit, strength)
                for page, strength in lifts.items()
                for unit in self._units(UnitRef(names[page.doc_id], page.page_no, 0, page.doc_id), query)
            ]
        )

    def _documents(self, scope: Scope, fused: Sequence[Fused]) -> Sequence[Document]:
        """The documents in question: all of a small scope, else those of the best pages."""
        allowed = self._corpus.select(scope)
        if len(allowed) <= MAX_DOCUMENTS:
            return allowed
        favoured = list(dict.fromkeys(f.unit.doc_id for f in fused))[:MAX_DOCUMENTS]
        return [document for document in allowed if document.doc_id in favoured]

    def _pages_named(self, document: Document, references: References) -> set[int]:
        labels = self._corpus.page_labels(document.doc_id)
        wanted = references.labels | {str(number) for number in references.numbers}
        found = {page_no for page_no, label in labels.items() if label.strip().lower() in wanted}
        found |= references.numbers & labels.keys()
        found |= {document.n_pages + 1 - n for n in references.from_end} & labels.keys()
        if references.numbers and all(label in ("", str(page_no)) for page_no, label in labels.items()):
            for offset in self._printed_offsets(document):
                found |= {number - offset for number in references.numbers} & labels.keys()
        return found

    def _printed_offsets(self, document: Document) -> tuple[int, ...]:
        """Distances of printed to physical page numbers, but for 0; found once per document."""
        if document.doc_id not in self._offsets:
            page_nos = sorted(self._corpus.page_labels(document.doc_id))
            step = max(1, len(page_nos) // N_SAMPLED)
            sample = [PageRef(document.doc_id, page_no) for page_no in page_nos[step // 2 :: step]]
            pages = self._corpus.read_pages(sample)
            edges = {ref.page_no: edge_numbers(page) for ref, page in pages.items()}
            self._offsets[document.doc_id] = tuple(o for o in number_offsets(edges) if o != 0)
        return self._offsets[document.doc_id]

    def _caption_candidates(
        self, query: Query, fused: Sequence[Fused], references: References
    ) -> list[PageRef]:
        """Pages worth opening: the best of the ranking, and those that mention the figure or table at all."""
        text = " ".join(f"{kind} {number}" for kind, number in sorted(references.captions))
        mentions = self._corpus.search_text(text, unit="page", scope=query.scope, k=N_CAPTION_PAGES)
        pages = [f.unit.page for f in fused[:N_CAPTION_PAGES]] + [m.unit.page for m in mentions]
        return list(dict.fromkeys(pages))

    def _units(self, page: UnitRef, query: Query) -> list[UnitRef]:
        if query.unit == "page":
            return [page]
        return [page._replace(chunk_no=chunk.chunk_no) for chunk in self._corpus.page(page.page).chunks]


def _has_caption(page: Page, wanted: frozenset[tuple[str, str]]) -> bool:
    """Whether a caption region, or a line of the page, opens with one of the wanted labels."""
    openings = [page.text[region.start : region.end] for region in page.regions if region.kind == "caption"]
    for text in [*openings, *page.text.splitlines()]:
        match = _CAPTION_START.match(text)
        if match and (caption_kind(match["kind"]), match["number"]) in wanted:
            return True
    return False


def _section_pages(document: Document, number: str) -> range:
    """Pages of the outline entry with this number; empty when the outline has none."""
    title = re.compile(
        rf"(?:(?:section|chapter|part|appendix|annex)\s+)?{re.escape(number)}(?![\w.]*\w)", re.IGNORECASE
    )
    for i, entry in enumerate(document.outline):
        if title.match(entry.title.strip()):
            later = [e.page_no for e in document.outline[i + 1 :] if e.level <= entry.level]
            last = max(entry.page_no, later[0] if later else document.n_pages)
            return range(entry.page_no, last + 1)
    return range(0)
