"""Retrieval by words."""

from __future__ import annotations

from docrag.protocols import Corpus
from docrag.retrieve.dense import pages_by_chunk
from docrag.retrieve.question import words_query
from docrag.types import Query, Scored


class Bm25Retriever:
    """BM25 of the index's full text over pages or chunks."""

    def __init__(self, corpus: Corpus, *, with_glossary: bool = True, name: str = "bm25") -> None:
        self.name = name
        self._corpus = corpus
        self._with_glossary = with_glossary

    def retrieve(self, query: Query, *, k: int) -> list[Scored]:
        """At most `k` units that share a word with the question, best first."""
        text = words_query(query.text, with_glossary=self._with_glossary)
        if not text:
            return []
        if query.unit == "page" and query.scope.kinds is not None:
            return pages_by_chunk(
                lambda n: self._corpus.search_text(text, unit="region", scope=query.scope, k=n), k=k
            )
        return self._corpus.search_text(text, unit=query.unit, scope=query.scope, k=k)
