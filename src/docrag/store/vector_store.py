"""The multi-vectors of an index: which segments there are, what of them is visible, and adding to them.

Segments live in ``segments/`` of the index; what others put there is left alone. A whole page is visible as
long as a committed document has the same bytes and the same parser; a region only as long as the very ingest
that cut it is the committed one. So a removed document is gone at once, and a renamed one is not encoded
again.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docrag.errors import IndexFormatError
from docrag.late_interaction.view import VectorPart, VectorView
from docrag.store.durable import storage_errors
from docrag.store.lock import WriterLock
from docrag.store.segments import (
    Segment,
    Source,
    UnitFailure,
    add_columns,
    merged,
    read_segment,
    write_segment,
)
from docrag.store.vector_space import FILE_NAME, FOLDER, VectorSpace, check_space, read_space, write_space
from docrag.types import Document, UnitRef

MERGED_BYTES = 1 << 29
"""Compaction makes segments of at most about this size, so that it never needs much memory."""

_NAME = re.compile(r"[0-9]{8,}-[0-9a-z]+")
"""Name of a segment, in the order of writing; what has another name belongs to somebody else."""

_UNFINISHED = re.compile(rf"\.{_NAME.pattern}\.(new|old)")
"""Folder of a segment that is being written or removed, or was when docrag ended."""

_MAX_TRIES = 100  # a writer would have to merge segments between two looks a hundred times in a row

Columns = Callable[[Segment], dict[str, NDArray[Any]]]
"""Makes the columns that a candidate stage wants beside the vectors of a segment."""


def _no_columns(segment: Segment) -> dict[str, NDArray[Any]]:
    """No columns."""
    del segment
    return {}


def source_of(document: Document, ingest_id: str) -> Source:
    """The source of a document's units."""
    return Source(document.doc_id, document.parser, ingest_id)


def open_segments(index: Path) -> dict[str, Segment]:
    """All segments that are in force, by name; those a merged segment replaced are not."""
    folder = index / FOLDER
    for _ in range(_MAX_TRIES):
        names = sorted(path.name for path in _folders(index) if _NAME.fullmatch(path.name))
        try:
            segments = {name: read_segment(folder / name) for name in names}
        except IndexFormatError:
            if all((folder / name).is_dir() for name in names):
                raise
            continue  # a writer merged segments meanwhile
        replaced = {name for segment in segments.values() for name in segment.replaces}
        return {name: segment for name, segment in segments.items() if name not in replaced}
    raise IndexFormatError(f"{folder}: changed {_MAX_TRIES} times while it was opened; try again")


def foreign_names(index: Path) -> list[str]:
    """Names of what stands beside the segments and is not docrag's, sorted; hidden ones left out."""
    folder = index / FOLDER
    ours = {path.name for path in _folders(index) if _NAME.fullmatch(path.name)} | {FILE_NAME}
    names = {path.name for path in folder.glob("[!.]*")} if folder.is_dir() else set[str]()
    return sorted(names - ours)


def _folders(index: Path) -> list[Path]:
    """Folders in that of the segments, hidden ones and those of others included."""
    folder = index / FOLDER
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def make_view(
    segments: Mapping[str, Segment], documents: Sequence[Document], ingest_ids: Mapping[str, str]
) -> VectorView:
    """Show the segments as a committed state does: `documents` by name, and the ingest_id of each doc_id.

    When a unit occurs twice, the later segment's is shown.
    """
    visibility = _Visibility(documents, ingest_ids)
    seen: set[tuple[int, int, int]] = set()
    parts: list[VectorPart] = []
    for name, segment in sorted(segments.items(), reverse=True):
        doc_indices = visibility.doc_indices(segment)
        for i, unit in enumerate(segment.units):
            key = (int(doc_indices[i]), unit.page_no, unit.chunk_no)
            if key[0] >= 0 and key in seen:
                doc_indices[i] = -1
            seen.add(key)
        parts.append(
            VectorPart(
                name=name,
                vectors=segment.vectors,
                doc_indices=doc_indices,
                page_nos=np.asarray([unit.page_no for unit in segment.units], np.int32),
                chunk_nos=np.asarray([unit.chunk_no for unit in segment.units], np.int32),
                grids=segment.grids,
                columns=segment.columns,
            )
        )
    return VectorView(tuple(documents), tuple(parts))


