"""One segment of multi-vectors on disk: written once, then only read, by memory map.

A segment is a folder. It is written under another name and renamed when every byte is durable, so it is there
as a whole or not at all::

    meta.json   format, documents, failures, names of the segments it replaces
    units.npy   one row per unit: document, page, chunk, number of vectors, scale, grid shape
    codes.npy   (n_vectors, code width): the numbers of all units, one unit after the other
    means.npy   one row per unit, where only signs are stored: what they are the signs from
    centroids.npy, centroid-units.npy
                where residuals are stored: the vectors that they are the rest from, as numbers of all units,
                and one row per unit: how many, scale
    grids.npy   patch grids of all units, row by row, 65535 for a patch without a vector
    *.npy       columns of candidate stages, as listed in meta.json; they may be added later
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from docrag.errors import IndexFormatError
from docrag.late_interaction.multivectors import (
    VECTOR_TYPES,
    MultiVectors,
    VectorType,
    code_width,
    concatenate,
)
from docrag.late_interaction.view import Grids
from docrag.store.durable import fsync_tree, write_atomically

FORMAT = 3
"""Newest format, of `_NEW_TYPES`; other vectors are written as format 1, which earlier versions read."""

_NEW_TYPES: tuple[VectorType, ...] = ("4-bit", "residual")

_UNIT_ROW = np.dtype(
    [
        ("doc", "<i4"),
        ("page_no", "<i4"),
        ("chunk_no", "<i4"),
        ("n_vectors", "<i4"),
        ("scale", "<f4"),
        ("n_grid_rows", "<i4"),
        ("n_grid_columns", "<i4"),
    ]
)
_CENTROID_ROW = np.dtype([("n_vectors", "<i4"), ("scale", "<f4")])
_NO_VECTOR = 65535


class Source(NamedTuple):
    """Where a unit comes from: the bytes, the parser that counted pages, the ingest that cut regions."""

    doc_id: str
    parser: str
    ingest_id: str


class UnitFailure(NamedTuple):
    """A unit that could not be encoded: index into the segment's sources, place, and why."""

    source: int
    page_no: int
    chunk_no: int
    message: str


class UnitKey(NamedTuple):
    """A unit inside a segment: index into the segment's sources, and place."""

    source: int
    page_no: int
    chunk_no: int


@dataclass(frozen=True, slots=True)
class Segment:
    """The content of a segment; `units`, `grids` and the units of `vectors` have the same order."""

    sources: Sequence[Source]
    units: Sequence[UnitKey]
    vectors: MultiVectors
    grids: Grids
    failures: Sequence[UnitFailure] = ()
    replaces: Sequence[str] = ()
    columns: dict[str, NDArray[Any]] = field(default_factory=dict[str, Any])


def write_segment(folder: Path, segment: Segment) -> None:
    """Write a segment to `folder`, which must not exist; it is complete and durable when this returns."""
    temporary = folder.with_name(f".{folder.name}.new")
    temporary.mkdir(parents=True)
    rows = np.zeros(len(segment.units), _UNIT_ROW)
    for name in ("source", "page_no", "chunk_no"):
        rows["doc" if name == "source" else name] = [getattr(unit, name) for unit in segment.units]
    rows["n_vectors"], rows["scale"] = segment.vectors.n_vectors, segment.vectors.scales
    grids = [segment.grids[i] for i in range(len(segment.units))]
    rows["n_grid_rows"] = [0 if grid is None else grid.shape[0] for grid in grids]
    rows["n_grid_columns"] = [0 if grid is None else grid.shape[1] for grid in grids]
    flat_grids = [np.where(grid < 0, _NO_VECTOR, grid).ravel() for grid in grids if grid is not None]
    np.save(temporary / "units.npy", rows)
    np.save(temporary / "codes.npy", segment.vectors.codes)
    if segment.vectors.means is not None:
        np.save(temporary / "means.npy", segment.vectors.means)
    centroids = segment.vectors.centroids
    if centroids is not None:
        centroid_rows = np.zeros(len(centroids), _CENTROID_ROW)
        centroid_rows["n_vectors"], centroid_rows["scale"] = centroids.n_vectors, centroids.scales
        np.save(temporary / "centroid-units.npy", centroid_rows)
        np.save(temporary / "centroids.npy", centroids.codes)
    np.save(temporary / "grids.npy", np.concatenate([*flat_grids, []]).astype(np.uint16))
    for name, column in segment.columns.items():
        np.save(temporary / f"{name}.npy", column)
    meta = {
        "format": FORMAT if segment.vectors.vector_type in _NEW_TYPES else 1,
        "vector_type": segment.vectors.vector_type,
        "dim": segment.vectors.dim,
        "sources": [list(source) for source in segment.sources],
        "failures": [list(failure) for failure in segment.failures],
        "replaces": list(segment.replaces),
        "columns": sorted(segment.columns),
    }
    (temporary / "meta.json").write_text(json.dumps(meta), "utf-8")
    fsync_tree(temporary)
    temporary.rename(folder)
    fsync_tree(folder.parent, contents=False)


