"""Ragged multi-vectors in one array, in five storage types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from docrag.late_interaction import residual

VectorType = Literal["float32", "float16", "int8", "2-bit", "1-bit"]
VECTOR_TYPES: tuple[VectorType, ...] = get_args(VectorType)

INT8_LIMIT = 127


def code_width(vector_type: VectorType, dim: int) -> int:
    """Numbers stored per vector: `dim`, or the bytes that hold them all."""
    match vector_type:
        case "1-bit":
            return (dim + 7) // 8
        case "2-bit":
            return residual.HEADER_BYTES + residual.packed_width(dim)
        case _:
            return dim


def code_dtype(vector_type: VectorType) -> np.dtype[Any]:
    """NumPy type of the stored numbers; bits are packed into bytes, single ones most significant first."""
    return np.dtype("uint8" if vector_type in ("1-bit", "2-bit") else vector_type)


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
        the maximum over its vectors in integers. 1 for floats; for signs the mean size of a component; for
        two bits the unit of its rows' steps.
    means
        ``(n_units, dim) float16``, only with signs: what was taken off every vector of a unit before its
        signs were. Encoders give all patches of a page one direction in common, which would fill the signs.
    centroids
        Few int8 vectors a unit, only with two bits: rows are what is left of vectors beside them. They stand
        for the unit in a shortlist, too.
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
        if (self.centroids is not None) != (self.vector_type == "2-bit"):
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
        vectors = decode(codes, self.vector_type, self.dim)
        if code_dtype(self.vector_type).kind != "f":
            vectors *= self.scales[units, None]
        if self.means is not None:
            vectors += self.means[units].astype(np.float32)
        if self.centroids is not None:
            vectors += self.centroids.rows(self.centroids.offsets[units] + codes[:, 0])
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


def decode(codes: NDArray[Any], vector_type: VectorType, dim: int) -> NDArray[np.float32]:
    """Stored numbers as float32, before scaling: bits become −1 and +1, two bits the way from a centroid."""
    if vector_type == "1-bit":
        return np.unpackbits(codes, axis=1, count=dim).astype(np.float32) * 2 - 1
    if vector_type == "2-bit":
        return residual.unpack(codes, dim)
    return codes.astype(np.float32)


def encode(items: Sequence[NDArray[np.float32]], vector_type: VectorType, *, dim: int) -> MultiVectors:
    """Pack ``(n_vectors, dim)`` arrays of unit-length rows, one per unit.

    int8 keeps a component within ``scale / 2`` where ``scale`` is the largest component of the unit / 127;
    1-bit keeps the signs of what differs from the unit's mean (0 counts as negative), and its mean size;
    2-bit keeps what differs from the nearest of few centroids of the unit to about a third of its length.
    """
    for item in items:
        if item.ndim != 2 or item.shape[1] != dim:
            raise ValueError(f"got an array of shape {item.shape}, expected (n_vectors, {dim})")
    offsets = np.concatenate([[0], np.cumsum([len(item) for item in items])]).astype(np.int64)
    flat = np.concatenate(items).astype(np.float32) if items else np.empty((0, dim), np.float32)
    scales = np.ones(len(items), np.float32)
    if vector_type == "2-bit":
        return _encode_residuals(items, offsets, dim)
    if vector_type == "1-bit":
        means = np.asarray([_mean(item, dim) for item in items], np.float16).reshape(len(items), dim)
        flat -= np.repeat(means.astype(np.float32), np.diff(offsets), axis=0)
        codes: NDArray[Any] = np.packbits(flat > 0, axis=1)
        parts = np.split(np.abs(flat), offsets[1:-1])
        scales = np.asarray([part.mean() if part.size else 1 for part in parts], np.float32)[: len(items)]
        return MultiVectors(codes, offsets, scales, vector_type, dim, means)
    if vector_type == "int8":
        peaks = [np.abs(item).max(initial=0) for item in items]
        scales = np.asarray([peak / INT8_LIMIT if peak > 0 else 1 for peak in peaks], np.float32)
        codes: NDArray[Any] = np.rint(flat / np.repeat(scales, np.diff(offsets))[:, None]).astype(np.int8)
    else:
        codes = flat.astype(vector_type)
    return MultiVectors(codes, offsets, scales, vector_type, dim)


def _encode_residuals(
    items: Sequence[NDArray[np.float32]], offsets: NDArray[np.int64], dim: int
) -> MultiVectors:
    clustered = [residual.cluster(item.astype(np.float32)) for item in items]
    centroids = encode([found for found, _ in clustered], "int8", dim=dim)
    packed = [
        residual.pack(item.astype(np.float32), centroids.vectors(i), labels)
        for i, (item, (_, labels)) in enumerate(zip(items, clustered, strict=True))
    ]
    none = np.empty((0, code_width("2-bit", dim)), np.uint8)
    codes = np.concatenate([none, *(unit.codes for unit in packed)])
    scales = np.asarray([unit.scale for unit in packed], np.float32)
    return MultiVectors(codes, offsets, scales, "2-bit", dim, centroids=centroids)


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


def unpad(padded: NDArray[np.float32], mask: NDArray[np.bool_]) -> list[NDArray[np.float32]]:
    """Rows of a padded batch ``(n_units, n_max, dim)`` where ``mask (n_units, n_max)`` is true."""
    return [rows[keep] for rows, keep in zip(padded, mask, strict=True)]
