"""Candidates by token retrieval with imputed similarities (XTR; Lee et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.multivectors import MultiVectors
from docrag.late_interaction.token_lists import (
    Retrieved,
    TokenLists,
    imputed_scores,
    largest,
    make_token_lists,
    retrieve_tokens,
)
from docrag.late_interaction.view import Selection, VectorPart, VectorView
from docrag.retrieve.visual.candidates import StoredColumns
from docrag.retrieve.visual.ranking import best_rows


class TokenCandidates:
    """Looks only at vectors near to those of the query, and guesses the similarities it has not seen.

    Parameters
    ----------
    n_probes
        Inverted lists looked into per query vector and segment.
    k_tokens
        Vectors retrieved per query vector, over all segments.
    """

    misses_nothing = False

    def __init__(self, *, n_probes: int = 4, k_tokens: int = 10_000) -> None:
        self.name = "tokens"
        self.column_names: Sequence[str] = ("tokens-centroids", "tokens-members", "tokens-starts")
        self._n_probes = n_probes
        self._k = k_tokens
        self._stored = StoredColumns(self.columns)

    def columns(self, vectors: MultiVectors) -> dict[str, NDArray[Any]]:
        """Centroids, and the vectors in the list of each."""
        lists = make_token_lists(vectors)
        return dict(zip(self.column_names, (lists.centroids, lists.tokens, lists.starts), strict=True))

    def shortlist(
        self, query: NDArray[np.float32], view: VectorView, selections: Sequence[Selection], *, n: int
    ) -> list[Selection]:
        """The rows with the best scores from retrieved tokens."""
        del view
        return best_rows(selections, self.scores(query, selections), n=n)

    def scores(
        self, query: NDArray[np.float32], selections: Sequence[Selection]
    ) -> list[NDArray[np.float32]]:
        """Scores of the selected rows, selection by selection; only their tokens are retrieved."""
        found = [self._retrieve(query, part, rows) for part, rows in selections]
        top = np.concatenate([np.empty((len(query), 0), np.float32), *(one.top for one in found)], axis=1)
        top = largest(top, k=self._k)
        return [imputed_scores(one.best, top, k=self._k) for one in found]

    def _retrieve(self, query: NDArray[np.float32], part: VectorPart, rows: NDArray[np.int64]) -> Retrieved:
        lists = TokenLists(*self._stored.of(part, self.column_names))
        tokens = lists.near(query, n_probes=self._n_probes)
        return retrieve_tokens(query, part.vectors, rows, tokens, k=self._k)
