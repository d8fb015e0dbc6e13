"""Made-up page vectors with the structure that real ones have, and questions whose page is known.

Patches of a page show a few of many concepts, common ones more often, each several times with noise, on top
of a direction that all vectors share. Half of a page's concepts are its document's. Random vectors would be
the worst case of every approximation and the best case of none. A question asks for some of its page's
concepts, for words that every page has, and for a needle: directions that a handful of patches of this one
page show.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DIM = 128
N_VECTORS = 1030
N_CONCEPTS = 4096
CONCEPTS_PER_PAGE = 60
PAGES_PER_DOCUMENT = 20
CONCEPTS_PER_DOCUMENT = 40
NEEDLE_PATCHES = 4
SHARED_WEIGHT = 0.7
NOISE = 0.6


class StructuredPages:
    """Page ``i`` is the same array whenever and wherever it is asked for."""

    def __init__(self, seed: int = 0, *, n_vectors: int = N_VECTORS) -> None:
        self._seed = seed
        self.n_vectors = n_vectors
        random = np.random.default_rng(seed)
        self._concepts = _unit(random.standard_normal((N_CONCEPTS, DIM), dtype=np.float32))
        self._shared = _unit(random.standard_normal((1, DIM), dtype=np.float32))
        weights = 1 / np.arange(1, N_CONCEPTS + 1) ** 0.7
        self._weights = weights / weights.sum()

    def page(self, index: int) -> NDArray[np.float32]:
        """``(n_vectors, DIM) float32`` unit vectors."""
        random = np.random.default_rng((self._seed, 1, index))
        shown = self._shown(index)
        vectors = self._concepts[random.choice(shown, self.n_vectors)]
        vectors = vectors + SHARED_WEIGHT * self._shared
        vectors += random.standard_normal(vectors.shape, dtype=np.float32) * (NOISE / np.sqrt(DIM))
        places = random.choice(self.n_vectors, NEEDLE_PATCHES, replace=False)
        vectors[places] = self._needles(index) + SHARED_WEIGHT * self._shared
        return _unit(vectors)

    def query(self, index: int, *, n_vectors: int = 20) -> NDArray[np.float32]:
        """A question that page `index` answers: 12 concepts, 4 words of every page, 4 needles (of 20)."""
        random = np.random.default_rng((self._seed, 2, index))
        n_needles = n_common = n_vectors // 5
        concepts = self._concepts[random.choice(self._shown(index), n_vectors - n_needles - n_common)]
        rows = np.concatenate(
            [concepts, np.zeros((n_common, DIM), np.float32), self._needles(index)[:n_needles]]
        )
        rows = rows + SHARED_WEIGHT * self._shared
        rows += random.standard_normal(rows.shape, dtype=np.float32) * (NOISE / np.sqrt(DIM))
        return _unit(rows)

    def _shown(self, index: int) -> NDArray[np.int64]:
        of_document = np.random.default_rng((self._seed, 5, index // PAGES_PER_DOCUMENT)).choice(
            N_CONCEPTS, CONCEPTS_PER_DOCUMENT, replace=False, p=self._weights
        )
        random = np.random.default_rng((self._seed, 3, index))
        own = random.choice(N_CONCEPTS, CONCEPTS_PER_PAGE // 2, replace=False, p=self._weights)
        return np.concatenate([random.choice(of_document, CONCEPTS_PER_PAGE // 2, replace=False), own])

    def _needles(self, index: int) -> NDArray[np.float32]:
        random = np.random.default_rng((self._seed, 4, index))
        return _unit(random.standard_normal((NEEDLE_PATCHES, DIM), dtype=np.float32))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
