"""Gathers possible answers: retrieve pages, look at them, run every finder."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from docrag.answer.evidence import EvidenceLedger
from docrag.answer.extractive.candidates import Candidate, Finder, Task
from docrag.answer.extractive.find_arithmetic import find_arithmetic
from docrag.answer.extractive.find_choices import find_choices
from docrag.answer.extractive.find_counts import find_counts, find_pages
from docrag.answer.extractive.find_lists import find_lists
from docrag.answer.extractive.find_phrases import find_extremes, find_phrases
from docrag.answer.extractive.find_ratios import find_ratios, find_statement_lines
from docrag.answer.extractive.find_values import find_values
from docrag.answer.extractive.question_type import Question
from docrag.answer.extractive.view import PageView, TermWeights
from docrag.answer.search import Search
from docrag.protocols import Corpus
from docrag.types import Document, Hit, Page, PageRef, Query, Scope, UnitRef, Usage

FINDERS: tuple[Finder, ...] = (
    find_ratios,
    find_statement_lines,
    find_values,
    find_arithmetic,
    find_counts,
    find_pages,
    find_choices,
    find_phrases,
    find_extremes,
    find_lists,
)
LOOK_UP_PAGES = 10
"""Pages retrieved for each further thing that an answer needs."""
MAX_DOCUMENT_PAGES = 120
"""Pages of one document that are read for questions about all of it; a longer one is not counted over."""
SIMILAR_SPELLING = 0.85
"""Likeness (`difflib`) from which a name of the question is taken for a misspelled one of the page."""
_EVIDENCE_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Gathered:
    """Pages and candidates for one question; `missing_names` it names, but no document in scope does.

    `warnings` are those of all searches, each once, and `usage` is what every search cost.
    """

    question: Question
    views: Sequence[PageView]
    candidates: Sequence[Candidate]
    weights: TermWeights
    missing_names: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    usage: tuple[Usage, ...] = ()


class Gatherer:
    """Runs retrieval and all finders for one question against one ledger."""

    def __init__(self, corpus: Corpus, search: Search, *, n_pages: int, ledger: EvidenceLedger) -> None:
        self._corpus = corpus
        self._search = search
        self._n_pages = n_pages
        self._ledger = ledger
        self._views: dict[PageRef, PageView] = {}
        self._warnings: dict[str, None] = {}
        self._usage: list[Usage] = []

    def gather(self, question: Question, query: Query) -> Gathered:
        """Retrieve pages for the question and collect every finder's candidates."""
        views = self._with_named_pages(
            question, self._retrieve(question.body, query.scope, self._n_pages), query.scope
        )
        scope = query.scope
        weights = self._weigh(question, scope)
        task = Task(
            question,
            views,
            weights,
            look_up=lambda text: self._look_up(text, scope),
            all_pages=lambda: self._all_pages(views, scope),
        )
        candidates = [c for finder in FINDERS for c in finder(task)] if question.content else []
        if any(c.method == "arithmetic" for c in candidates):  # the numbers themselves are not the answer
            candidates = [c for c in candidates if c.method != "number"]
        return Gathered(
            question,
            views,
            candidates,
            weights,
            _missing_names(question, views, weights),
            tuple(self._warnings),
            tuple(self._usage),
        )

    def _look_up(self, text: str, scope: Scope) -> list[PageView]:
        """Search for words that a finder made; they are no question that a model should reword."""
        return self._views_of(Query(text, scope=scope, is_literal=True), LOOK_UP_PAGES)

    def _retrieve(self, text: str, scope: Scope, k: int) -> list[PageView]:
        return self._views_of(Query(text, scope=scope), k)

    def _views_of(self, query: Query, k: int) -> list[PageView]:
        found = self._search(query, k=k)
        self._warnings |= dict.fromkeys(found.warnings)
        self._usage.append(found.usage)
        return [self._view(hit, rank) for rank, hit in enumerate(found.hits, 1)]

    def _view(self, hit: Hit, rank: int, page: Page | None = None) -> PageView:
        """The page of a hit as it was seen first; `page` where it was read already."""
        ref = hit.unit.page
        if ref not in self._views:
            page = page if page is not None else self._corpus.page(ref)
            evidence = self._ledger.issue(replace(hit, unit=hit.unit.as_page), page.text[:_EVIDENCE_CHARS])
            self._views[ref] = PageView(page, evidence, rank=rank)
        return self._views[ref]

    def _with_named_pages(self, question: Question, views: list[PageView], scope: Scope) -> list[PageView]:
        """Add the pages that the question names, by printed label, by number or by place, in front."""
        documents = self._corpus.select(scope)
        doc = next(
            (d for d in documents if len(documents) == 1 or (views and d.doc_id == views[0].page_ref.doc_id)),
            None,
        )
        if doc is None or not (question.pages or question.positions):
            return views
        labels = self._corpus.page_labels(doc.doc_id)
        by_label = {label: page_no for page_no, label in labels.items()}
        numbers = [
            by_label.get(str(n), n) for n in question.pages
        ]  # a page number is usually the printed one
        numbers += [self._page_at(doc, position) for position in question.positions]
        named: list[PageView] = []
        for page_no in dict.fromkeys(numbers):
            if page_no in labels and scope.allows_page(page_no):
                unit = UnitRef(doc.doc, page_no, 0, doc.doc_id)
                known = next((v for v in views if v.page_ref == unit.page), None)
                hit = Hit(unit=unit, page_label=labels[page_no], score=0.0, sources={}, snippet="")
                view = known or self._view(hit, 1)
                view.is_named = True
                named.append(view)
        return named + [v for v in views if v not in named]

    def _page_at(self, doc: Document, position: int) -> int:
        """Page number of the n-th page from the front, or from the back; blank pages are passed over."""
        step = 1 if position > 0 else -1
        page_no = position if position > 0 else doc.n_pages + 1 + position
        labels = self._corpus.page_labels(doc.doc_id)
        while page_no in labels and not self._corpus.page(PageRef(doc.doc_id, page_no)).text.strip():
            page_no += step
        return page_no

    def _all_pages(self, views: Sequence[PageView], scope: Scope) -> list[PageView]:
        """Every page of the only or the best document, unless it is longer than `MAX_DOCUMENT_PAGES`."""
        documents = self._corpus.select(scope)
        if len(documents) == 1:
            doc, doc_id = documents[0].doc, documents[0].doc_id
        elif views:
            doc, doc_id = views[0].evidence.hit.doc, views[0].page_ref.doc_id
        else:
            return []
        labels = self._corpus.page_labels(doc_id)
        if len(labels) > MAX_DOCUMENT_PAGES:
            return []
        units = [UnitRef(doc, page_no, 0, doc_id) for page_no in sorted(labels) if scope.allows_page(page_no)]
        pages = self._corpus.read_pages(unit.page for unit in units if unit.page not in self._views)
        found: list[PageView] = []
        for unit in units:
            hit = Hit(unit=unit, page_label=labels[unit.page_no], score=0.0, sources={}, snippet="")
            found.append(self._view(hit, len(views) + 1, pages.get(unit.page)))
        return found

    def _weigh(self, question: Question, scope: Scope) -> TermWeights:
        """Count in how many pages in scope each word of the question stands."""
        n_pages = sum(d.n_pages_indexed for d in self._corpus.select(scope))
        words = {t.stem: t.text for t in (*question.content, *question.entities)}
        counts = {
            stem: len(self._corpus.search_text(word, unit="page", scope=scope, k=max(1, n_pages)))
            for stem, word in words.items()
        }
        return TermWeights(n_pages, counts)


def _missing_names(question: Question, views: Sequence[PageView], weights: TermWeights) -> tuple[str, ...]:
    """Names and codes of the question that no page in scope has, not even in a similar spelling."""
    missing: list[str] = []
    for token in question.entities:
        if token.stem not in weights.missing:
            continue
        similar = token.stem.isalpha() and any(
            difflib.get_close_matches(token.stem, view.stems, 1, SIMILAR_SPELLING) for view in views
        )
        if not similar:
            missing.append(token.text)
    return tuple(dict.fromkeys(missing))
