"""Fixed dimensional encodings (MUVERA; Dhulipala et al. 2024): one vector that stands for many.

Space is cut into buckets by random hyperplanes. A query sums its vectors per bucket, a document averages
them, so the inner product adds, for every query vector, the mean product with the document's vectors that
lie in the same bucket. Several random cuts stand side by side. Encodings are compared by inner product and
must not be normalised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Fde:
    """One family of encodings; equal parameters give equal encodings on every machine.

    Attributes
    ----------
    n_repetitions
        Random cuts side by side.
    n_planes
        Hyperplanes per cut, so ``2 ** n_planes`` buckets.
    n_projected
        Dimensions that vectors are projected to, by random signs, before they are summed.
    seed
        Of planes and projections.
    """

    dim: int
    n_repetitions: int = 20
    n_planes: int = 4
    n_projected: int = 16
    seed: int = 42

    @property
    def name(self) -> str:
        """The parameters, as stored beside encodings."""
        return f"fde-{self.n_repetitions}x{2**self.n_planes}x{self.n_projected}-seed{self.seed}"

    @property
    def fde_dim(self) -> int:
        """Length of an encoding."""
        return self.n_repetitions * 2**self.n_planes * self.n_projected

    def encode_query(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(fde_dim,)``: sums per bucket; an empty bucket is zero."""
        return self._encode(vectors, is_document=False)

    def encode_document(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(fde_dim,)``: means per bucket; an empty bucket takes the vector nearest to it.

        Nearest means the fewest planes between them; the first of several.
        """
        return self._encode(vectors, is_document=True)

    def _encode(self, vectors: NDArray[np.float32], *, is_document: bool) -> NDArray[np.float32]:
        n_buckets = 2**self.n_planes
        result = np.zeros((self.n_repetitions, n_buckets, self.n_projected), np.float32)
        if not len(vectors):
            return result.ravel()
        planes, signs = self._randomness()
        bits = (vectors @ planes > 0).reshape(len(vectors), self.n_repetitions, self.n_planes)
        buckets = bits @ (1 << np.arange(self.n_planes))
        projected = (vectors @ signs).reshape(len(vectors), self.n_repetitions, self.n_projected)
        every = np.arange(n_buckets)
        n_planes_between = np.asarray([bucket.bit_count() for bucket in range(n_buckets)])
        for repetition in range(self.n_repetitions):
            order = np.argsort(buckets[:, repetition], kind="stable")
            filled, starts, counts = np.unique(
                buckets[order, repetition], return_index=True, return_counts=True
            )
            sums = np.add.reduceat(projected[order, repetition], starts, axis=0)
            result[repetition, filled] = sums / counts[:, None] if is_document else sums
            if is_document and len(filled) < n_buckets:
                empty = np.setdiff1d(every, filled, assume_unique=True)
                # All vectors of a bucket are equally near; the first in document order stands for it.
                distances = n_planes_between[empty[:, None] ^ filled[None]]
                first_members = order[starts]
                ranks = distances * len(vectors) + first_members[None]
                nearest = first_members[np.argmin(ranks, axis=1)]
                result[repetition, empty] = projected[nearest, repetition]
        return result.ravel()

    def _randomness(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Normals of the planes ``(dim, n_repetitions × n_planes)`` and signs ``(dim, … × n_projected)``."""
        random = np.random.Generator(np.random.PCG64(self.seed))
        planes = random.standard_normal((self.dim, self.n_repetitions * self.n_planes), dtype=np.float32)
        signs = random.integers(0, 2, (self.dim, self.n_repetitions * self.n_projected)) * 2 - 1
        return planes, (signs / np.sqrt(self.n_projected)).astype(np.float32)
