"""A corpus in memory: pages given as texts, words counted, vectors of letters."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from docrag.geometry import Box
from docrag.protocols import EncoderIdentity
from docrag.types import (
    Chunk,
    Document,
    OutlineEntry,
    Page,
    PageRef,
    Query,
    Region,
    RegionKind,
    Scope,
    Scored,
    Unit,
    UnitRef,
    Word,
    ranked,
)


def unit(doc: str, page_no: int, chunk_no: int = 0) -> UnitRef:
    return UnitRef(doc, page_no, chunk_no, f"id-{doc}")


def make_page(page_no: int, text: str, *, label: str = "") -> Page:
    """One chunk and region per paragraph; line n starts at y = 20 n, a letter is 10 pt wide and high."""
    words: list[Word] = []
    chunks: list[Chunk] = []
    regions: list[Region] = []
    at = 0
    for line_no, line in enumerate(text.split("\n")):
        x = at
        for token in line.split():
            x = text.index(token, x)
            left = 10.0 * (x - at)
            box = Box(left, 20.0 * line_no, left + 10 * len(token), 20.0 * line_no + 10)
            words.append(Word(x, x + len(token), box, line_no, False))
            x += len(token)
        at += len(line) + 1
    start = 0
    for i, paragraph in enumerate(text.split("\n\n")):
        end = start + len(paragraph)
        box = Box(0, 10.0 * i, 500, 10.0 * i + 10)
        is_caption = paragraph.startswith(("Table", "Figure"))
        regions.append(Region(i, "caption" if is_caption else "text", box, start, end))
        kind: RegionKind = "table" if paragraph.startswith("Table") else "text"
        chunks.append(Chunk(i + 1, kind, paragraph, start, end, (box,), (i,)))
        start = end + 2
    return Page(
        page_no, label, 600, 800, 0, text, text, "text-layer", tuple(words), tuple(regions), tuple(chunks)
    )


class SmallCorpus:
    """`docrag.protocols.Corpus` over ``{doc: [page text, …]}``."""

    def __init__(
        self,
        texts: Mapping[str, Sequence[str]],
        *,
        labels: Mapping[str, Sequence[str]] | None = None,
        outlines: Mapping[str, Sequence[OutlineEntry]] | None = None,
    ) -> None:
        labels = labels or {}
        self.pages = {
            PageRef(f"id-{doc}", n): make_page(n, text, label=labels[doc][n - 1] if doc in labels else "")
            for doc, pages in texts.items()
            for n, text in enumerate(pages, 1)
        }
        self._documents = [
            Document(
                doc, f"id-{doc}", len(texts[doc]), len(texts[doc]), (), 1, 1, "toy",
                outline=tuple((outlines or {}).get(doc, ())),
            )
            for doc in sorted(texts)
        ]  # fmt: skip
        self.pages_read: list[PageRef] = []

    def documents(self) -> Sequence[Document]:
        return self._documents

    def select(self, scope: Scope) -> Sequence[Document]:
        return [
            d
            for d in self._documents
            if scope.docs is None or any(fnmatch.fnmatch(d.doc, name) for name in scope.docs)
        ]

    def page(self, ref: PageRef) -> Page:
        self.pages_read.append(ref)
        return self.pages[ref]

    def read_pages(self, refs: Iterable[PageRef]) -> Mapping[PageRef, Page]:
        return {ref: self.page(ref) for ref in dict.fromkeys(refs)}

    def chunk(self, unit: UnitRef) -> Chunk:
        return self.pages[unit.page].chunks[unit.chunk_no - 1]

    def page_labels(self, doc_id: str) -> Mapping[int, str]:
        return {ref.page_no: page.label for ref, page in self.pages.items() if ref.doc_id == doc_id}

    def chunk_kinds(self, doc_id: str) -> Mapping[tuple[int, int], RegionKind]:
        return {
            (ref.page_no, chunk.chunk_no): chunk.kind
            for ref, page in self.pages.items()
            if ref.doc_id == doc_id
            for chunk in page.chunks
        }

    def units(self, unit: Unit, scope: Scope) -> list[tuple[UnitRef, str]]:
        found: list[tuple[UnitRef, str]] = []
        for document in self.select(scope):
            for ref, page in self.pages.items():
                if ref.doc_id != document.doc_id or not scope.allows_page(ref.page_no):
                    continue
                whole = UnitRef(document.doc, ref.page_no, 0, ref.doc_id)
                if unit == "page":
                    found.append((whole, page.text))
                else:
                    found += [
                        (whole._replace(chunk_no=c.chunk_no), c.text)
                        for c in page.chunks
                        if scope.kinds is None or c.kind in scope.kinds
                    ]
        return found

    def search_text(self, text: str, *, unit: Unit, scope: Scope, k: int) -> list[Scored]:
        """Score by the number of distinct words shared."""
        asked = set(text.lower().split())
        hits = [Scored(u, float(len(asked & set(t.lower().split())))) for u, t in self.units(unit, scope)]
        return ranked([hit for hit in hits if hit.score > 0])[:k]

    def search_vector(self, vector: NDArray[np.float32], *, scope: Scope, k: int) -> list[Scored]:
        found = self.units("region", scope)
        hits = [Scored(u, float(letters(t) @ vector)) for u, t in found]
        return ranked(hits)[:k]


def letters(text: str) -> NDArray[np.float32]:
    """Counts of the letters a to h, scaled to unit length."""
    counts = np.array([text.lower().count(letter) for letter in "abcdefgh"], np.float32) + 1e-3
    return counts / np.linalg.norm(counts)


class LetterEmbedder:
    """`docrag.protocols.TextEmbedder` that counts letters."""

    def __init__(self) -> None:
        self.identity = EncoderIdentity("letters", "1", 8, "mean")
        self.queries: list[str] = []

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.queries += texts
        return np.stack([letters(text) for text in texts])

    embed_passages = embed_queries


class FixedRetriever:
    """Returns the same ranking for every query."""

    def __init__(self, name: str, ranking: Sequence[Scored]) -> None:
        self.name = name
        self._ranking = list(ranking)

    def retrieve(self, query: Query, *, k: int) -> list[Scored]:
        return self._ranking[:k]