class _Visibility:
    """Which units of a segment a committed state shows."""

    def __init__(self, documents: Sequence[Document], ingest_ids: Mapping[str, str]) -> None:
        self._index_of = {document.doc_id: i for i, document in enumerate(documents)}
        self._source_of = {d.doc_id: source_of(d, ingest_ids[d.doc_id]) for d in documents}

    def doc_indices(self, segment: Segment) -> NDArray[np.int32]:
        """Index of each unit's document, −1 for a unit that is not visible."""
        shown = np.full((len(segment.sources) or 1, 2), -1, np.int32)  # column 0 for pages, 1 for regions
        for i, source in enumerate(segment.sources):
            committed = self._source_of.get(source.doc_id)
            if committed is not None and committed.parser == source.parser:
                shown[i, 0] = self._index_of[source.doc_id]
                if committed.ingest_id == source.ingest_id:
                    shown[i, 1] = self._index_of[source.doc_id]
        sources = np.asarray([unit.source for unit in segment.units], np.int64)
        is_region = np.asarray([unit.chunk_no > 0 for unit in segment.units], np.int64)
        return shown[sources, is_region]

    def shows(self, source: Source, chunk_no: int) -> bool:
        """Whether units of this source are visible."""
        committed = self._source_of.get(source.doc_id)
        if committed is None or committed.parser != source.parser:
            return False
        return chunk_no == 0 or committed.ingest_id == source.ingest_id


class VectorReader:
    """The multi-vectors of a committed state; satisfies `docrag.protocols.VectorIndex`.

    Parameters
    ----------
    committed
        Returns the committed documents, sorted by name, and the ingest_id of each doc_id.
    """

    def __init__(
        self, index: Path, committed: Callable[[], tuple[Sequence[Document], Mapping[str, str]]]
    ) -> None:
        self.index = index
        self._committed = committed
        self.space = read_space(index)
        self._view: tuple[object, VectorView] | None = None

    def view(self) -> VectorView:
        """Visible units of the newest committed state that the reader of the index has moved on to."""
        documents, ingest_ids = self._committed()
        if self._view is None or self._view[0] is not documents:
            self._view = documents, make_view(open_segments(self.index), documents, ingest_ids)
        return self._view[1]

    def failures(self) -> list[tuple[UnitRef, str]]:
        """Visible units that could not be encoded, and why, sorted."""
        documents, ingest_ids = self._committed()
        return _failures(open_segments(self.index).values(), documents, ingest_ids)


