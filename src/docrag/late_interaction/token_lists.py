"""Inverted lists over token vectors, and scores from tokens found in them (XTR; Lee et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.multivectors import MultiVectors

MOST_LISTS = 2048
"""Lists of one segment at most: assigning a vector to one of more costs more than encoding its page saves."""

SAMPLE_PER_LIST = 48
"""Vectors per list that the centroids are learnt from."""

N_ITERATIONS = 5
BLOCK_VECTORS = 16_384

SEED = 0


@dataclass(frozen=True, slots=True)
class TokenLists:
    """Every vector of a segment in the list of its nearest centroid.

    Attributes
    ----------
    centroids
        ``(n_lists, dim) float16``, of unit length.
    tokens
        ``(n_vectors,) int32``: rows of the segment's codes, list by list, ascending within each.
    starts
        ``(n_lists + 1,) int64``: list ``i`` is ``tokens[starts[i]:starts[i + 1]]``.
    """

    centroids: NDArray[np.float16]
    tokens: NDArray[np.int32]
    starts: NDArray[np.int64]

    def near(self, query: NDArray[np.float32], *, n_probes: int) -> NDArray[np.int64]:
        """Rows in the `n_probes` lists nearest to any of the query vectors, ascending."""
        products = query @ self.centroids.astype(np.float32).T
        nearest = np.argsort(-products, axis=1, kind="stable")[:, :n_probes]
        lists = np.unique(nearest)
        chosen = [self.tokens[self.starts[i] : self.starts[i + 1]] for i in lists]
        return np.sort(np.concatenate([*chosen, np.empty(0, np.int32)])).astype(np.int64)


def make_token_lists(units: MultiVectors) -> TokenLists:
    """Cluster the vectors of all units by spherical k-means, in about ``4 √n`` lists (a power of 2).

    Learnt from a sample, with a fixed seed; memory does not grow with the number of vectors.
    """
    n_vectors = int(units.offsets[-1])
    if not n_vectors:
        return TokenLists(np.zeros((0, units.dim), np.float16), np.zeros(0, np.int32), np.zeros(1, np.int64))
    n_lists = min(2 ** round(np.log2(4 * np.sqrt(n_vectors))), MOST_LISTS, n_vectors)
    random = np.random.default_rng(SEED)
    sample = np.sort(random.choice(n_vectors, min(n_vectors, n_lists * SAMPLE_PER_LIST), replace=False))
    vectors = units.rows(sample)
    # Blank margins give one vector many times over; each different one may start a list once.
    centroids = np.unique(vectors[random.permutation(len(vectors))[: 4 * n_lists]], axis=0)
    centroids = centroids[random.permutation(len(centroids))[:n_lists]]
    for _ in range(N_ITERATIONS):
        centroids = _means(vectors, _nearest(vectors, centroids), centroids)
    centroids = centroids.astype(np.float16)
    compared = centroids.astype(np.float32)
    labels = np.empty(n_vectors, np.int32)
    for start in range(0, n_vectors, BLOCK_VECTORS):
        rows = np.arange(start, min(start + BLOCK_VECTORS, n_vectors))
        labels[rows] = _nearest(units.rows(rows), compared)
    tokens = np.argsort(labels, kind="stable").astype(np.int32)
    sizes = np.bincount(labels, minlength=len(centroids))
    starts = np.concatenate([[0], np.cumsum(sizes[sizes > 0])])
    return TokenLists(centroids[sizes > 0], tokens, starts.astype(np.int64))


def _nearest(vectors: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.concatenate(
        [
            np.argmax(vectors[start : start + BLOCK_VECTORS] @ centroids.T, axis=1)
            for start in range(0, len(vectors), BLOCK_VECTORS)
        ]
    )


def _means(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], before: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Directions of the means of every list; a list without vectors keeps its centroid."""
    order = np.argsort(labels, kind="stable")
    filled, starts = np.unique(labels[order], return_index=True)
    sums = np.add.reduceat(vectors[order], starts, axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    after = before.copy()
    after[filled] = np.where(lengths > 0, sums / np.maximum(lengths, 1e-12), before[filled])
    return after


@dataclass(slots=True)
class Retrieved:
    """What was found of some units: the best similarity of each to every query vector, and the very best.

    Attributes
    ----------
    best
        ``(n_query_vectors, n_units) float32``; −inf where no token was found.
    top
        ``(n_query_vectors, at most k) float32``: the largest similarities, in no order.
    """

    best: NDArray[np.float32]
    top: NDArray[np.float32]


def retrieve_tokens(
    query: NDArray[np.float32],
    units: MultiVectors,
    rows: NDArray[np.int64],
    tokens: NDArray[np.int64],
    *,
    k: int,
) -> Retrieved:
    """Compare every query vector with the `tokens` of the units `rows`; tokens of other units are left out.

    Works in blocks of 16,384 tokens, whatever their number; `rows` and `tokens` ascend.
    """
    place_of = np.full(len(units), -1, np.int64)
    place_of[rows] = np.arange(len(rows))
    best = np.full((len(query), len(rows)), -np.inf, np.float32)
    top = np.empty((len(query), 0), np.float32)
    places = place_of[np.searchsorted(units.offsets, tokens, side="right") - 1]
    tokens, places = tokens[places >= 0], places[places >= 0]
    for start in range(0, len(tokens), BLOCK_VECTORS):
        of_block = places[start : start + BLOCK_VECTORS]
        products = query @ units.rows(tokens[start : start + BLOCK_VECTORS]).T
        found, starts = np.unique(of_block, return_index=True)
        best[:, found] = np.maximum(best[:, found], np.maximum.reduceat(products, starts, axis=1))
        top = largest(np.concatenate([top, products], axis=1), k=k)
    return Retrieved(best, top)


def largest(values: NDArray[np.float32], *, k: int) -> NDArray[np.float32]:
    """The `k` largest numbers of every row, in no order; all of them when there are fewer."""
    n = values.shape[1]
    return values if n <= k else np.partition(values, n - k, axis=1)[:, n - k :]


def imputed_scores(best: NDArray[np.float32], top: NDArray[np.float32], *, k: int) -> NDArray[np.float32]:
    """Scores of units from retrieved tokens alone, ``(n_units,)`` (Lee et al. 2023, eq. 3, without the mean).

    Every query vector retrieves its `k` most similar tokens of all units. A unit gets the best of its own
    among them; where it has none, the similarity is at most that of the last one retrieved, which is put in.
    With fewer than `k` tokens to retrieve, that is the least similar.
    """
    if not top.shape[1]:
        return np.zeros(best.shape[1], np.float32)
    lowest = largest(top, k=k).min(axis=1, keepdims=True)
    return np.maximum(best, lowest).sum(axis=0)
