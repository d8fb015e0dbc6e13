"""Exact MaxSim (Khattab & Zaharia 2020, eq. 3) over stored multi-vectors, block by block on all cores.

One kernel serves every storage type: a block of units is brought into the cache as the numbers a matrix
product wants, multiplied with all query vectors at once, and reduced to one maximum per unit before the next
block is read. Each block runs on one thread, so that cores never wait for one another; the matrix products
themselves are kept single-threaded for that.
"""

from __future__ import annotations

import importlib.util
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from docrag.devices import usable_cores
from docrag.late_interaction import four_bits, residual
from docrag.late_interaction.multivectors import INT8_LIMIT, MultiVectors, VectorType
from docrag.late_interaction.products import (
    INTEGER_TYPES,
    Product,
    as_multiplied,
    device_product,
    int8_product,
    meaning_of,
    numpy_product,
    torch_product,
)
from docrag.optional import require

Backend = Literal["auto", "numpy", "torch"]

BLOCK_VECTORS = 32_768
"""Vectors per block at most: 16 MiB as float32 at dimension 128. Starting a product then costs next to
nothing; int8 products take twice as long in blocks of 4k."""

GATHERED_BLOCK_BYTES = 1 << 21
"""Bytes per block at most where chosen units do not lie together and are copied: they are still in the cache
when they are multiplied. Larger blocks of float32 took a quarter longer, smaller ones of residuals twice as
long."""

BLOCK_PRODUCTS = 1 << 21
"""Products per block at most, 8 MiB of them: more query vectors make blocks smaller, so that the products
are still in the cache when their maxima are taken."""

LEAST_BLOCK_VECTORS = 4096
"""Vectors per block where fewer would do to give every thread one."""

BLOCK_QUERY_VECTORS = 256
"""Query vectors per pass; more would push a block's products out of the cache."""


