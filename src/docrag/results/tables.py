"""Results as pandas tables, one row a citation or hit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docrag.optional import require
from docrag.report.shapes import citation_values, hit_values
from docrag.retrieve.stage import SearchResult
from docrag.types import Answer

if TYPE_CHECKING:
    from pandas import DataFrame

_CITATION_COLUMNS = ("n", "doc", "doc_id", "page", "page_label", "boxes", "page_size", "quote", "support")
_HIT_COLUMNS = ("rank", "doc", "doc_id", "page", "page_label", "region_id", "kind", "box", "score", "snippet")


def citation_frame(answer: Answer) -> DataFrame:
    """Citations in order; the columns are those of ``ask --json``, and there when there is no row, too."""
    return _frame([citation_values(citation) for citation in answer.citations], list(_CITATION_COLUMNS))


def hit_frame(result: SearchResult) -> DataFrame:
    """Hits best first, with a column of scores for every retriever (missing where it did not return one)."""
    names = list(result.rankings)
    rows: list[dict[str, Any]] = []
    for rank, hit in enumerate(result.hits, 1):
        values = hit_values(hit)
        region = values["region"] or {}
        scores = {f"score_{name}": source.score for name, source in hit.sources.items()}
        place = {"region_id": region.get("id"), "kind": region.get("kind"), "box": region.get("box")}
        rows.append({"rank": rank, **values, **place, **scores})
    return _frame(rows, [*_HIT_COLUMNS, *(f"score_{name}" for name in names)])


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> DataFrame:
    pandas = require("pandas", extra="pandas", purpose="a result as a table")
    return pandas.DataFrame(rows, columns=columns)
