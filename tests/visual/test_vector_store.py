from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from docrag.errors import EncoderMismatch, IndexFormatError, IndexLocked, StorageError
from docrag.late_interaction.multivectors import VECTOR_TYPES, VectorType, encode
from docrag.protocols import EncoderIdentity
from docrag.store import vector_store
from docrag.store.segments import Segment, Source, UnitFailure, UnitKey, read_segment, write_segment
from docrag.store.vector_space import VectorSpace, read_space
from docrag.store.vector_store import VectorReader, VectorWriter
from docrag.types import Document, PageRef

SPACE = VectorSpace(EncoderIdentity("tiny", "r1", 8, "late"), "abc", "144 dpi", "float32", 1)


def document(doc: str, *, doc_id: str | None = None, parser: str = "p") -> Document:
    return Document(doc, doc_id or f"id-{doc}", 9, 9, (), 1, 1, parser)


def segment(
    doc: Document,
    places: list[tuple[int, int]],
    *,
    ingest_id: str = "i1",
    fill: float = 0.0,
    vector_type: VectorType = "float32",
) -> Segment:
    rng = np.random.default_rng([page_no for page_no, _ in places])
    items = [rng.standard_normal((page_no + 1, 8)).astype(np.float32) + fill for page_no, _ in places]
    return Segment(
        sources=[Source(doc.doc_id, doc.parser, ingest_id)],
        units=[UnitKey(0, *place) for place in places],
        vectors=encode(items, vector_type, dim=8),
        grids=[np.array([[0, 1], [-1, 1]], np.int32) if chunk_no == 0 else None for _, chunk_no in places],
    )


def reader(index: Path, documents: list[Document], ingest_id: str = "i1") -> VectorReader:
    return VectorReader(index, lambda: (documents, {d.doc_id: ingest_id for d in documents}))


def shown(index: Path, documents: list[Document], ingest_id: str = "i1") -> list[tuple[str, int, int]]:
    view = reader(index, documents, ingest_id).view()
    units = [
        view.unit(part, row)
        for unit in ("page", "region")
        for part, rows in view.select(documents, None, unit)
        for row in rows
    ]
    return sorted((unit.doc, unit.page_no, unit.chunk_no) for unit in units)


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
def test_a_segment_comes_back_as_it_was_written(tmp_path: Path, vector_type):
    rng = np.random.default_rng(1)
    items = [rng.standard_normal((n, 12)).astype(np.float32) for n in (3, 1, 5)]
    written = Segment(
        sources=[Source("a", "p", "i"), Source("b", "p", "j")],
        units=[UnitKey(0, 1, 0), UnitKey(1, 2, 0), UnitKey(1, 2, 4)],
        vectors=encode(items, vector_type, dim=12),
        grids=[np.array([[0, 1, 2]], np.int32), None, np.array([[4], [-1]], np.int32)],
        failures=[UnitFailure(1, 3, 0, "out of memory")],
        columns={"extra": np.arange(3)},
    )
    write_segment(tmp_path / "s", written)
    found = read_segment(tmp_path / "s")
    assert (found.sources, found.units, found.failures) == (written.sources, written.units, written.failures)
    assert (found.vectors.codes == written.vectors.codes).all()
    assert (found.vectors.offsets == written.vectors.offsets).all()
    assert (found.vectors.scales == written.vectors.scales).all()
    for i in range(3):
        assert (found.vectors.vectors(i) == written.vectors.vectors(i)).all()
    assert [None if g is None else g.tolist() for g in (found.grids[i] for i in range(3))] == [
        [[0, 1, 2]], None, [[4], [-1]]
    ]  # fmt: skip
    assert found.columns["extra"].tolist() == [0, 1, 2]


def test_pages_follow_the_bytes_and_regions_follow_the_ingest(tmp_path: Path):
    a = document("a.pdf")
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(a, [(1, 0), (1, 2)]))
    renamed = document("z.pdf", doc_id=a.doc_id)
    assert shown(tmp_path, [a]) == [("a.pdf", 1, 0), ("a.pdf", 1, 2)]
    assert shown(tmp_path, [renamed]) == [("z.pdf", 1, 0), ("z.pdf", 1, 2)]
    assert shown(tmp_path, [a], ingest_id="i2") == [("a.pdf", 1, 0)]
    assert shown(tmp_path, [dataclasses.replace(a, parser="other")]) == []
    assert shown(tmp_path, []) == []
    assert shown(tmp_path, [a, document("b.pdf")]) == [("a.pdf", 1, 0), ("a.pdf", 1, 2)]


