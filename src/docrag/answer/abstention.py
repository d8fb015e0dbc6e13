"""Why an answer is withheld, and what stood in the way of a better one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from docrag.protocols import Corpus
from docrag.types import Abstention, Document, PageRef, Scope

UNREADABLE_SHARE = 0.5
"""Share of the pages in scope from which on unreadable pages, not the documents, are the reason."""
MAX_PAGES_CHECKED = 200
"""Up to so many pages in scope are read to see whether they are empty; failed pages are always counted."""
_LISTED = 5
"""Documents and pages named in a warning."""


def reason_to_abstain(
    corpus: Corpus, scope: Scope, *, unfinished: Sequence[str] = (), saw_pictures: bool = False
) -> Abstention:
    """Return why the documents in scope did not carry an answer.

    "index_incomplete" when nothing in scope is indexed, whatever its metadata, or documents are still being
    indexed (`unfinished`); "unreadable_pages" when at least half of the pages in scope failed or, unless
    whoever answers `saw_pictures` of pages, hold no text; else "not_in_documents".
    """
    documents = corpus.select(scope)
    # Where metadata alone leaves nothing, indexing again would not help.
    if unfinished or not (documents or corpus.select(replace(scope, metadata=None))):
        return Abstention.INDEX_INCOMPLETE
    n_pages = sum(scope.allows_page(n) for d in documents for n in range(1, d.n_pages + 1))
    n_unreadable = sum(len(failed_pages(d, scope)) for d in documents)
    if not saw_pictures and n_pages <= MAX_PAGES_CHECKED:
        n_unreadable += sum(len(empty_pages(corpus, d, scope)) for d in documents)
    if n_unreadable and n_unreadable >= UNREADABLE_SHARE * n_pages:
        return Abstention.UNREADABLE_PAGES
    return Abstention.NOT_IN_DOCUMENTS


def failed_pages(document: Document, scope: Scope) -> list[int]:
    """Pages in scope that could not be read."""
    return [failure.page_no for failure in document.failures if scope.allows_page(failure.page_no)]


def empty_pages(corpus: Corpus, document: Document, scope: Scope) -> list[int]:
    """Pages in scope that were read and hold no text."""
    labels = corpus.page_labels(document.doc_id)
    refs = [PageRef(document.doc_id, page_no) for page_no in labels if scope.allows_page(page_no)]
    pages = corpus.read_pages(refs)
    return [ref.page_no for ref in refs if not pages[ref].text.strip()]


def scope_warnings(corpus: Corpus, scope: Scope, *, unfinished: Sequence[str] = ()) -> list[str]:
    """Say which documents in scope have pages that failed, and which are still being indexed."""
    warnings: list[str] = []
    failed = [(d, pages) for d in corpus.select(scope) if (pages := failed_pages(d, scope))]
    for document, pages in failed[:_LISTED]:
        reasons = sorted({f.reason for f in document.failures if f.page_no in pages})
        which = ", ".join(map(str, pages[:_LISTED])) + (", …" if len(pages) > _LISTED else "")
        noun = "page" if len(pages) == 1 else "pages"
        warnings.append(
            f"{document.doc}: {len(pages)} {noun} could not be read ({which}; {', '.join(reasons)})"
        )
    if len(failed) > _LISTED:
        warnings.append(f"{len(failed) - _LISTED} more documents have pages that could not be read")
    if unfinished:
        names = ", ".join(unfinished[:_LISTED]) + (", …" if len(unfinished) > _LISTED else "")
        warnings.append(f"still being indexed: {names}; run docrag index to finish")
    return warnings