class VectorWriter:
    """Adds segments to an index while holding its writer lock.

    `make_columns` makes the columns named by `column_names` for every segment that is written.

    Raises `EncoderMismatch` when the index has vectors of another space than `space`, before the lock is
    taken and before anything is written.
    """

    def __init__(
        self,
        index: Path,
        space: VectorSpace,
        *,
        owner: str,
        column_names: Sequence[str] = (),
        make_columns: Columns = _no_columns,
    ) -> None:
        self.index, self.space = index, space
        self._column_names = column_names
        self._make_columns = make_columns
        self._holds_space()  # refused before anything is touched
        self._lock = WriterLock(index, command=owner)
        self._lock.acquire()
        try:
            if not self._holds_space():
                with storage_errors(index, "writing the vector space"):
                    write_space(index, space)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> VectorWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def add(self, segment: Segment) -> None:
        """Write a segment; it is durable and visible when this returns."""
        segment.columns.update(self._make_columns(segment))
        with storage_errors(self.index, "writing a segment"):
            write_segment(self.index / FOLDER / self._new_name(), segment)

    def fill_columns(self) -> int:
        """Make the columns that segments lack, one segment after the other; returns how many lacked them."""
        lacking = {name: s for name, s in open_segments(self.index).items() if not self._has_columns(s)}
        for name, segment in lacking.items():
            columns = self._make_columns(segment)
            with storage_errors(self.index, "writing columns of a segment"):
                add_columns(self.index / FOLDER / name, columns)
        return len(lacking)

    def compact(self, documents: Sequence[Document], ingest_ids: Mapping[str, str]) -> None:
        """Merge small segments, drop invisible units, and make columns anew where they are missing.

        Readers that have the old segments open keep them; a crash leaves the old or the new ones.
        """
        segments = open_segments(self.index)
        visibility = _Visibility(documents, ingest_ids)
        shown = {part.name: part for part in make_view(segments, documents, ingest_ids).parts}
        failed = {
            (unit.doc_id, unit.page_no, unit.chunk_no)
            for unit, _ in _failures(segments.values(), documents, ingest_ids)
        }

        def still_failed(segment: Segment) -> list[UnitFailure]:
            return [
                f
                for f in segment.failures
                for source in (segment.sources[f.source],)
                if (source.doc_id, f.page_no, f.chunk_no) in failed and visibility.shows(source, f.chunk_no)
            ]

        unused: set[str] = set()
        for group in self._groups(segments):
            members = [segments[name] for name in group]
            rows = [np.flatnonzero(shown[name].doc_indices >= 0) for name in group]
            n_kept = sum(map(len, rows)) + sum(len(still_failed(member)) for member in members)
            if not n_kept:
                unused.update(group)
                continue
            only = members[0]
            if len(group) == 1 and n_kept == len(only.units) + len(only.failures) and self._has_columns(only):
                continue
            new = merged(members, rows, group)
            self.add(dataclasses.replace(new, failures=still_failed(new)))
        with storage_errors(self.index, "removing merged segments"):
            in_force = open_segments(self.index).keys() - unused
            for path in _folders(self.index):
                if _UNFINISHED.fullmatch(path.name):
                    shutil.rmtree(path)
                elif _NAME.fullmatch(path.name) and path.name not in in_force:
                    # Under a hidden name first: a reader finds all of a segment, or nothing.
                    shutil.rmtree(path.rename(path.with_name(f".{path.name}.old")))

    def _holds_space(self) -> bool:
        """Whether the index has this space; False when it has none; raises when it has another."""
        held = read_space(self.index)
        if held is not None:
            check_space(self.index, held, self.space)
        return held is not None

    def _has_columns(self, segment: Segment) -> bool:
        return set(self._column_names) <= segment.columns.keys()

    def _groups(self, segments: Mapping[str, Segment]) -> Iterable[list[str]]:
        """Names of segments to merge, in order, about `MERGED_BYTES` together."""
        group: list[str] = []
        n_bytes = 0
        for name, segment in sorted(segments.items()):
            size = segment.vectors.nbytes
            if group and n_bytes + size > MERGED_BYTES:
                yield group
                group, n_bytes = [], 0
            group.append(name)
            n_bytes += size
        if group:
            yield group

    def _new_name(self) -> str:
        """A name that sorts after all others, so that the order of segments is that of writing."""
        names = [path.name for path in _folders(self.index)]
        ours = [name for name in names if _NAME.fullmatch(name) or _UNFINISHED.fullmatch(name)]
        last = max((int(name.lstrip(".").partition("-")[0]) for name in ours), default=0)
        return f"{last + 1:08d}-{uuid.uuid4().hex[:8]}"


def _failures(
    segments: Iterable[Segment], documents: Sequence[Document], ingest_ids: Mapping[str, str]
) -> list[tuple[UnitRef, str]]:
    """Visible units that failed and did not succeed in any segment."""
    visibility = _Visibility(documents, ingest_ids)
    name_of = {document.doc_id: document.doc for document in documents}
    found: dict[UnitRef, str] = {}
    done: set[UnitRef] = set()
    for segment in segments:
        for unit in segment.units:
            source = segment.sources[unit.source]
            if visibility.shows(source, unit.chunk_no):
                done.add(UnitRef(name_of[source.doc_id], unit.page_no, unit.chunk_no, source.doc_id))
        for failure in segment.failures:
            source = segment.sources[failure.source]
            if visibility.shows(source, failure.chunk_no):
                doc = name_of[source.doc_id]
                unit = UnitRef(doc, failure.page_no, failure.chunk_no, source.doc_id)
                found[unit] = failure.message
    return sorted((unit, why) for unit, why in found.items() if unit not in done)
