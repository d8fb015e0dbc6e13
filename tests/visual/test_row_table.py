"""Candidate tables in LanceDB against numpy, and shortlists from them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.multivectors import MultiVectors, encode
from docrag.late_interaction.view import Selection, VectorPart, VectorView
from docrag.retrieve.visual.table import TableCandidates
from docrag.store.row_table import RowTable, TableSpec
from docrag.types import Document

DIM = 16


def segment(n_units: int, seed: int) -> MultiVectors:
    random = np.random.default_rng(seed)
    pages = [random.standard_normal((6, DIM)).astype(np.float32) for _ in range(n_units)]
    return encode([p / np.linalg.norm(p, axis=1, keepdims=True) for p in pages], "float32", dim=DIM)


def sums(vectors: MultiVectors) -> Iterator[np.ndarray]:
    """One vector a unit, of various lengths."""
    return (vectors.vectors(i).sum(axis=0) * (i + 1) for i in range(len(vectors)))


def whole(vectors: MultiVectors) -> Iterator[np.ndarray]:
    return (vectors.vectors(i) for i in range(len(vectors)))


def dot_table(index: Path, **more: int) -> RowTable:
    return RowTable(index, TableSpec("sums", DIM, False, "dot", **more))


SEGMENTS = {f"{i:08d}-x": segment(40, i) for i in range(3)}
QUERY = np.random.default_rng(9).standard_normal(DIM).astype(np.float32)


@pytest.mark.parametrize("index_from", [10_000, 50])
def test_the_nearest_are_those_of_the_largest_inner_products(tmp_path: Path, index_from: int):
    """Not of the largest cosines: long vectors win. An index finds the same that looks everywhere.

    Thirty rows asked for are 150 compared by their numbers, so that the index's estimates drop none.
    """
    table = dot_table(tmp_path, index_from=index_from, n_probes=1000)
    assert table.update(SEGMENTS, sums) == 120
    assert table.indexed() == (index_from == 50)
    products = {
        (name, row): float(vector.astype(np.float16).astype(np.float64) @ QUERY)
        for name, vectors in SEGMENTS.items()
        for row, vector in enumerate(sums(vectors))
    }
    expected = sorted(products, key=lambda place: -products[place])[:30]
    assert table.nearest(QUERY, n=30) == expected
    assert table.nearest(QUERY, n=30, exhaustive=True) == expected
    assert len(table.nearest(QUERY, n=500, exhaustive=True)) == 120


def test_multivectors_rank_as_maxsim_does(tmp_path: Path):
    table = RowTable(tmp_path, TableSpec("whole", DIM, True, "cosine"))
    table.update(SEGMENTS, whole)
    query = segment(1, 77).vectors(0)[:3]
    kernel = MaxSim("numpy")
    scores = {(name, row): float(score) for name, vectors in SEGMENTS.items()
              for row, score in enumerate(kernel.scores([query], vectors)[0])}  # fmt: skip
    assert table.nearest(query, n=7) == sorted(scores, key=lambda place: -scores[place])[:7]


def test_only_what_is_new_is_added_and_what_is_gone_is_dropped(tmp_path: Path):
    made: list[int] = []

    def counted(vectors: MultiVectors) -> Iterator[np.ndarray]:
        made.append(len(vectors))
        return sums(vectors)

    table = dot_table(tmp_path)
    assert (table.parts(), table.n_rows(), table.nearest(QUERY, n=5)) == (frozenset(), 0, [])
    assert list(tmp_path.iterdir()) == []  # looking leaves no trace: an index may be read-only
    first, second, third = SEGMENTS
    assert table.update({first: SEGMENTS[first]}, counted) == 40
    reader = dot_table(tmp_path)
    assert reader.parts() == {first}
    assert table.update({name: SEGMENTS[name] for name in (first, second)}, counted) == 40
    assert reader.parts() == {first, second}  # another process sees it without opening it again
    assert table.update({name: SEGMENTS[name] for name in (second, third)}, counted) == 40
    assert made == [40, 40, 40]
    assert (reader.parts(), reader.n_rows()) == ({second, third}, 80)
    assert first not in {name for name, _ in reader.nearest(QUERY, n=80)}


def test_an_index_is_built_anew_when_much_came_after_it(tmp_path: Path):
    table = dot_table(tmp_path, index_from=40, n_probes=1000)
    table.update(dict(list(SEGMENTS.items())[:1]), sums)
    assert table.indexed()
    table.update(SEGMENTS, sums)
    stats = table._index_stats(table._open())  # type: ignore[arg-type]
    assert stats is not None
    assert (stats.num_indexed_rows, stats.num_unindexed_rows) == (120, 0)


def test_a_damaged_table_is_made_anew(tmp_path: Path):
    dot_table(tmp_path).update(SEGMENTS, sums)
    shutil.rmtree(tmp_path / "candidates" / "sums.lance" / "_versions")
    table = dot_table(tmp_path)
    assert table.update(SEGMENTS, sums) == 120
    assert len(table.nearest(QUERY, n=5)) == 5


def test_a_segment_without_units_and_units_without_vectors_do_no_harm(tmp_path: Path):
    empty = encode([], "float32", dim=DIM)
    bare = encode([np.empty((0, DIM), np.float32), np.eye(DIM, dtype=np.float32)[:2]], "float32", dim=DIM)
    table = RowTable(tmp_path, TableSpec("whole", DIM, True, "cosine"))
    table.update({"a": empty, "b": bare}, whole)
    assert table.nearest(np.eye(DIM, dtype=np.float32)[:1], n=5) == [("b", 1)]


class Listed:
    """A search that returns a fixed order, at most `reach` of it unless asked for everything."""

    def __init__(self, order: list[tuple[str, int]], *, reach: int | None = None) -> None:
        self.order, self.reach = order, reach
        self.asked: list[tuple[int, bool]] = []

    def parts(self) -> set[str]:
        return {name for name, _ in self.order}

    def n_rows(self) -> int:
        return len(self.order)

    def nearest(self, query: np.ndarray, *, n: int, exhaustive: bool = False) -> list[tuple[str, int]]:
        self.asked.append((n, exhaustive))
        return self.order[: n if exhaustive or self.reach is None else min(n, self.reach)]


def view_of(*names: str) -> VectorView:
    zeros = np.zeros(40, np.int32)
    parts = [
        VectorPart(name, SEGMENTS[name], zeros, np.arange(1, 41, dtype=np.int32), zeros, [None] * 40)
        for name in names
    ]
    return VectorView((Document("a.pdf", "id", 40, 40, (), 1, 1, "p"),), parts)


def shortlisted(
    search: Listed, view: VectorView, selections: list[Selection], *, n: int
) -> list[tuple[str, int]]:
    stage = TableCandidates("listed", search, lambda query: query)
    found = stage.shortlist(QUERY[None], view, selections, n=n)
    return [(part.name, int(row)) for part, rows in found for row in rows]


def test_rows_outside_the_selection_do_not_count():
    first, second, _ = SEGMENTS
    search = Listed(
        [(second, 39), *((first, row) for row in range(40)), *((second, row) for row in range(39))]
    )
    view = view_of(first, second)
    selection = [Selection(view.parts[0], np.arange(20, 30)), Selection(view.parts[1], np.array([2, 39]))]
    assert shortlisted(search, view, selection, n=4) == [(first, 20), (first, 21), (first, 22), (second, 39)]
    assert len(shortlisted(search, view, selection, n=100)) == 12


def test_an_index_that_looks_too_little_around_is_asked_to_look_everywhere():
    first, *_ = SEGMENTS
    search = Listed([(first, row) for row in range(40)], reach=5)
    view = view_of(first)
    selection = [Selection(view.parts[0], np.arange(30, 40))]
    assert shortlisted(search, view, selection, n=3) == [(first, 30), (first, 31), (first, 32)]
    assert search.asked[-1][1]


def test_segments_that_the_index_does_not_have_are_on_the_shortlist_as_a_whole():
    first, second, _ = SEGMENTS
    search = Listed([(first, row) for row in range(40)])
    view = view_of(first, second)
    selection = view.select(view.documents, None, "page")
    assert shortlisted(search, view, selection, n=2) == [
        (first, 0), (first, 1), *((second, row) for row in range(40))
    ]  # fmt: skip


def test_an_index_of_nothing_selected_is_not_asked():
    first, second, _ = SEGMENTS
    search = Listed([(first, 0)])
    view = view_of(second)
    assert len(shortlisted(search, view, view.select(view.documents, None, "page"), n=2)) == 40
    assert search.asked == []