def test_a_later_segment_stands_in_for_an_earlier_one(tmp_path: Path):
    a = document("a.pdf")
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(a, [(1, 0), (2, 0)]))
        writer.add(segment(a, [(1, 0)], fill=5))
    view = reader(tmp_path, [a]).view()
    found = view.find(view.unit(*next((p, r[0]) for p, r in view.select([a], [(1, 1)], "page"))))
    assert found is not None
    assert found[0].vectors.vectors(found[1]).mean() > 3
    assert shown(tmp_path, [a]) == [("a.pdf", 1, 0), ("a.pdf", 2, 0)]


def test_page_ranges_and_documents_are_selected_before_scoring(tmp_path: Path):
    a, b = document("a.pdf"), document("b.pdf")
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(a, [(1, 0), (2, 0), (3, 0), (3, 1)]))
        writer.add(segment(b, [(2, 0)]))
    view = reader(tmp_path, [a, b]).view()
    selected = view.select([a], [(2, 3)], "page")
    assert [view.unit(p, r) for p, rows in selected for r in rows] == [
        ("a.pdf", n, 0, a.doc_id) for n in (2, 3)
    ]
    assert view.select([], None, "page") == []
    assert view.pages() == {
        PageRef(a.doc_id, 1),
        PageRef(a.doc_id, 2),
        PageRef(a.doc_id, 3),
        PageRef(b.doc_id, 2),
    }


def test_adding_a_document_leaves_other_files_untouched(tmp_path: Path):
    a, b = document("a.pdf"), document("b.pdf")
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(a, [(1, 0)]))
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
        writer.add(segment(b, [(1, 0)]))
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_compaction_keeps_what_is_visible_and_drops_the_rest(tmp_path: Path):
    a, b = document("a.pdf"), document("b.pdf")
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        for page_no in (1, 2, 3):
            writer.add(segment(a, [(page_no, 0)]))
        writer.add(segment(b, [(1, 0)]))
        failing = segment(a, [])
        writer.add(dataclasses.replace(failing, failures=[UnitFailure(0, 4, 0, "too dark")]))
        old_view = reader(tmp_path, [a, b]).view()
        expected = {p: reader(tmp_path, [a]).view() for p in (1,)}[1]
        vectors = {(u.page_no): p.vectors.vectors(r) for p, rows in expected.select([a], None, "page")
                   for r in rows for u in [expected.unit(p, r)]}  # fmt: skip
        writer.compact([a], {a.doc_id: "i1"})
        writer.compact([a], {a.doc_id: "i1"})
    folders = [path for path in (tmp_path / "segments").iterdir() if path.is_dir()]
    assert len(folders) == 1
    view = reader(tmp_path, [a, b]).view()
    assert shown(tmp_path, [a, b]) == [("a.pdf", 1, 0), ("a.pdf", 2, 0), ("a.pdf", 3, 0)]
    for part, rows in view.select([a], None, "page"):
        for row in rows:
            assert (part.vectors.vectors(row) == vectors[view.unit(part, row).page_no]).all()
            assert part.grids[row] is not None
    assert reader(tmp_path, [a]).failures() == [(("a.pdf", 4, 0, a.doc_id), "too dark")]
    # A reader that had the old segments open still reads them.
    assert sum(len(rows) for _, rows in old_view.select([a, b], None, "page")) == 4
    assert all(np.isfinite(part.vectors.codes).all() for part in old_view.parts)


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
def test_compaction_moves_vectors_of_every_type_as_they_are(tmp_path: Path, vector_type: VectorType):
    a = document("a.pdf")
    space = dataclasses.replace(SPACE, vector_type=vector_type)
    segments = [
        segment(a, [(1, 0), (2, 0)], vector_type=vector_type),
        segment(a, [(40, 0)], vector_type=vector_type),
    ]
    with VectorWriter(tmp_path, space, owner="test") as writer:
        for one in segments:
            writer.add(one)
        writer.compact([a], {a.doc_id: "i1"})
    (part,) = reader(tmp_path, [a]).view().parts
    assert part.page_nos.tolist() == [1, 2, 40]
    for row, (one, i) in enumerate([(0, 0), (0, 1), (1, 0)]):
        assert (part.vectors.vectors(row) == segments[one].vectors.vectors(i)).all()


