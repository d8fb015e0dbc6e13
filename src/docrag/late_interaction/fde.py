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
    final_dim
        Dimensions that encodings are folded to: every number is added, with a random sign, to one of so many
        (a count sketch; section 2.2 of the paper). None folds nothing.
    seed
        Of planes, projections and the fold.

    The defaults are those of the paper's smaller setting, 10,240 dimensions.
    """

    dim: int
    n_repetitions: int = 20
    n_planes: int = 5
    n_projected: int = 16
    final_dim: int | None = None
    seed: int = 42

    @property
    def name(self) -> str:
        """The parameters, as stored beside encodings."""
        fold = "" if self.final_dim is None else f"-to{self.final_dim}"
        return f"fde-{self.n_repetitions}x{2**self.n_planes}x{self.n_projected}{fold}-seed{self.seed}"

    @property
    def fde_dim(self) -> int:
        """Length of an encoding."""
        return self.final_dim or self.n_repetitions * 2**self.n_planes * self.n_projected

    def encode_query(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(fde_dim,)``: sums per bucket; an empty bucket is zero."""
        return self._encode(vectors, is_document=False)

    def encode_document(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(fde_dim,)``: means per bucket; an empty bucket takes the vector nearest to it.

        Nearest means the fewest planes between them; the first of several.
        """
        return self._encode(vectors, is_document=True)

    def _encode(self, vectors: NDArray[np.float32], *, is_document: bool) -> NDArray[np.float32]:
        n_vectors, n_buckets = len(vectors), 2**self.n_planes
        if not n_vectors:
            return np.zeros(self.fde_dim, np.float32)
        from scipy.sparse import csr_array

        planes, signs = self._randomness()
        bits = (vectors @ planes > 0).reshape(n_vectors, self.n_repetitions, self.n_planes)
        buckets = bits @ (1 << np.arange(self.n_planes))
        projected = (vectors @ signs).reshape(n_vectors * self.n_repetitions, self.n_projected)
        # A row for each bucket of each cut, a column for each vector in each cut: a product sums them all.
        places = (buckets + np.arange(self.n_repetitions) * n_buckets).ravel()
        members = csr_array(
            (np.ones(len(places), np.float32), (places, np.arange(len(places)))),
            shape=(self.n_repetitions * n_buckets, len(places)),
        )
        result = np.asarray(members @ projected, np.float32)
        if is_document:
            counts = np.bincount(places, minlength=len(result))
            result /= np.maximum(counts, 1)[:, None]
            n_planes_between = np.asarray([bucket.bit_count() for bucket in range(n_buckets)])
            for place in np.flatnonzero(counts == 0):
                cut, empty = divmod(int(place), n_buckets)
                # The vectors of a bucket are equally near; the first of all the nearest stands for it.
                nearest = int(np.argmin(n_planes_between[buckets[:, cut] ^ empty]))
                result[place] = projected[nearest * self.n_repetitions + cut]
        return self._folded(result.ravel())

    def _folded(self, encoding: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.final_dim is None:
            return encoding
        random = np.random.Generator(np.random.PCG64((self.seed, len(encoding))))
        places = random.integers(0, self.final_dim, len(encoding))
        signs = random.integers(0, 2, len(encoding)) * 2 - 1
        return np.bincount(places, encoding * signs, self.final_dim).astype(np.float32)

    def _randomness(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Normals of the planes ``(dim, n_repetitions × n_planes)`` and signs ``(dim, … × n_projected)``."""
        random = np.random.Generator(np.random.PCG64(self.seed))
        planes = random.standard_normal((self.dim, self.n_repetitions * self.n_planes), dtype=np.float32)
        signs = random.integers(0, 2, (self.dim, self.n_repetitions * self.n_projected)) * 2 - 1
        return planes, (signs / np.sqrt(self.n_projected)).astype(np.float32)
