"""Exact MaxSim (Khattab & Zaharia 2020, eq. 3) over stored multi-vectors, block by block on all cores.

One kernel serves every storage type: a block of units is brought into the cache as the numbers a matrix
product wants, multiplied with all query vectors at once, and reduced to one maximum per unit before the next
block is read. Each block runs on one thread, so that cores never wait for one another; the matrix products
themselves are kept single-threaded for that.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.multivectors import INT8_LIMIT, MultiVectors, VectorType
from docrag.optional import require

Backend = Literal["auto", "numpy", "torch"]

BLOCK_VECTORS = 32_768
"""Vectors per block at most: 16 MiB as float32 at dimension 128. Starting a product then costs next to
nothing; int8 products take twice as long in blocks of 4k."""

BLOCK_PRODUCTS = 1 << 20
"""Products per block at most, 4 MiB of them: more query vectors make blocks smaller, so that the products
are still in the cache when their maxima are taken."""

LEAST_BLOCK_VECTORS = 4096
"""Vectors per block where fewer would do to give every thread one."""

BLOCK_QUERY_VECTORS = 256
"""Query vectors per pass; more would push a block's products out of the cache."""

Product = Callable[[NDArray[Any]], NDArray[Any]]
"""Products of the query vectors with a block's codes: ``(n_query_vectors, n_vectors)`` float32 or int32."""


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

        int8 and 1-bit units are scored in integers, with query vectors rounded to int8 one by one.
        """
        for query in queries:
            if query.ndim != 2 or query.shape[1] != units.dim or not len(query):
                raise ValueError(f"got a query of shape {query.shape}, expected (n > 0, {units.dim})")
        chosen = np.arange(len(units)) if indices is None else np.asarray(indices, np.int64)
        result = np.full((len(queries), len(chosen)), -np.inf, np.float32)
        places = np.flatnonzero(units.n_vectors[chosen] > 0)
        if not len(places):
            return result
        for first, last in _query_groups(queries):
            result[first:last, places] = self._pass(queries[first:last], units, chosen[places])
        return result

    def _pass(
        self, queries: Sequence[NDArray[np.float32]], units: MultiVectors, chosen: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Scores ``(n_queries, n_chosen)`` of units that all have vectors."""
        flat = np.ascontiguousarray(np.concatenate(queries), np.float32)
        query_starts = np.cumsum([0, *(len(query) for query in queries[:-1])])
        row_scales = np.float32(1)
        if units.vector_type in ("int8", "1-bit"):
            flat, row_scales = _round_to_int8(flat)
        product = self._product(flat, units.vector_type, units.dim)
        result = np.empty((len(queries), len(chosen)), np.float32)

        def score_block(block: tuple[int, int]) -> None:
            first, last = block
            codes, starts = _rows_of(units, chosen[first:last])
            best = np.maximum.reduceat(product(codes), starts, axis=1)
            best = best * row_scales * units.scales[chosen[first:last]]
            result[:, first:last] = np.add.reduceat(best, query_starts, axis=0)

        sizes = units.n_vectors[chosen]
        share = max(-(-int(sizes.sum()) // self.n_threads), LEAST_BLOCK_VECTORS)
        blocks = list(_blocks(sizes, min(share, BLOCK_VECTORS, BLOCK_PRODUCTS // len(flat) + 1)))
        if len(blocks) == 1:
            score_block(blocks[0])
        else:
            with self._lock, self._single_threaded_blas():
                for _ in self._pool.map(score_block, blocks):
                    pass
        if units.means is not None:  # q · (m + r) = q · m + q · r, whichever vector of the unit is best
            sums = np.add.reduceat(flat * row_scales, query_starts, axis=0)
            result += sums @ units.means[chosen].astype(np.float32).T
        return result

    def _single_threaded_blas(self) -> AbstractContextManager[object]:
        """Context in which numpy's matrix products use one thread; torch's are limited thread by thread."""
        if self._blas is None:
            from threadpoolctl import ThreadpoolController

            self._blas = ThreadpoolController()
        return self._blas.limit(limits=1, user_api="blas")

    def _product(self, queries: NDArray[Any], vector_type: VectorType, dim: int) -> Product:
        if self._torch and self.device != "cpu":
            return _device_product(self._torch, queries, vector_type, dim, self.device)
        if self._torch and vector_type in ("int8", "1-bit"):
            return _int8_product(self._torch, queries, vector_type, dim)
        if self._torch:
            return _torch_float_product(self._torch, queries)
        return _float_product(queries.astype(np.float32), vector_type, dim)


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


def _rows_of(units: MultiVectors, chosen: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Codes of the chosen units in a row, and where each begins; a view when they lie together."""
    begins, ends = units.offsets[chosen], units.offsets[chosen + 1]
    if np.array_equal(begins[1:], ends[:-1]):
        return units.codes[begins[0] : ends[-1]], begins - begins[0]
    rows = [units.codes[begin:end] for begin, end in zip(begins, ends, strict=True)]
    return np.concatenate(rows), np.concatenate([[0], np.cumsum((ends - begins)[:-1])])


def _round_to_int8(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rows as int8, and the ``(n_rows, 1)`` scales that undo it."""
    peaks = np.abs(vectors).max(axis=1, keepdims=True)
    scales = np.where(peaks > 0, peaks / INT8_LIMIT, 1).astype(np.float32)
    return np.rint(vectors / scales).astype(np.int8), scales


class _Scratch(threading.local):
    """Buffers that live as long as a thread: fresh megabytes for every block would cost page faults."""

    def __init__(self) -> None:
        self.buffers: dict[str, NDArray[Any]] = {}

    def get(self, name: str, shape: tuple[int, int], dtype: type[Any]) -> NDArray[Any]:
        size = shape[0] * shape[1]
        if name not in self.buffers or self.buffers[name].size < size:
            self.buffers[name] = np.empty(size, dtype)
        return self.buffers[name][:size].reshape(shape)


def _float_product(queries: NDArray[np.float32], vector_type: VectorType, dim: int) -> Product:
    """Products in float32; those of int8 numbers are exact up to dimension 1,040 (they stay below 2**24)."""
    scratch = _Scratch()
    sums = queries.sum(axis=1, keepdims=True)

    def product(codes: NDArray[Any]) -> NDArray[Any]:
        out = scratch.get("out", (len(queries), len(codes)), np.float32)
        if vector_type == "1-bit":
            codes = np.unpackbits(codes, axis=1, count=dim)
        if codes.dtype != np.float32:
            decoded = scratch.get("decoded", (len(codes), dim), np.float32)
            if codes.dtype == np.float16:
                _widen_float16(codes, decoded)
            else:
                np.copyto(decoded, codes)
            codes = decoded
        np.matmul(queries, codes.T, out=out)
        if vector_type == "1-bit":  # q · (2 b − 1) = 2 q · b − Σ q
            out *= 2
            out -= sums
        return out

    return product


def _torch_float_product(torch: ModuleType, queries: NDArray[np.float32]) -> Product:
    """Products in float32 by torch, whose matrix product reads long thin factors at the speed of memory.

    NumPy's copies them into another order first, and takes 1.5 to 2 times as long.
    """
    scratch = _Scratch()
    rows = torch.from_numpy(queries)

    def product(codes: NDArray[Any]) -> NDArray[Any]:
        vectors = torch.from_numpy(_writeable(codes))
        if codes.dtype != np.float32:
            decoded = torch.from_numpy(scratch.get("decoded", codes.shape, np.float32))
            vectors = decoded.copy_(vectors)
        out = scratch.get("out", (len(queries), len(codes)), np.float32)
        torch.mm(rows, vectors.T, out=torch.from_numpy(out))
        return out

    return product


def _widen_float16(halves: NDArray[np.float16], out: NDArray[np.float32]) -> None:
    """Exact float32 of finite float16 numbers, eight times as fast as NumPy's own conversion.

    Exponent and fraction move to their float32 places, which divides the number by 2**112 (the difference
    of the exponent biases); one multiplication undoes it, for subnormal numbers too.
    """
    bits = out.view(np.int32)
    np.copyto(bits, halves.view(np.int16))  # extends the sign over the upper bits
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, np.int32(-0x70002000), out=bits)  # 0x8FFFE000: sign, exponent and fraction
    np.multiply(out, np.float32(2.0**112), out=out)


def _int8_product(torch: ModuleType, queries: NDArray[np.int8], vector_type: VectorType, dim: int) -> Product:
    """Products in int32 by the processor's int8 instructions."""
    rows = torch.from_numpy(queries)
    sums = queries.sum(axis=1, keepdims=True, dtype=np.int32)

    def product(codes: NDArray[Any]) -> NDArray[Any]:
        if vector_type == "1-bit":
            codes = np.unpackbits(codes, axis=1, count=dim).view(np.int8)
        # The only int8 matrix product that torch has; it wants the second factor column by column.
        out = torch._int_mm(rows, torch.from_numpy(_writeable(codes)).T).numpy()
        if vector_type == "1-bit":
            out *= 2
            out -= sums
        return out

    return product


def _device_product(
    torch: ModuleType, queries: NDArray[Any], vector_type: VectorType, dim: int, device: str
) -> Product:
    """Products on an accelerator, in float32."""
    rows = torch.from_numpy(queries.astype(np.float32)).to(device)
    sums = rows.sum(dim=1, keepdim=True)

    def product(codes: NDArray[Any]) -> NDArray[Any]:
        if vector_type == "1-bit":
            codes = np.unpackbits(codes, axis=1, count=dim)
        result = rows @ torch.from_numpy(_writeable(codes)).to(device).float().T
        return (2 * result - sums if vector_type == "1-bit" else result).cpu().numpy()

    return product


def _writeable(codes: NDArray[Any]) -> NDArray[Any]:
    """The array, or a copy of it when it is read-only: torch has no read-only tensors and warns."""
    return codes if codes.flags.writeable else codes.copy()
