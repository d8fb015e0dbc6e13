"""Ragged multi-vectors in one array, in six storage types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction import four_bits, residual

VectorType = Literal["float32", "float16", "int8", "4-bit", "residual", "1-bit"]
VECTOR_TYPES: tuple[VectorType, ...] = get_args(VectorType)

INT8_LIMIT = 127


def code_width(vector_type: VectorType, dim: int) -> int:
    """Numbers stored per vector: `dim`, or the bytes that hold them all."""
    match vector_type:
        case "1-bit":
            return (dim + 7) // 8
        case "4-bit":
            return four_bits.packed_width(dim)
        case "residual":
            return residual.packed_width(dim)
        case _:
            return dim


def code_dtype(vector_type: VectorType) -> np.dtype[Any]:
    """NumPy type of the stored numbers; less than eight bits a number are packed into bytes."""
    return np.dtype(vector_type if vector_type in ("float32", "float16", "int8") else "uint8")


@dataclass(frozen=True, slots=True)
class MultiVectors:
    """Vectors of many units (pages, regions, queries), one unit after the other, without padding.

    Attributes
    ----------
    codes
        ``(n_vectors, code_width)`` in `code_dtype`; may be memory-mapped.
    offsets
        ``(n_units + 1,) int64``: unit ``i`` owns rows ``offsets[i]:offsets[i + 1]``.
    scales
        ``(n_units,) float32``: a stored number times its unit's scale is a component. One scale a unit keeps
        the maximum over its vectors in integers. 1 for floats and residuals; for signs the mean size of a
        component.
    means
        ``(n_units, dim) float16``, only with signs: what was taken off every vector of a unit before its
        signs were. Encoders give all patches of a page one direction in common, which would fill the signs.
    centroids
        Few 4-bit vectors a unit, only with residuals: rows are what is left of vectors beside them. They
        stand for the unit in a shortlist, too.
    """

    codes: NDArray[Any]
    offsets: NDArray[np.int64]
    scales: NDArray[np.float32]
    vector_type: VectorType
    dim: int
    means: NDArray[np.float16] | None = None
    centroids: MultiVectors | None = None

    def __post_init__(self) -> None:
        expected = (code_dtype(self.vector_type), code_width(self.vector_type, self.dim))
        if (self.codes.dtype, self.codes.shape[-1]) != expected or self.codes.ndim != 2:
            raise ValueError(
                f"{self.vector_type} vectors of dimension {self.dim}: got codes {self.codes.dtype} "
                f"{self.codes.shape}, expected {expected[0]} (n_vectors, {expected[1]})"
            )
        if (self.means is not None) != (self.vector_type == "1-bit"):
            raise ValueError(
                f"{self.vector_type} vectors {'with' if self.means is not None else 'without'} means"
            )
        if (self.centroids is not None) != (self.vector_type == "residual"):
            raise ValueError(
                f"{self.vector_type} vectors {'with' if self.centroids is not None else 'without'} centroids"
            )
        if self.centroids is not None and (len(self.centroids), self.centroids.dim) != (len(self), self.dim):
            raise ValueError(
                f"centroids of {len(self.centroids)} units of dimension {self.centroids.dim} do not fit "
                f"{len(self)} units of dimension {self.dim}"
            )
        if len(self.offsets) != len(self.scales) + 1 or self.offsets[-1] > len(self.codes):
            raise ValueError(
                f"offsets of {len(self.offsets) - 1} units ending at {self.offsets[-1]} do not fit "
                f"{len(self.scales)} scales and {len(self.codes)} vectors"
            )

    def __len__(self) -> int:
        return len(self.scales)

    @property
    def n_vectors(self) -> NDArray[np.int64]:
        """``(n_units,)``: how many vectors each unit has."""
        return np.diff(self.offsets)

    @property
    def nbytes(self) -> int:
        """Bytes of the stored numbers, those of centroids included."""
        return self.codes.nbytes + (0 if self.centroids is None else self.centroids.nbytes)

    def vectors(self, index: int) -> NDArray[np.float32]:
        """``(n_vectors, dim) float32`` of one unit, decoded."""
        codes = self.codes[self.offsets[index] : self.offsets[index + 1]]
        return self._decoded(codes, np.full(len(codes), index))

    def rows(self, places: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """``(n_places, dim) float32``: single vectors at rows of `codes`, decoded."""
        units = np.searchsorted(self.offsets, places, side="right") - 1
        return self._decoded(self.codes[places], units)

    def _decoded(self, codes: NDArray[Any], units: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Vectors of rows and the unit of each."""
        if self.centroids is not None:
            centroids = self.centroids.rows(self.centroids.offsets[units] + codes[:, 0])
            return residual.unpack(codes, centroids)
        match self.vector_type:
            case "1-bit":
                vectors = np.unpackbits(codes, axis=1, count=self.dim).astype(np.float32) * 2 - 1
            case "4-bit":
                vectors = four_bits.unpack(codes, self.dim)
            case _:
                vectors = codes.astype(np.float32)
        if code_dtype(self.vector_type).kind != "f":
            vectors *= self.scales[units, None]
        if self.means is not None:
            vectors += self.means[units].astype(np.float32)
        return vectors

    def take(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> MultiVectors:
        """The units at `indices`, copied, in that order."""
        rows = [self.codes[self.offsets[i] : self.offsets[i + 1]] for i in indices]
        codes = np.concatenate(rows) if rows else self.codes[:0]
        offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
        chosen = np.asarray(indices, int)
        return MultiVectors(
            codes,
            offsets,
            self.scales[chosen],
            self.vector_type,
            self.dim,
            None if self.means is None else self.means[chosen],
            None if self.centroids is None else self.centroids.take(indices),
        )


def encode(items: Sequence[NDArray[np.float32]], vector_type: VectorType, *, dim: int) -> MultiVectors:
    """Pack ``(n_vectors, dim)`` arrays of unit-length rows, one per unit.

    int8 keeps a component within ``scale / 2`` where ``scale`` is the largest component of the unit / 127;
    4-bit keeps a row to about a tenth of its length; residual keeps what differs from the nearest of few
    centroids of the unit to about a quarter of its length; 1-bit keeps the signs of what differs from the
    unit's mean (0 counts as negative), and its mean size.
    """
    for item in items:
        if item.ndim != 2 or item.shape[1] != dim:
            raise ValueError(f"got an array of shape {item.shape}, expected (n_vectors, {dim})")
    rows = [item.astype(np.float32) for item in items]
    match vector_type:
        case "float32" | "float16":
            codes = [item.astype(vector_type) for item in rows]
            return _joined(codes, [1.0] * len(rows), vector_type, dim)
        case "int8":
            return _joined(*_int8(rows), vector_type, dim)
        case "4-bit":
            packed = [four_bits.pack(item) for item in rows]
            return _joined([unit.codes for unit in packed], [unit.scale for unit in packed], vector_type, dim)
        case "residual":
            clustered = [residual.cluster(item) for item in rows]
            centroids = encode([found for found, _ in clustered], "4-bit", dim=dim)
            codes = [
                residual.pack(item, centroids.vectors(i), labels)
                for i, (item, (_, labels)) in enumerate(zip(rows, clustered, strict=True))
            ]
            return _joined(codes, [1.0] * len(rows), vector_type, dim, centroids=centroids)
        case "1-bit":
            means = np.asarray([_mean(item, dim) for item in rows], np.float16).reshape(len(rows), dim)
            rests = [item - mean for item, mean in zip(rows, means.astype(np.float32), strict=True)]
            codes = [np.packbits(rest > 0, axis=1) for rest in rests]
            scales = [float(np.abs(rest).mean()) if rest.size else 1.0 for rest in rests]
            return _joined(codes, scales, vector_type, dim, means=means)


def _joined(
    codes: Sequence[NDArray[Any]],
    scales: Sequence[float],
    vector_type: VectorType,
    dim: int,
    *,
    means: NDArray[np.float16] | None = None,
    centroids: MultiVectors | None = None,
) -> MultiVectors:
    """Units one after the other, given the codes and the scale of each."""
    none = np.empty((0, code_width(vector_type, dim)), code_dtype(vector_type))
    offsets = np.cumsum([0, *(len(rows) for rows in codes)]).astype(np.int64)
    return MultiVectors(
        np.concatenate([none, *codes]),
        offsets,
        np.asarray(scales, np.float32),
        vector_type,
        dim,
        means,
        centroids,
    )


def _int8(items: Sequence[NDArray[np.float32]]) -> tuple[list[NDArray[np.int8]], list[float]]:
    peaks = [np.abs(item).max(initial=0) for item in items]
    scales = [np.float32(peak / INT8_LIMIT if peak > 0 else 1) for peak in peaks]
    codes = [np.rint(item / scale).astype(np.int8) for item, scale in zip(items, scales, strict=True)]
    return codes, [float(scale) for scale in scales]


def concatenate(parts: Sequence[MultiVectors]) -> MultiVectors:
    """The units of all parts, which have one storage type and dimension, in that order."""
    first = parts[0]
    means = [part.means for part in parts if part.means is not None]
    centroids = [part.centroids for part in parts if part.centroids is not None]
    return MultiVectors(
        np.concatenate([part.codes for part in parts]),
        np.cumsum(np.concatenate([[0], *(part.n_vectors for part in parts)])).astype(np.int64),
        np.concatenate([part.scales for part in parts]),
        first.vector_type,
        first.dim,
        np.concatenate(means) if means else None,
        concatenate(centroids) if centroids else None,
    )


def _mean(vectors: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    return vectors.mean(axis=0) if len(vectors) else np.zeros(dim, np.float32)
