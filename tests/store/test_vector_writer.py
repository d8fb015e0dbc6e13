"""Upkeep of segments: the lock, compaction, and readers that open segments meanwhile. Needs no torch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from docrag.errors import StorageError
from docrag.late_interaction.multivectors import encode
from docrag.protocols import EncoderIdentity
from docrag.store.lock import WriterLock
from docrag.store.segments import Segment, Source, UnitFailure, UnitKey
from docrag.store.vector_space import VectorSpace
from docrag.store.vector_store import VectorReader, VectorWriter, foreign_names, open_segments
from docrag.types import Document

SPACE = VectorSpace(EncoderIdentity("tiny", "r1", 8, "late"), "abc", "144 dpi", "float32", 1)
A = Document("a.pdf", "id-a", 9, 9, (), 1, 1, "p")
INGEST_IDS = {A.doc_id: "i1"}


def segment(*page_nos: int, failed: Sequence[int] = (), ingest_id: str = "i1") -> Segment:
    return Segment(
        sources=[Source(A.doc_id, A.parser, ingest_id)],
        units=[UnitKey(0, page_no, 0) for page_no in page_nos],
        vectors=encode([np.full((2, 8), n, np.float32) for n in page_nos], "float32", dim=8),
        grids=[None] * len(page_nos),
        failures=[UnitFailure(0, page_no, 0, "too dark") for page_no in failed],
    )


def failures(index: Path) -> list[int]:
    reader = VectorReader(index, lambda: ([A], INGEST_IDS))
    return [unit.page_no for unit, _ in reader.failures()]


def test_units_that_failed_are_remembered_when_no_other_is_there(tmp_path: Path) -> None:
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(failed=[1]))
        writer.add(segment(failed=[2]))
        for _ in range(2):
            writer.compact([A], INGEST_IDS)
            assert failures(tmp_path) == [1, 2]
            assert len(open_segments(tmp_path)) == 1


def test_failures_go_when_the_unit_succeeded_or_its_document_is_gone(tmp_path: Path) -> None:
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(failed=[1, 2]))
        writer.add(segment(1))
        writer.compact([A], INGEST_IDS)
        assert failures(tmp_path) == [2]
        writer.compact([], {})
        assert open_segments(tmp_path) == {}


def test_segments_of_removed_documents_go_when_nothing_of_them_is_left(tmp_path: Path) -> None:
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(1, 2))
        writer.add(segment(3))
        writer.compact([], {})
    assert [path.name for path in (tmp_path / "segments").iterdir()] == ["space.json"]


@pytest.mark.parametrize(
    "name",
    ["backup", "00000001-0a1b2c3d copy", "00000001-0a1b2c3d.bak", "2024-11-02", ".git", ".old", "candidates"],
)
def test_folders_of_others_beside_the_segments_are_left_alone(tmp_path: Path, name: str) -> None:
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(1))
        kept = tmp_path / "segments" / name / "notes.txt"
        kept.parent.mkdir()
        kept.write_text("mine")
        (tmp_path / "segments" / ".DS_Store").write_bytes(b"Mac")
        writer.add(segment(2))
        assert len(open_segments(tmp_path)) == 2
        writer.compact([A], INGEST_IDS)
        assert [len(part.units) for part in open_segments(tmp_path).values()] == [2]
    assert kept.read_text() == "mine"
    assert (tmp_path / "segments" / ".DS_Store").read_bytes() == b"Mac"


@pytest.mark.parametrize("name", [".00000007-0a1b2c3d.new", ".00000007-0a1b2c3d.old"])
def test_compaction_clears_away_what_a_crash_left(tmp_path: Path, name: str) -> None:
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        (tmp_path / "segments" / name).mkdir()
        writer.add(segment(1))
        assert max(open_segments(tmp_path)).startswith("00000008-")
        writer.compact([A], INGEST_IDS)
    assert not (tmp_path / "segments" / name).exists()


def test_what_is_neither_segment_nor_of_the_system_is_named(tmp_path: Path) -> None:
    assert foreign_names(tmp_path) == []
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(1))
    assert foreign_names(tmp_path) == []
    for name in ("backup", ".00000007-0a1b2c3d.new", ".git"):
        (tmp_path / "segments" / name).mkdir()
    for name in (".DS_Store", "notes.txt", ".space.json.new"):
        (tmp_path / "segments" / name).write_text("mine")
    assert foreign_names(tmp_path) == ["backup", "notes.txt"]


def test_compaction_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(1, 2, failed=[3]))
        (name,) = open_segments(tmp_path)
        writer.compact([A], INGEST_IDS)
        assert list(open_segments(tmp_path)) == [name]


def test_a_writer_that_cannot_begin_keeps_no_lock(tmp_path: Path) -> None:
    (tmp_path / "segments").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="writing the vector space"):
        VectorWriter(tmp_path, SPACE, owner="test")
    lock = WriterLock(tmp_path, command="another")
    lock.acquire()
    lock.release()


def test_segments_can_be_opened_while_they_are_merged(tmp_path: Path) -> None:
    done = threading.Event()
    n_pages: set[int] = set()
    errors: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                n_pages.add(len(VectorReader(tmp_path, lambda: ([A], INGEST_IDS)).view().pages()))
        except BaseException as error:  # shown by the assertion below
            errors.append(error)

    with VectorWriter(tmp_path, SPACE, owner="test") as writer:
        writer.add(segment(*range(1, 9)))
        thread = threading.Thread(target=read)
        thread.start()
        for page_no in range(1, 9):
            writer.add(segment(page_no))
            writer.compact([A], INGEST_IDS)
        done.set()
        thread.join()
    assert errors == []
    assert n_pages == {8}
