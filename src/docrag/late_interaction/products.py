"""Products of query vectors with stored vectors, by storage type and back end; MaxSim takes their maxima."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction.multivectors import VectorType
from docrag.late_interaction.residual import HEADER_BYTES, LEVEL_SHIFT, packed_width, rotate

Product = Callable[[NDArray[Any]], NDArray[Any]]
"""Products of the query vectors with a block's codes: ``(n_query_vectors, n_vectors)`` float32 or int32.

What is returned may be overwritten by the thread's next call.
"""

DECODED_VECTORS = 2048
"""Vectors decoded at a time: 1 MiB as float32 at dimension 128, which is still in the cache when it is
multiplied. float16 is then scanned in two thirds of the time of blocks decoded as a whole."""


class _Scratch(threading.local):
    """Buffers that live as long as a thread: fresh megabytes for every block would cost page faults."""

    def __init__(self) -> None:
        self.buffers: dict[str, NDArray[Any]] = {}

    def get(self, name: str, shape: tuple[int, int], dtype: type[Any]) -> NDArray[Any]:
        size = shape[0] * shape[1]
        if name not in self.buffers or self.buffers[name].size < size:
            self.buffers[name] = np.empty(size, dtype)
        return self.buffers[name][:size].reshape(shape)


def numpy_product(queries: NDArray[np.float32], vector_type: VectorType, dim: int) -> Product:
    """Products in float32; those of int8 numbers are exact up to dimension 1,040 (they stay below 2**24)."""
    scratch = _Scratch()
    sums = queries.sum(axis=1, keepdims=True)

    def product(codes: NDArray[Any]) -> NDArray[Any]:
        out = scratch.get("out", (len(queries), len(codes)), np.float32)
        for first, last in _pieces(len(codes), decoded=codes.dtype != np.float32):
            piece = codes[first:last]
            if codes.dtype != np.float32:
                decoded = scratch.get("decoded", (last - first, dim), np.float32)
                if codes.dtype == np.float16:
                    widen_float16(piece, decoded)
                else:
                    bits = vector_type == "1-bit"
                    np.copyto(decoded, np.unpackbits(piece, axis=1, count=dim) if bits else piece)
                piece = decoded
            np.matmul(queries, piece.T, out=out[:, first:last])
        if vector_type == "1-bit":  # q · (2 b − 1) = 2 q · b − Σ q
            out *= 2
            out -= sums
        return out

    return product


def packed_product(queries: NDArray[np.float32], dim: int) -> Product:
    """Products with packed residuals, for steps of 1, in float32.

    Codes are laid on their side, so that a shift and a mask make whole rows of the factor: unpacked that way
    numbers cost about as much as the matrix product, and no library copies them into another order.
    """
    scratch = _Scratch()
    width = packed_width(dim)
    padded = _padded_to_bytes(queries, dim)
    below = LEVEL_SHIFT * padded.sum(axis=1, keepdims=True)

    def product(codes: NDArray[Any]) -> NDArray[Any]:
        packed = scratch.get("packed", (width, len(codes)), np.uint8)
        shifted = scratch.get("shifted", (width, len(codes)), np.uint8)
        numbers = scratch.get("numbers", (4 * width, len(codes)), np.float32)
        out = scratch.get("out", (len(queries), len(codes)), np.float32)
        np.copyto(packed, codes[:, HEADER_BYTES:].T)
        for i in range(4):
            np.right_shift(packed, 2 * i, out=shifted)
            np.bitwise_and(shifted, 3, out=shifted)
            np.copyto(numbers[i * width : (i + 1) * width], shifted)
        np.matmul(padded, numbers, out=out)
        out -= below
        return out

    return product


def packed_device_product(torch: ModuleType, queries: NDArray[np.float32], dim: int, device: str) -> Product:
    """`packed_product` on an accelerator, which gets the codes as they are stored."""
    padded = _padded_to_bytes(queries, dim)
    rows = torch.from_numpy(padded).to(device)
    below = LEVEL_SHIFT * rows.sum(dim=1, keepdim=True)

    def product(codes: NDArray[Any]) -> NDArray[Any]:
        packed = torch.from_numpy(_writeable(codes)).to(device)[:, HEADER_BYTES:]
        numbers = torch.cat([(packed >> shift) & 3 for shift in (0, 2, 4, 6)], dim=1)
        return (rows @ numbers.float().T - below).cpu().numpy()

    return product


def _padded_to_bytes(queries: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Queries rotated as residuals are, with zeros for components that only fill up a byte."""
    padded = np.zeros((len(queries), 4 * packed_width(dim)), np.float32)
    padded[:, :dim] = rotate(queries)
    return padded


