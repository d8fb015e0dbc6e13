"""Full-text search: BM25 of LanceDB over the terms that `docrag.store.terms` cuts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lancedb.index import FTS
from lancedb.query import FullTextOperator, LanceQueryBuilder, MatchQuery
from lancedb.table import Table

from docrag.store import terms
from docrag.store.schema import CHUNKS, PAGES, SEARCHED
from docrag.store.selection import Place
from docrag.store.snapshot import Snapshot
from docrag.types import Scored, Unit, UnitRef, ranked

SETTINGS: Mapping[str, Any] = {
    "base_tokenizer": "whitespace",
    "language": "English",
    "lower_case": False,
    "stem": True,
    "remove_stop_words": False,
    "ascii_folding": True,
    "max_token_length": 80,
    "with_position": False,
}
"""Tokenizer settings of both full-text indices; kept in the manifest, so a change rebuilds them."""

SCORE_DIGITS = 4
"""Scores are rounded to what LanceDB's float32 sums can tell apart, so that equal texts tie."""

WORD_REPEATS = 2
"""How often a word counts where a word pair counts once. As the weight of a pair beside a word, Recall@5 is
flat from 0.3 to 0.7 on a development set."""

_OVERFETCH = 32
"""Units fetched beside twice as many as are wanted: another search costs more than all of them."""


def build(table: Table, column: str) -> None:
    """Build the index of `column` anew over all rows of `table`, replacing the old one in one commit."""
    table.create_index(column, config=FTS(**SETTINGS), replace=True)


def match_terms(text: str, column: str) -> MatchQuery | None:
    """Return the query for the words of `text` and, with less weight, its word pairs; None without words.

    Nothing in `text` is an operator. A term that stands in a query twice counts twice, so one flat query
    weighs words over pairs; a Boolean query over two boosted ones scores the same rows three times slower,
    since LanceDB then scores every row that has any of the terms.
    """
    found = terms.words(text)
    if not found:
        return None
    words, pairs = dict.fromkeys(found), dict.fromkeys(terms.pairs(found))
    return MatchQuery(
        " ".join([*words] * WORD_REPEATS + [*pairs]),
        column,
        boost=1 / WORD_REPEATS,
        fuzziness=0,
        max_expansions=50,
        operator=FullTextOperator.OR,
        prefix_length=0,
        document_granularity=None,
    )


def search(snapshot: Snapshot, text: str, place: Place, *, unit: Unit, k: int) -> list[Scored]:
    """Return the `k` best pages or chunks of a place that share a term with `text`, best first."""
    table = PAGES if unit == "page" else CHUNKS
    match = match_terms(text, SEARCHED[table])
    if match is None:
        return []
    where = snapshot.where(table, place)
    limit = 2 * k + _OVERFETCH
    while True:
        query = snapshot.tables[table].search(match, query_type="fts")
        if where is not None:
            query = query.where(where, prefilter=True)
        query = query.limit(limit)
        rows = _pages(snapshot, query) if unit == "page" else _chunks(snapshot, query)
        found = ranked([Scored(key, round(score, SCORE_DIGITS)) for key, score in rows])
        # Units that tie with the last one may lie beyond the limit; then the tie is not broken by name yet.
        if len(found) < limit or found[k - 1].score > found[-1].score:
            return found[:k]
        limit *= 4


def _pages(snapshot: Snapshot, query: LanceQueryBuilder) -> list[tuple[UnitRef, float]]:
    """Pages by the places of their rows, which are in memory: fetching columns takes as long again."""
    rows = query.select(["_score"]).with_row_id(True).to_arrow()
    row_ids, scores = rows.column("_rowid").to_pylist(), rows.column("_score").to_pylist()
    return [(snapshot.page_units[row_id], score) for row_id, score in zip(row_ids, scores, strict=True)]


def _chunks(snapshot: Snapshot, query: LanceQueryBuilder) -> list[tuple[UnitRef, float]]:
    """Chunks by the columns that name them; their places are not kept, since there are many times more."""
    rows = query.select(["ingest_id", "page_no", "chunk_no", "_score"]).to_arrow().to_pylist()
    named = [(snapshot.document_of[row["ingest_id"]], row) for row in rows]
    return [(UnitRef(d.doc, row["page_no"], row["chunk_no"], d.doc_id), row["_score"]) for d, row in named]
