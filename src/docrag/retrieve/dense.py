"""Retrieval by meaning."""

from __future__ import annotations

from collections.abc import Callable

from docrag.protocols import Corpus, TextEmbedder
from docrag.retrieve.question import meaning_query
from docrag.types import Query, Scored, UnitRef, ranked

CHUNKS_PER_PAGE = 5
"""Chunks asked for per page wanted at first; pages of prose have about 4 chunks of 120 words."""


class DenseRetriever:
    """Cosine similarity of the question to chunks; a page scores as its best chunk."""

    def __init__(self, corpus: Corpus, embedder: TextEmbedder, *, name: str = "dense") -> None:
        self.name = name
        self._corpus = corpus
        self._embedder = embedder

    def retrieve(self, query: Query, *, k: int) -> list[Scored]:
        """At most `k` units, best first; every unit with text in the scope has a score."""
        if not query.text.strip():
            return []
        vector = self._embedder.embed_queries([meaning_query(query.text)])[0]
        if query.unit == "region":
            return self._corpus.search_vector(vector, scope=query.scope, k=k)
        return pages_by_chunk(lambda n: self._corpus.search_vector(vector, scope=query.scope, k=n), k=k)


def pages_by_chunk(search_chunks: Callable[[int], list[Scored]], *, k: int) -> list[Scored]:
    """`k` pages by their best chunk; `search_chunks` returns as many chunks as asked for, best first."""
    n_chunks = CHUNKS_PER_PAGE * k
    while True:
        chunks = search_chunks(n_chunks)
        pages = best_chunk_per_page(chunks)
        if len(pages) >= k or len(chunks) < n_chunks:
            return pages[:k]
        n_chunks *= 4


def best_chunk_per_page(chunks: list[Scored]) -> list[Scored]:
    """Pages with the score of their best chunk, best first."""
    best: dict[UnitRef, float] = {}
    for chunk in chunks:
        page = chunk.unit.as_page
        best[page] = max(chunk.score, best.get(page, chunk.score))
    return ranked([Scored(page, score) for page, score in best.items()])
