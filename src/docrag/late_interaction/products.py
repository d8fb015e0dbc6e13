"""Products of query vectors with stored vectors, by storage type and back end; MaxSim takes their maxima."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction import four_bits, lattice, residual
from docrag.late_interaction.multivectors import VectorType
from docrag.late_interaction.rotation import rotate

Product = Callable[[NDArray[Any]], NDArray[Any]]
"""Products of the query vectors with a block's numbers: ``(n_query_vectors, n_vectors)`` float32 or int32.

Numbers are those that `meaning_of` turns into components. What is returned may be overwritten by the thread's
next call.
"""

INTEGER_TYPES = ("int8", "4-bit", "residual", "1-bit")
"""Storage whose numbers are integers: query vectors are rounded to int8, too, and products are integers."""

DECODED_VECTORS = 2048
"""Vectors decoded at a time: 1 MiB as float32 at dimension 128, which is still in the cache when it is
multiplied. float16 is then scanned in two thirds of the time of blocks decoded as a whole."""


class Meaning(NamedTuple):
    """A number ``u`` stands for the component ``factor u − offset``."""

    factor: int
    offset: int


def meaning_of(vector_type: VectorType) -> Meaning:
    """What the numbers of a storage type stand for. As factors are positive, maxima can be taken before."""
    match vector_type:
        case "1-bit":
            return Meaning(2, 1)
        case "4-bit":
            return Meaning(2, four_bits.LARGEST)
        case _:
            return Meaning(1, 0)


def as_multiplied(queries: NDArray[np.float32], vector_type: VectorType) -> NDArray[np.float32]:
    """Query vectors in the coordinates of stored numbers, with zeros for what only fills up their rows."""
    if vector_type not in ("4-bit", "residual"):
        return queries
    n, dim = queries.shape
    is_nibbles = vector_type == "4-bit"
    width = 2 * four_bits.packed_width(dim) if is_nibbles else lattice.DIM * residual.n_blocks(dim)
    padded = np.zeros((n, width), np.float32)
    padded[:, :dim] = rotate(queries)
    return padded


class _Scratch(threading.local):
    """Buffers that live as long as a thread: fresh megabytes for every block would cost page faults."""

    def __init__(self) -> None:
        self.buffers: dict[str, NDArray[Any]] = {}

    def get(self, name: str, shape: tuple[int, int], dtype: type[Any]) -> NDArray[Any]:
        size = shape[0] * shape[1]
        if name not in self.buffers or self.buffers[name].size < size:
            self.buffers[name] = np.empty(size, dtype)
        return self.buffers[name][:size].reshape(shape)


def _numbers(
    codes: NDArray[Any], vector_type: VectorType, dim: int, scratch: _Scratch
) -> list[NDArray[np.int8]]:
    """Unpacked numbers of integer types, ``(n_vectors, width)``, in as many arrays as they come apart."""
    match vector_type:
        case "1-bit":
            return [np.unpackbits(codes, axis=1, count=dim).view(np.int8)]
        case "4-bit":  # two arrays in a row are written in a third of the time of one with short rows
            low, high = (scratch.get(half, codes.shape, np.uint8) for half in ("low", "high"))
            np.bitwise_and(codes, 15, out=low)
            np.right_shift(codes, 4, out=high)
            return [low.view(np.int8), high.view(np.int8)]
        case "residual":
            shape = (len(codes), residual.n_blocks(dim))
            indices, points = scratch.get("indices", shape, np.int32), scratch.get("points", shape, np.int64)
            lattice.unpack_indices(codes[:, residual.HEADER_BYTES :], shape[1], indices)
            # A point is copied as one number of eight bytes; all indices are in the codebook, "clip" spares
            # a check and a buffer.
            np.take(lattice.codebook().view(np.int64)[:, 0], indices, out=points, mode="clip")
            return [points.view(np.int8)]
        case _:
            return [codes]


def numpy_product(queries: NDArray[np.float32], vector_type: VectorType, dim: int) -> Product:
    """Products in float32; those of int8 numbers are exact up to dimension 1,040 (they stay below 2**24)."""
    scratch = _Scratch()

    def product(codes: NDArray[Any]) -> NDArray[Any]:
        out = scratch.get("out", (len(queries), len(codes)), np.float32)
        for first, last in _pieces(len(codes), decoded=codes.dtype != np.float32):
            piece = codes[first:last]
            if codes.dtype != np.float32:
                decoded = scratch.get("decoded", (last - first, queries.shape[1]), np.float32)
                if codes.dtype == np.float16:
                    widen_float16(piece, decoded)
                else:
                    np.concatenate(_numbers(piece, vector_type, dim, scratch), axis=1, out=decoded)
                piece = decoded
            np.matmul(queries, piece.T, out=out[:, first:last])
        return out

    return product


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
    half = four_bits.packed_width(dim)
    parts = [queries[:, :half], queries[:, half:]] if vector_type == "4-bit" else [queries]
    rows = [torch.from_numpy(np.ascontiguousarray(part)) for part in parts]

    def product(codes: NDArray[Any]) -> NDArray[Any]:
        shape = (len(queries), len(codes))
        out = scratch.get("out", shape, np.int32)
        for i, numbers in enumerate(_numbers(codes, vector_type, dim, scratch)):
            # The only int8 matrix product that torch has; it wants the second factor column by column. A
            # place of its own spares every block the page faults of fresh memory.
            target = scratch.get("more", shape, np.int32) if i else out
            torch._int_mm(rows[i], torch.from_numpy(_writeable(numbers)).T, out=torch.from_numpy(target))
            if i:
                out += target
        return out

    return product


def device_product(
    torch: ModuleType, queries: NDArray[Any], vector_type: VectorType, dim: int, device: str
) -> Product:
    """Products on an accelerator, in float32; codes travel as they are stored and are unpacked there."""
    rows = torch.from_numpy(queries.astype(np.float32)).to(device)
    points = torch.from_numpy(lattice.codebook() if vector_type == "residual" else np.empty(0)).to(device)
    bits, pairs = torch.arange(7, -1, -1, device=device), torch.arange(0, 8, 2, device=device)

    def product(codes: NDArray[Any]) -> NDArray[Any]:
        numbers = torch.from_numpy(_writeable(codes)).to(device)
        match vector_type:
            case "1-bit":
                numbers = (numbers[:, :, None] >> bits & 1).flatten(1)[:, :dim]
            case "4-bit":
                numbers = torch.cat([numbers & 15, numbers >> 4], dim=1)
            case "residual":
                indices, n = numbers[:, residual.HEADER_BYTES :].int(), residual.n_blocks(dim)
                high = (indices[:, 2 * n :, None] >> pairs & 3).flatten(1)[:, :n]
                numbers = points[indices[:, : 2 * n : 2] | indices[:, 1 : 2 * n : 2] << 8 | high << 16]
                numbers = numbers.flatten(1)
            case _:
                pass
        return (rows @ numbers.float().T).cpu().numpy()

    return product


def _pieces(n_vectors: int, *, decoded: bool) -> Iterator[tuple[int, int]]:
    """Ranges of a block that are multiplied one by one: all of it, or what stays in the cache decoded."""
    step = DECODED_VECTORS if decoded else max(n_vectors, 1)
    for first in range(0, n_vectors, step):
        yield first, min(first + step, n_vectors)


def _writeable(codes: NDArray[Any]) -> NDArray[Any]:
    """The array, or a copy of it when it is read-only: torch has no read-only tensors and warns."""
    return codes if codes.flags.writeable else codes.copy()
