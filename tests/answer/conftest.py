"""Pages, corpora and searches made by hand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pytest

from docrag.chat.events import SILENCE, Listener
from docrag.geometry import Box, union_box
from docrag.types import (
    Chunk,
    Document,
    Hit,
    Page,
    PageFailure,
    PageRef,
    Query,
    Reason,
    Region,
    Scope,
    Scored,
    TraceStep,
    UnitRef,
    Usage,
    Word,
)

CHAR_PT, LINE_PT = 6.0, 14.0


def make_page(
    lines: Sequence[str | Sequence[tuple[float, str]]], *, page_no: int = 1, label: str | None = None
) -> Page:
    """A page of lines; a line is a text, or cells with the x where each begins. One region for all of it."""
    parts: list[str] = []
    words: list[Word] = []
    position = 0
    for line_no, line in enumerate(lines):
        cells = [(72.0, line)] if isinstance(line, str) else line
        for x0, text in cells:
            x = x0
            for token in text.split():
                box = Box(x, 72 + line_no * LINE_PT, x + CHAR_PT * len(token), 82 + line_no * LINE_PT)
                words.append(Word(position, position + len(token), box, line_no, False))
                parts.append(token + " ")
                position += len(token) + 1
                x += CHAR_PT * (len(token) + 0.5)
        if parts:
            parts[-1] = parts[-1][:-1] + "\n"
    text = "".join(parts)
    regions = ()
    if words:
        regions = (Region(0, "text", union_box(w.box for w in words), 0, len(text)),)
    chunks = tuple(Chunk(1, "text", text, r.start, r.end, (r.box,), (0,)) for r in regions)
    name = label if label is not None else str(page_no)
    return Page(
        page_no,
        name,
        595.0,
        842.0,
        0,
        text,
        text,
        "text-layer" if words else "none",
        tuple(words),
        regions,
        chunks,
    )


@dataclass(frozen=True)
class Found:
    hits: Sequence[Hit]
    warnings: Sequence[str] = ()
    usage: Usage = Usage()  # noqa: RUF009 - it is frozen
    steps: Sequence[TraceStep] = ()


class FakeCorpus:
    """A corpus of pages by document name; a page that is None failed. Searching counts words in common."""

    def __init__(self, pages: Mapping[str, Sequence[Page | None]]) -> None:
        self._documents = []
        self._pages = {}
        for doc, own in sorted(pages.items()):
            doc_id = f"id-{doc}"
            failures = tuple(
                PageFailure(n, Reason.PARSER_CRASH, "crashed")
                for n, page in enumerate(own, 1)
                if page is None
            )
            self._documents.append(
                Document(doc, doc_id, len(own), len(own) - len(failures), failures, 1, 1, "fake")
            )
            for page in own:
                if page is not None:
                    self._pages[PageRef(doc_id, page.page_no)] = page

    def documents(self) -> Sequence[Document]:
        return self._documents

    def select(self, scope: Scope) -> Sequence[Document]:
        return [
            document
            for document in self._documents
            if (scope.docs is None or document.doc in scope.docs)
            and all(document.metadata.get(key) == value for key, value in (scope.metadata or {}).items())
        ]

    def page(self, ref: PageRef) -> Page:
        return self._pages[ref]

    def read_pages(self, refs: Iterable[PageRef]) -> Mapping[PageRef, Page]:
        return {ref: self._pages[ref] for ref in refs}

    def chunk(self, unit: UnitRef) -> Chunk:
        return self._pages[unit.page].chunks[unit.chunk_no - 1]

    def page_labels(self, doc_id: str) -> Mapping[int, str]:
        return {ref.page_no: page.label for ref, page in self._pages.items() if ref.doc_id == doc_id}

    def search_text(self, text: str, *, unit: str, scope: Scope, k: int) -> list[Scored]:
        asked = {w.strip("?,.").lower() for w in text.split()}
        found = []
        for document in self.select(scope):
            for page_no in self.page_labels(document.doc_id):
                page = self._pages[PageRef(document.doc_id, page_no)]
                shared = asked & {w.strip("?,.").lower() for w in page.text.split()}
                if shared and scope.allows_page(page_no):
                    found.append(
                        Scored(UnitRef(document.doc, page_no, 0, document.doc_id), float(len(shared)))
                    )
        return sorted(found, key=lambda s: (-s.score, s.unit))[:k]

    def search_vector(self, vector, *, scope: Scope, k: int) -> list[Scored]:
        return []

    def search(self, query: Query, *, k: int, listener: Listener = SILENCE) -> Found:
        scored = self.search_text(query.text, unit="page", scope=query.scope, k=k)
        return Found([self.hit(s.unit, s.score) for s in scored])

    def hit(self, unit: UnitRef, score: float = 1.0) -> Hit:
        return Hit(unit, self._pages[unit.page].label, score, {}, "")


@pytest.fixture
def page():
    """Builds a page; see `make_page`."""
    return make_page


@pytest.fixture
def corpus():
    """Builds a corpus; see `FakeCorpus`."""
    return FakeCorpus