@pytest.mark.parametrize("vector_type", VECTOR_TYPES)
def test_earlier_versions_read_what_has_no_centroids(tmp_path: Path, vector_type: VectorType):
    write_segment(tmp_path / "s", segment(document("a.pdf"), [(1, 0)], vector_type=vector_type))
    meta = json.loads((tmp_path / "s" / "meta.json").read_text())
    assert meta["format"] == (3 if vector_type in ("4-bit", "residual") else 1)


def test_vectors_of_a_type_that_is_no_more_are_named(tmp_path: Path):
    write_segment(tmp_path / "s", segment(document("a.pdf"), [(1, 0)]))
    path = tmp_path / "s" / "meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"vector_type": "2-bit"}))
    with pytest.raises(IndexFormatError, match=r"holds 2-bit vectors, expected one of .*index again"):
        read_segment(tmp_path / "s")


@pytest.mark.parametrize("name", ["centroids.npy", "centroid-units.npy"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "of other units"])
def test_damaged_centroids_are_named(tmp_path: Path, name: str, damage: str):
    written = segment(document("a.pdf"), [(40, 0), (2, 0)], vector_type="residual")
    write_segment(tmp_path / "s", written)
    path = tmp_path / "s" / name
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    else:
        np.save(path, np.load(path)[:1])
    with pytest.raises(IndexFormatError, match=r"damaged.*run docrag index again"):
        read_segment(tmp_path / "s")


def test_a_crash_between_merging_and_removing_shows_nothing_twice(tmp_path: Path, monkeypatch):
    a = document("a.pdf")
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(a, [(1, 0)]))
        writer.add(segment(a, [(2, 0)]))

        def crash(*_: object) -> None:
            raise OSError("power cut")

        with monkeypatch.context() as patch:
            patch.setattr(vector_store.shutil, "rmtree", crash)
            with pytest.raises(StorageError, match="power cut"):
                writer.compact([a], {a.doc_id: "i1"})
        assert shown(tmp_path, [a]) == [("a.pdf", 1, 0), ("a.pdf", 2, 0)]
        assert len(reader(tmp_path, [a]).view().parts) == 1
        writer.compact([a], {a.doc_id: "i1"})
    assert len([path for path in (tmp_path / "segments").iterdir() if path.is_dir()]) == 1


def test_a_half_written_segment_is_not_seen(tmp_path: Path):
    a = document("a.pdf")
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(a, [(1, 0)]))
    (tmp_path / "segments" / ".00000002-x.new").mkdir()
    (tmp_path / "segments" / ".00000002-x.new" / "units.npy").write_bytes(b"torn")
    assert shown(tmp_path, [a]) == [("a.pdf", 1, 0)]


@pytest.mark.parametrize("name", ["meta.json", "units.npy", "codes.npy"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_segment_is_named(tmp_path: Path, name: str, damage: str):
    a = document("a.pdf")
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(a, [(1, 0), (2, 0)]))
    path = next((tmp_path / "segments").rglob(name))
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(IndexFormatError, match=r"damaged.*run docrag index again"):
        shown(tmp_path, [a])


def test_a_newer_segment_format_is_refused(tmp_path: Path):
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(document("a.pdf"), [(1, 0)]))
    path = next((tmp_path / "segments").rglob("meta.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(IndexFormatError, match=r"format 99.*Upgrade"):
        shown(tmp_path, [document("a.pdf")])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"pool_factor": 3}, "pool_factor: index 1, configured 3"),
        ({"vector_type": "int8"}, "vector_type: index 'float32', configured 'int8'"),
        ({"processor": "def"}, "processor"),
        (
            {"encoder": EncoderIdentity("tiny", "r2", 8, "late")},
            "encoder revision: index 'r1', configured 'r2'",
        ),
    ],
)
def test_vectors_of_another_space_are_refused(tmp_path: Path, change: dict[str, object], named: str):
    with VectorWriter(tmp_path, SPACE, owner="test"):
        pass
    assert read_space(tmp_path) == SPACE
    with pytest.raises(EncoderMismatch, match=named):
        VectorWriter(tmp_path, dataclasses.replace(SPACE, **change), owner="test")


def test_there_is_one_writer(tmp_path: Path):
    with (
        VectorWriter(tmp_path, SPACE, owner="first"),
        pytest.raises(IndexLocked, match="writing to this index"),
    ):
        VectorWriter(tmp_path, SPACE, owner="second")


def test_an_index_without_segments_shows_none(tmp_path: Path):
    assert reader(tmp_path, [document("a.pdf")]).view().parts == ()
    assert reader(tmp_path, []).space is None
