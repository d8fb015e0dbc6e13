"""Full-text search: the one place that says how text is cut into terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lancedb.index import FTS
from lancedb.query import FullTextOperator, MatchQuery
from lancedb.table import Table

from docrag.store.schema import CHUNKS, PAGES, SEARCHED
from docrag.store.snapshot import PageRanges, Snapshot
from docrag.types import Document, Scored, Unit, UnitRef, ranked

SETTINGS: Mapping[str, Any] = {
    "base_tokenizer": "simple",
    "language": "English",
    "lower_case": True,
    "stem": True,
    "remove_stop_words": True,
    "ascii_folding": True,
    "max_token_length": 40,
    "with_position": False,
}
"""Tokenizer settings of both full-text indices; kept in the manifest, so a change rebuilds them."""

SCORE_DIGITS = 4
"""Scores are rounded to what LanceDB's float32 sums can tell apart, so that equal texts tie."""

_OVERFETCH = 32


def build(table: Table, column: str) -> None:
    """Build the index of `column` anew over all rows of `table`, replacing the old one in one commit."""
    table.create_index(column, config=FTS(**SETTINGS), replace=True)


def match_any(text: str, column: str) -> MatchQuery:
    """Return the query for rows that hold any term of `text`; nothing in it is an operator."""
    return MatchQuery(
        text,
        column,
        boost=1.0,
        fuzziness=0,
        max_expansions=50,
        operator=FullTextOperator.OR,
        prefix_length=0,
        document_granularity=None,
    )


def search(
    snapshot: Snapshot, text: str, *, unit: Unit, docs: Sequence[Document], pages: PageRanges | None, k: int
) -> list[Scored]:
    """Return the `k` best pages or chunks of `docs` that share a term with `text`, best first."""
    table = PAGES if unit == "page" else CHUNKS
    where = snapshot.where(table, docs, pages)
    columns = ["ingest_id", "page_no", "_score"] + (["chunk_no"] if table == CHUNKS else [])
    limit = k + _OVERFETCH
    while True:
        query = (
            snapshot.tables[table].search(match_any(text, SEARCHED[table]), query_type="fts").select(columns)
        )
        if where is not None:
            query = query.where(where, prefilter=True)
        rows = query.limit(limit).to_arrow().to_pylist()
        found: list[Scored] = []
        for row in rows:
            document = snapshot.document_of[row["ingest_id"]]
            place = UnitRef(document.doc, row["page_no"], row.get("chunk_no", 0), document.doc_id)
            found.append(Scored(place, round(float(row["_score"]), SCORE_DIGITS)))
        found = ranked(found)
        # Units that tie with the last one may lie beyond the limit; then the tie is not broken by name yet.
        if len(rows) < limit or found[k - 1].score > found[-1].score:
            return found[:k]
        limit *= 4