def torch_product(torch: ModuleType, queries: NDArray[np.float32]) -> Product:
    """Products in float32 by torch, whose matrix product reads long thin factors at the speed of memory.

    NumPy's copies them into another order first, and takes 1.5 to 2 times as long.
    """
    scratch = _Scratch()
    rows = torch.from_numpy(queries)

    def product(codes: NDArray[Any]) -> NDArray[Any]:
        out = scratch.get("out", (len(queries), len(codes)), np.float32)
        for first, last in _pieces(len(codes), decoded=codes.dtype != np.float32):
            vectors = torch.from_numpy(_writeable(codes[first:last]))
            if codes.dtype != np.float32:
                decoded = torch.from_numpy(scratch.get("decoded", (last - first, codes.shape[1]), np.float32))
                vectors = decoded.copy_(vectors)
            torch.mm(rows, vectors.T, out=torch.from_numpy(out[:, first:last]))
        return out

    return product


def widen_float16(halves: NDArray[np.float16], out: NDArray[np.float32]) -> None:
    """Exact float32 of finite float16 numbers, eight times as fast as NumPy's own conversion.

    Exponent and fraction move to their float32 places, which divides the number by 2**112 (the difference
    of the exponent biases); one multiplication undoes it, for subnormal numbers too.
    """
    bits = out.view(np.int32)
    np.copyto(bits, halves.view(np.int16))  # extends the sign over the upper bits
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, np.int32(-0x70002000), out=bits)  # 0x8FFFE000: sign, exponent and fraction
    np.multiply(out, np.float32(2.0**112), out=out)


def int8_product(torch: ModuleType, queries: NDArray[np.int8], vector_type: VectorType, dim: int) -> Product:
    """Products in int32 by the processor's int8 instructions."""
    scratch = _Scratch()
    rows = torch.from_numpy(queries)
    sums = queries.sum(axis=1, keepdims=True, dtype=np.int32)

    def product(codes: NDArray[Any]) -> NDArray[Any]:
        out = scratch.get("out", (len(queries), len(codes)), np.int32)
        if vector_type == "1-bit":
            codes = np.unpackbits(codes, axis=1, count=dim).view(np.int8)
        # The only int8 matrix product that torch has; it wants the second factor column by column. A place of
        # its own spares every block the page faults of fresh memory.
        torch._int_mm(rows, torch.from_numpy(_writeable(codes)).T, out=torch.from_numpy(out))
        if vector_type == "1-bit":
            out *= 2
            out -= sums
        return out

    return product


def device_product(
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


def _pieces(n_vectors: int, *, decoded: bool) -> Iterator[tuple[int, int]]:
    """Ranges of a block that are multiplied one by one: all of it, or what stays in the cache decoded."""
    step = DECODED_VECTORS if decoded else max(n_vectors, 1)
    for first in range(0, n_vectors, step):
        yield first, min(first + step, n_vectors)


def _writeable(codes: NDArray[Any]) -> NDArray[Any]:
    """The array, or a copy of it when it is read-only: torch has no read-only tensors and warns."""
    return codes if codes.flags.writeable else codes.copy()