def read_segment(folder: Path) -> Segment:
    """Open a segment; codes and columns are memory-mapped and read when they are touched.

    Maps are copy-on-write, so that libraries without read-only arrays can take them; the file never changes.
    Raises `IndexFormatError` when the files do not fit one another.
    """
    try:
        meta: Any = json.loads((folder / "meta.json").read_bytes())
        if meta["format"] > FORMAT:
            raise IndexFormatError(
                f"{folder}: segment format {meta['format']}; this docrag reads up to {FORMAT}. Upgrade docrag"
            )
        if meta["vector_type"] not in VECTOR_TYPES:
            raise IndexFormatError(
                f"{folder}: the segment holds {meta['vector_type']} vectors, expected one of "
                f"{', '.join(VECTOR_TYPES)}; delete this folder and run docrag index again: "
                "only its pages are encoded anew"
            )
        vector_type: VectorType = meta["vector_type"]
        rows = np.load(folder / "units.npy")
        codes = _map(folder / "codes.npy")
        means = _map(folder / "means.npy") if vector_type == "1-bit" else None
        centroids = _read_centroids(folder, meta["dim"]) if vector_type == "residual" else None
        offsets = _offsets(rows["n_vectors"])
        if rows.dtype != _UNIT_ROW or codes.shape != (offsets[-1], code_width(vector_type, meta["dim"])):
            raise ValueError(
                f"{len(rows)} units with {offsets[-1]} vectors, but codes of shape {codes.shape}"
            )
        return Segment(
            sources=[Source(*source) for source in meta["sources"]],
            units=[UnitKey(*map(int, key)) for key in rows[["doc", "page_no", "chunk_no"]].tolist()],
            vectors=MultiVectors(
                codes, offsets, rows["scale"].copy(), vector_type, meta["dim"], means, centroids
            ),
            grids=_MappedGrids(rows["n_grid_rows"], rows["n_grid_columns"], _map(folder / "grids.npy")),
            failures=[UnitFailure(*failure) for failure in meta["failures"]],
            replaces=meta["replaces"],
            columns={name: _map(folder / f"{name}.npy") for name in meta["columns"]},
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise IndexFormatError(
            f"{folder}: the segment is damaged ({error}); delete this folder and run docrag index again: "
            "only its pages are encoded anew"
        ) from error


def _read_centroids(folder: Path, dim: int) -> MultiVectors:
    rows = np.load(folder / "centroid-units.npy")
    if rows.dtype != _CENTROID_ROW:
        raise ValueError(f"rows of centroids are {rows.dtype}")
    codes = _map(folder / "centroids.npy")
    offsets = _offsets(rows["n_vectors"])
    if len(codes) != offsets[-1]:
        raise ValueError(f"{len(rows)} units with {offsets[-1]} centroids, but {len(codes)} of them")
    return MultiVectors(codes, offsets, rows["scale"].copy(), "4-bit", dim)


def _offsets(n_vectors: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(n_vectors)]).astype(np.int64)


def add_columns(folder: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Put columns beside the vectors of a segment that is there; it never lists one that is not durable."""
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", column)
    fsync_tree(folder)
    meta: Any = json.loads((folder / "meta.json").read_bytes())
    meta["columns"] = sorted({*meta["columns"], *columns})
    write_atomically(folder / "meta.json", json.dumps(meta).encode())


def _map(path: Path) -> NDArray[Any]:
    array = np.load(path, mmap_mode="c")
    return array if array.size else np.array(array)  # an empty map keeps its file open for nothing


class _MappedGrids:
    """Patch grids, cut out of the flat array when asked for."""

    def __init__(
        self, n_rows: NDArray[np.int32], n_columns: NDArray[np.int32], flat: NDArray[np.uint16]
    ) -> None:
        self._n_rows, self._n_columns, self._flat = n_rows, n_columns, flat
        self._ends = np.cumsum(n_rows.astype(np.int64) * n_columns)

    def __len__(self) -> int:
        return len(self._n_rows)

    def __getitem__(self, index: int) -> NDArray[np.int32] | None:
        n_rows, n_columns = int(self._n_rows[index]), int(self._n_columns[index])
        if n_rows * n_columns == 0:
            return None
        end = int(self._ends[index])
        cells = self._flat[end - n_rows * n_columns : end].astype(np.int32).reshape(n_rows, n_columns)
        return np.where(cells == _NO_VECTOR, -1, cells)


def merged(
    segments: Sequence[Segment], rows: Sequence[NDArray[np.int64]], replaces: Sequence[str]
) -> Segment:
    """One segment of the given rows of several; columns are dropped, to be made anew."""
    sources: dict[Source, int] = {}
    units: list[UnitKey] = []
    grids: list[NDArray[np.int32] | None] = []
    failures: list[UnitFailure] = []
    taken: list[MultiVectors] = []
    for segment, kept in zip(segments, rows, strict=True):
        place = [sources.setdefault(source, len(sources)) for source in segment.sources]
        units += [segment.units[i]._replace(source=place[segment.units[i].source]) for i in kept]
        grids += [segment.grids[i] for i in kept]
        failures += [failure._replace(source=place[failure.source]) for failure in segment.failures]
        taken.append(segment.vectors.take(kept))
    return Segment(list(sources), units, concatenate(taken), grids, failures, replaces)