class MaxSim:
    """Scores units against queries, exactly.

    Parameters
    ----------
    backend
        "auto" takes torch where it is installed, else numpy. Scores agree to float32 rounding.
    device
        A torch device; anything but "cpu" needs the torch backend.
    n_threads
        Blocks in flight; None means the cores this process may use.
    """

    def __init__(
        self, backend: Backend = "auto", *, device: str = "cpu", n_threads: int | None = None
    ) -> None:
        if backend == "auto":
            backend = "torch" if importlib.util.find_spec("torch") else "numpy"
        if backend == "numpy" and device != "cpu":
            raise ValueError(f"the numpy backend runs on the CPU only, got device {device!r}")
        self.backend: Literal["numpy", "torch"] = backend
        self.device = device
        self._torch = (
            require("torch", extra="visual", purpose="MaxSim on torch") if backend == "torch" else None
        )
        self.n_threads = (n_threads or usable_cores()) if device == "cpu" else 1
        self._pool = ThreadPoolExecutor(
            self.n_threads,
            thread_name_prefix="maxsim",
            initializer=partial(self._torch.set_num_threads, 1) if self._torch else None,
        )
        self._lock = threading.Lock()
        self._blas: Any = None

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def scores(
        self,
        queries: Sequence[NDArray[np.float32]],
        units: MultiVectors,
        *,
        indices: NDArray[np.integer[Any]] | None = None,
    ) -> NDArray[np.float32]:
        """MaxSim of every query with every unit: the sum over query vectors of the best product.

        Parameters
        ----------
        queries
            ``(n_query_vectors, dim)`` arrays; all of them are answered in one pass over the units.
        indices
            Units to score, in this order; None means all. Others are not read.

        Returns
        -------
        ``(n_queries, n_units) float32``; −inf for a unit without vectors.

        Units of floats are scored in float32, all others in integers, with query vectors rounded to int8 one
        by one.
        """
        chosen = np.arange(len(units)) if indices is None else np.asarray(indices, np.int64)
        return self.scores_each(queries, [(units, chosen)])[0]

    def scores_each(
        self,
        queries: Sequence[NDArray[np.float32]],
        parts: Sequence[tuple[MultiVectors, NDArray[np.int64]]],
    ) -> list[NDArray[np.float32]]:
        """`scores` of chosen units of several parts, in one pass: small parts share the threads, too."""
        results = [np.full((len(queries), len(chosen)), -np.inf, np.float32) for _, chosen in parts]
        for units, _ in parts:
            for query in queries:
                if query.ndim != 2 or query.shape[1] != units.dim or not len(query):
                    raise ValueError(f"got a query of shape {query.shape}, expected (n > 0, {units.dim})")
        for first, last in _query_groups(queries):
            prepared: dict[tuple[VectorType, int], _Queries] = {}
            passes: list[_Pass] = []
            places: list[NDArray[np.int64]] = []
            for units, chosen in parts:
                key = units.vector_type, units.dim
                if key not in prepared:
                    prepared[key] = self._prepare(queries[first:last], *key)
                filled = np.flatnonzero(units.n_vectors[chosen] > 0)
                places.append(filled)
                passes.append(_Pass(prepared[key], units, chosen[filled]))
            self._run(passes)
            for result, filled, one in zip(results, places, passes, strict=True):
                result[first:last, filled] = one.result
        return results

    def _prepare(self, queries: Sequence[NDArray[np.float32]], vector_type: VectorType, dim: int) -> _Queries:
        flat = as_multiplied(np.ascontiguousarray(np.concatenate(queries), np.float32), vector_type)
        starts = np.cumsum([0, *(len(query) for query in queries[:-1])])
        row_scales = np.ones((1, 1), np.float32)
        if vector_type in INTEGER_TYPES:
            flat, row_scales = round_to_int8(flat)
        return _Queries(flat, row_scales, starts, self._product(flat, vector_type, dim))

    def _run(self, passes: Sequence[_Pass]) -> None:
        """Score everything, block by block on all threads."""
        n_vectors = sum(int(one.sizes.sum()) for one in passes)
        share = max(-(-n_vectors // self.n_threads), LEAST_BLOCK_VECTORS)
        blocks: list[tuple[_Pass, int, int]] = []
        for one in passes:
            limit = min(share, one.most_vectors(), BLOCK_PRODUCTS // len(one.queries.flat) + 1)
            blocks += [(one, first, last) for first, last in _blocks(one.sizes, limit)]
        if len(blocks) == 1:
            one, first, last = blocks[0]
            one.score(first, last)
        elif blocks:
            # Threads take blocks themselves: a task for each would cost as much as a small block of int8.
            left = iter(blocks)
            with self._lock, self._single_threaded_blas():
                workers = [self._pool.submit(_score, left) for _ in range(self.n_threads)]
                try:
                    for worker in workers:
                        worker.result()
                finally:
                    _take_all(left)  # after a Ctrl-C
        for one in passes:
            one.finish()

    def _single_threaded_blas(self) -> AbstractContextManager[object]:
        """Context in which numpy's matrix products use one thread; torch's are limited thread by thread."""
        if self._blas is None:
            from threadpoolctl import ThreadpoolController

            self._blas = ThreadpoolController()
        return self._blas.limit(limits=1, user_api="blas")

    def _product(self, queries: NDArray[Any], vector_type: VectorType, dim: int) -> Product:
        if self._torch and self.device != "cpu":
            return device_product(self._torch, queries, vector_type, dim, self.device)
        if self._torch and vector_type in INTEGER_TYPES:
            return int8_product(self._torch, queries, vector_type, dim)
        if self._torch:
            return torch_product(self._torch, queries)
        return numpy_product(queries.astype(np.float32), vector_type, dim)


@dataclass(frozen=True, slots=True)
class _Queries:
    """Vectors of some queries as one storage type wants them, and where each query begins."""

    flat: NDArray[Any]
    row_scales: NDArray[np.float32]
    starts: NDArray[np.int64]
    product: Product


class _Pass:
    """Scores ``(n_queries, n_chosen)`` of units of one part that all have vectors."""

    def __init__(self, queries: _Queries, units: MultiVectors, chosen: NDArray[np.int64]) -> None:
        self.queries, self.units, self.chosen = queries, units, chosen
        self.sizes = units.n_vectors[chosen]
        self.result = np.empty((len(queries.starts), len(chosen)), np.float32)

    def most_vectors(self) -> int:
        """Vectors that a block may have for what is made of it to stay in the cache."""
        if _adjacent(self.units, self.chosen):
            return BLOCK_VECTORS
        codes = self.units.codes
        return min(BLOCK_VECTORS, GATHERED_BLOCK_BYTES // (codes.itemsize * codes.shape[1]))

    def score(self, first: int, last: int) -> None:
        """Fill in the columns ``[first, last)``."""
        queries, chosen = self.queries, self.chosen[first:last]
        codes, starts = _rows_of(self.units, chosen)
        products = queries.product(codes)
        if self.units.centroids is not None:
            products = self._with_centroids(products, codes, chosen, self.units.centroids)
        best = np.maximum.reduceat(products, starts, axis=1)
        factor, offset = meaning_of(self.units.vector_type)
        if offset:  # q · (f u − o) = f q · u − o Σ q, and so with maxima over u
            best = factor * best - offset * queries.flat.sum(axis=1, keepdims=True, dtype=np.int32)
        best = best * self.units.scales[chosen]
        self.result[:, first:last] = np.add.reduceat(best * queries.row_scales, queries.starts, axis=0)

    def _with_centroids(
        self,
        products: NDArray[Any],
        codes: NDArray[np.uint8],
        chosen: NDArray[np.int64],
        centroids: MultiVectors,
    ) -> NDArray[np.float32]:
        """Products with vectors, from those with lattice points: q · (a c + s p) = a q · c + s q · p."""
        rows, starts = _rows_of(centroids, chosen)
        levels = four_bits.levels(rows)
        levels *= np.repeat(centroids.scales[chosen], centroids.n_vectors[chosen])[:, None]
        of_centroids = self.queries.flat[:, : levels.shape[1]].astype(np.float32) @ levels.T
        sizes = self.units.n_vectors[chosen]
        along, steps = residual.lengths(codes, self.units.dim)
        whole = np.take(of_centroids, np.repeat(starts, sizes) + codes[:, 0], axis=1)
        whole *= along
        whole += np.multiply(products, steps, dtype=np.float32)  # of integers; not in float64
        return whole

    def finish(self) -> None:
        """Add what means contribute: q · (m + r) = q · m + q · r, whichever vector of the unit is best."""
        queries, means = self.queries, self.units.means
        if means is not None:
            sums = np.add.reduceat(queries.flat * queries.row_scales, queries.starts, axis=0)
            self.result += sums @ means[self.chosen].astype(np.float32).T


def _score(blocks: Iterator[tuple[_Pass, int, int]]) -> None:
    """Score the blocks that no other thread has taken; an error leaves the others none."""
    try:
        for one, first, last in blocks:
            one.score(first, last)
    finally:
        _take_all(blocks)


def _take_all(blocks: Iterator[tuple[_Pass, int, int]]) -> None:
    deque(blocks, maxlen=0)


def _query_groups(queries: Sequence[NDArray[np.float32]]) -> Iterator[tuple[int, int]]:
    """Split queries into runs ``[first, last)`` of at most `BLOCK_QUERY_VECTORS` vectors, or one query."""
    yield from _blocks(np.asarray([len(query) for query in queries]), BLOCK_QUERY_VECTORS)


def _blocks(sizes: NDArray[np.integer[Any]], limit: int) -> Iterator[tuple[int, int]]:
    """Consecutive ranges ``[first, last)`` whose sizes sum to at most `limit`, or hold one item."""
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, before + limit, side="right")), first + 1)
        yield first, last
        first = last


def _adjacent(units: MultiVectors, chosen: NDArray[np.int64]) -> bool:
    """Whether the rows of each chosen unit follow those of the one before."""
    return np.array_equal(units.offsets[chosen[1:]], units.offsets[chosen[:-1] + 1])


def _rows_of(units: MultiVectors, chosen: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Codes of the chosen units in a row, and where each begins; a view when they lie together."""
    begins, ends = units.offsets[chosen], units.offsets[chosen + 1]
    if _adjacent(units, chosen):
        return units.codes[begins[0] : ends[-1]], begins - begins[0]
    codes = np.asarray(units.codes)  # slices of a map that is one take several times as long
    rows = [codes[begin:end] for begin, end in zip(begins, ends, strict=True)]
    return np.concatenate(rows), np.concatenate([[0], np.cumsum((ends - begins)[:-1])])


def round_to_int8(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rows as int8, and the ``(n_rows, 1)`` scales that undo it."""
    peaks = np.abs(vectors).max(axis=1, keepdims=True)
    scales = np.where(peaks > 0, peaks / INT8_LIMIT, 1).astype(np.float32)
    return np.rint(vectors / scales).astype(np.int8), scales
