"""Drafts, commits, removal, renaming, tidying: what the index holds after each."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from tests.store.pages import ENCODER, chunk_vectors, make_document, make_page, put

from docrag.errors import UsageError
from docrag.store import drafts, tables
from docrag.store.reader import IndexReader
from docrag.store.schema import document_of, document_row
from docrag.store.writer import IndexWriter
from docrag.types import Document, OutlineEntry, PageFailure, PageRef, Reason, Scope

EVERYTHING = Scope()
SLOW = PageFailure(2, Reason.CPU_LIMIT, "took more than 60 s")


def open_writer(index: Path, **options: object) -> IndexWriter:
    return IndexWriter(index, owner="test", text_encoder=ENCODER, **options)  # type: ignore[arg-type]


def found(index: Path, text: str) -> list[tuple[str, int]]:
    with IndexReader(index) as reader:
        hits = reader.search_text(text, unit="page", scope=EVERYTHING, k=100)
    return [(hit.unit.doc, hit.unit.page_no) for hit in hits]


def rows(index: Path, table: str) -> int:
    return tables.connect(index).open_table(table).count_rows()


def test_a_document_reads_back_whole(tmp_path: Path):
    pages = [make_page(1, "a cat", "a dog", label="i"), make_page(3, "a bird", label="1")]
    details = {
        "title": "Animals",
        "outline": (OutlineEntry(1, "Cats", 1),),
        "metadata": {"author": "Ann"},
        "aliases": ("copy.pdf",),
        "notes": ("damaged",),
        "size_bytes": 2**40,
        "mtime_ns": 1_700_000_000_123_456_789,
    }
    with open_writer(tmp_path) as writer:
        put(writer, "sub/ä.pdf", "aa", pages, failures=[SLOW], **details)
        expected = make_document("sub/ä.pdf", "aa", 3, [SLOW], **details)
        assert writer.documents() == [expected]
        assert writer.fingerprint("sub/ä.pdf") == "f1"
    with IndexReader(tmp_path) as reader:
        assert list(reader.documents()) == [expected]
        assert [reader.page(PageRef("aa", n)) for n in (1, 3)] == pages
        assert dict(reader.page_labels("aa")) == {1: "i", 3: "1"}
        with pytest.raises(KeyError, match="cpu_limit"):
            reader.page(PageRef("aa", 2))
        with pytest.raises(KeyError, match="pages 1 to 3"):
            reader.page(PageRef("aa", 4))
        with pytest.raises(KeyError, match="no document bb"):
            reader.page(PageRef("bb", 1))


def test_documents_stored_before_there_were_notes_have_none():
    (row,) = document_row(make_document("a.pdf", "aa", 1), ingest_id="i", fingerprint="f").to_pylist()
    details = json.loads(row["details"])
    del details["notes"]
    assert document_of({**row, "details": json.dumps(details)}).notes == ()


def test_nothing_of_a_draft_is_visible_before_its_commit(tmp_path: Path):
    with open_writer(tmp_path) as writer:
        pages = [make_page(1, "secret cat")]
        draft = writer.draft("aa", fingerprint="f1")
        draft.add(pages, chunk_vectors(pages), [])
        with IndexReader(tmp_path) as reader:
            assert list(reader.documents()) == []
            assert reader.search_text("secret", unit="page", scope=EVERYTHING, k=5) == []
            assert reader.search_text("secret", unit="region", scope=EVERYTHING, k=5) == []
            assert reader.search_vector(chunk_vectors(pages)[0], scope=EVERYTHING, k=5) == []
            with pytest.raises(KeyError):
                reader.page(PageRef("aa", 1))
            writer.commit(draft, make_document("a.pdf", "aa", 1))
            assert list(reader.documents()) == []
            assert reader.refresh()
            assert not reader.refresh()
            assert len(reader.documents()) == 1
        assert found(tmp_path, "secret") == [("a.pdf", 1)]


def test_a_draft_resumes_inside_the_file_with_the_same_bytes_and_settings(tmp_path: Path):
    pages = [make_page(n, f"page number {n}") for n in (1, 2, 3)]
    with open_writer(tmp_path) as writer:
        draft = writer.draft("aa", fingerprint="f1")
        draft.add(pages[:1], chunk_vectors(pages[:1]), [SLOW])
    with open_writer(tmp_path) as writer:
        draft = writer.draft("aa", fingerprint="f1")
        assert draft.pages_done == {1, 2}
        assert draft.failures == (SLOW,)
        draft.add(pages[2:], chunk_vectors(pages[2:]), [])
        writer.commit(draft, make_document("a.pdf", "aa", 3, [SLOW]))
        assert drafts.read_all(tmp_path) == []
        writer.finish()
    assert rows(tmp_path, "pages") == 3
    assert found(tmp_path, "number") == [("a.pdf", 1), ("a.pdf", 3)]


def test_chunks_of_a_page_that_was_only_half_written_are_dropped_on_resume(tmp_path: Path):
    steps: list[str] = []

    def fail_before_pages(step: str) -> None:
        steps.append(step)
        if step == "before pages append":
            raise OSError(5, "Input/output error")

    page = make_page(1, "cat", "dog")
    with open_writer(tmp_path, on_write=fail_before_pages) as writer:
        draft = writer.draft("aa", fingerprint="f1")
        with pytest.raises(Exception, match="pages append failed"):
            draft.add([page], chunk_vectors([page]), [])
        assert "after chunks append" in steps
        with pytest.raises(Exception, match="ask for the draft again"):
            draft.add([page], chunk_vectors([page]), [])
    assert rows(tmp_path, "chunks") == 2
    with open_writer(tmp_path) as writer:
        put(writer, "a.pdf", "aa", [page])
    assert rows(tmp_path, "chunks") == 2


@pytest.mark.parametrize("change", ["other settings", "other bytes", "discarded"])
def test_a_stale_draft_is_purged(tmp_path: Path, change: str):
    page = make_page(1, "stale words")
    with open_writer(tmp_path) as writer:
        draft = writer.draft("aa", fingerprint="f1")
        draft.add([page], chunk_vectors([page]), [])
        if change == "discarded":
            writer.discard(draft)
    with open_writer(tmp_path) as writer:
        if change == "other settings":
            assert writer.draft("aa", fingerprint="f2").pages_done == frozenset()
        else:
            assert writer.draft("bb", fingerprint="f1").pages_done == frozenset()
        writer.finish(keep_drafts=())
        assert len(drafts.read_all(tmp_path)) == 1
    assert rows(tmp_path, "pages") == rows(tmp_path, "chunks") == 0


def test_drafts_that_a_later_run_may_resume_are_kept_when_asked(tmp_path: Path):
    page = make_page(1, "kept words")
    for doc_id in ("aa", "bb"):
        with open_writer(tmp_path) as writer:
            writer.draft(doc_id, fingerprint="f1").add([page], chunk_vectors([page]), [])
    with open_writer(tmp_path) as writer:
        put(writer, "c.pdf", "cc", [page])
        writer.finish(keep_drafts=None)
        assert rows(tmp_path, "pages") == 3
        assert found(tmp_path, "kept") == [("c.pdf", 1)]
        writer.finish(keep_drafts=["bb"])
        assert [record.doc_id for record in drafts.read_all(tmp_path)] == ["bb"]
        assert rows(tmp_path, "pages") == 2
        assert found(tmp_path, "kept") == [("c.pdf", 1)]
        assert writer.draft("bb", fingerprint="f1").pages_done == {1}


def test_a_changed_file_replaces_what_had_its_name_in_one_step(tmp_path: Path):
    with open_writer(tmp_path) as writer:
        put(writer, "a.pdf", "aa", [make_page(1, "old text"), make_page(2, "old more")])
        put(writer, "b.pdf", "bb", [make_page(1, "other text")])
        version = tables.connect(tmp_path).open_table("documents").version
        put(writer, "a.pdf", "cc", [make_page(1, "new text")])
        assert tables.connect(tmp_path).open_table("documents").version == version + 1
        assert found(tmp_path, "old") == []
        assert found(tmp_path, "text") == [("a.pdf", 1), ("b.pdf", 1)]
        writer.finish()
        assert rows(tmp_path, "pages") == rows(tmp_path, "chunks") == 2
        assert found(tmp_path, "text") == [("a.pdf", 1), ("b.pdf", 1)]


def test_the_same_bytes_under_another_name_or_other_settings_replace_themselves(tmp_path: Path):
    with open_writer(tmp_path) as writer:
        put(writer, "a.pdf", "aa", [make_page(1, "first")])
        put(writer, "b.pdf", "aa", [make_page(1, "second")], fingerprint="f2")
        assert [document.doc for document in writer.documents()] == ["b.pdf"]
        assert writer.fingerprint("b.pdf") == "f2"
        assert found(tmp_path, "first second") == [("b.pdf", 1)]


def test_a_removed_document_is_gone_at_once_and_its_rows_when_finished(tmp_path: Path):
    with open_writer(tmp_path) as writer:
        put(writer, "it's.pdf", "aa", [make_page(1, "gone soon")])
        put(writer, "b.pdf", "bb", [make_page(1, "stays")])
        writer.remove("it's.pdf")
        assert [document.doc for document in writer.documents()] == ["b.pdf"]
        assert found(tmp_path, "gone stays") == [("b.pdf", 1)]
        with pytest.raises(UsageError, match="it's"):
            writer.remove("it's.pdf")
        writer.finish()
    assert rows(tmp_path, "pages") == 1


def test_renaming_reads_nothing_again_and_two_files_may_swap_names(tmp_path: Path):
    steps: list[str] = []
    with open_writer(tmp_path, on_write=steps.append) as writer:
        put(writer, "a.pdf", "aa", [make_page(1, "cat")])
        put(writer, "b.pdf", "bb", [make_page(1, "dog")])
        steps.clear()
        writer.rename("a.pdf", "c's.pdf")
        writer.rename_all({"c's.pdf": "b.pdf", "b.pdf": "c's.pdf"})
        assert set(steps) == {"before documents update", "after documents update"}
        assert found(tmp_path, "cat") == [("b.pdf", 1)]
        assert found(tmp_path, "dog") == [("c's.pdf", 1)]
        with pytest.raises(UsageError, match=r"b\.pdf"):
            writer.rename("c's.pdf", "b.pdf")
        with pytest.raises(UsageError, match=r"x\.pdf"):
            writer.rename("x.pdf", "y.pdf")


def test_file_facts_change_without_touching_pages(tmp_path: Path):
    with open_writer(tmp_path) as writer:
        put(writer, "a.pdf", "aa", [make_page(1, "cat")])
        expected = make_document("a.pdf", "aa", 1, size_bytes=7, mtime_ns=9, aliases=("b.pdf",))
        writer.update_files([dataclasses.replace(expected, title="another")])  # which is no fact of a file
        assert writer.documents() == [expected]
    with IndexReader(tmp_path) as reader:
        assert list(reader.documents()) == [expected]


def test_many_files_are_noted_and_many_documents_removed_in_one_step(tmp_path: Path):
    steps: list[str] = []
    with open_writer(tmp_path, on_write=steps.append) as writer:
        for i in range(5):
            put(writer, f"{i}.pdf", f"id{i}", [make_page(1, "cat")])
        touched = [dataclasses.replace(document, mtime_ns=99) for document in writer.documents()]
        steps.clear()
        writer.update_files(touched)
        assert steps == ["before documents update", "after documents update"]
        assert writer.documents() == touched
        steps.clear()
        writer.remove_all(["0.pdf", "3.pdf"])
        assert steps == ["before documents delete", "after documents delete"]
        assert [document.doc for document in writer.documents()] == ["1.pdf", "2.pdf", "4.pdf"]
        writer.remove_all([])
        writer.update_files([])
        assert len(steps) == 2
    assert found(tmp_path, "cat") == [("1.pdf", 1), ("2.pdf", 1), ("4.pdf", 1)]


def test_an_unchanged_run_writes_nothing(tmp_path: Path):
    with open_writer(tmp_path) as writer:
        put(writer, "a.pdf", "aa", [make_page(1, "cat")])
        writer.update_files([make_document("a.pdf", "aa", 1, size_bytes=7, mtime_ns=9)])
        writer.finish(keep_drafts=())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    steps: list[str] = []
    with open_writer(tmp_path, on_write=steps.append) as writer:
        writer.update_files([make_document("a.pdf", "aa", 1, size_bytes=7, mtime_ns=9)])
        writer.rename_all({})
        writer.finish(keep_drafts=())
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert steps == []
    assert {path.name for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == {
        "lock"
    }


@pytest.mark.parametrize(
    ("n_pages", "failures", "doc_id"),
    [(1, (), "aa"), (3, (), "aa"), (2, (SLOW,), "aa"), (2, (), "bb")],
)
def test_a_commit_that_does_not_add_up_is_refused(
    tmp_path: Path, n_pages: int, failures: tuple[PageFailure, ...], doc_id: str
):
    with open_writer(tmp_path) as writer:
        pages = [make_page(1, "cat"), make_page(2, "dog")]
        draft = writer.draft("aa", fingerprint="f1")
        draft.add(pages, chunk_vectors(pages), [])
        with pytest.raises(ValueError, match="declares"):
            writer.commit(draft, make_document("a.pdf", doc_id, n_pages, failures))
        assert writer.documents() == []


def test_a_page_is_added_once_and_vectors_fit_the_index(tmp_path: Path):
    with open_writer(tmp_path) as writer:
        page = make_page(1, "cat", "dog")
        vectors = chunk_vectors([page])
        draft = writer.draft("aa", fingerprint="f1")
        for wrong, message in [
            (None, "no vectors"),
            (vectors[:1], r"\(1, 8\); expected \(2, 8\)"),
            (vectors[:, :4], r"\(2, 4\)"),
            (vectors * 2, "unit length"),
            (vectors * np.float32("nan"), "unit length"),
        ]:
            with pytest.raises(ValueError, match=message):
                draft.add([page], wrong, [])
        assert rows(tmp_path, "chunks") == 0
        with pytest.raises(ValueError, match="added before"):
            draft.add([page, page], np.concatenate([vectors, vectors]), [])
        draft.add([page], vectors, [])
        with pytest.raises(ValueError, match="added before"):
            draft.add([page], vectors, [])
        with pytest.raises(ValueError, match="added before"):
            draft.add([], None, [PageFailure(1, Reason.OCR_FAILED, "")])


def test_an_index_without_an_encoder_takes_no_vectors_and_has_none(tmp_path: Path):
    with IndexWriter(tmp_path, owner="test", text_encoder=None) as writer:
        page = make_page(1, "cat")
        with pytest.raises(ValueError, match="holds none"):
            writer.draft("aa", fingerprint="f1").add([page], chunk_vectors([page]), [])
        put(writer, "a.pdf", "aa", [page], with_vectors=False)
        writer.finish()
    assert found(tmp_path, "cat") == [("a.pdf", 1)]


def test_text_that_utf8_cannot_hold_is_stored_and_its_words_are_found(tmp_path: Path):
    page = make_page(1, "broken \ud800 glyph\x00 here", label="\udfff")
    with open_writer(tmp_path) as writer:
        draft = writer.draft("aa", fingerprint="f1")
        draft.add([page], chunk_vectors([page]), [])
        writer.commit(draft, make_document("a.pdf", "aa", 1, title="\ud800 title"))
        writer.finish()
    with IndexReader(tmp_path) as reader:
        assert reader.page(PageRef("aa", 1)) == page
        assert reader.documents()[0].title == "? title"
    assert found(tmp_path, "glyph") == [("a.pdf", 1)]


def test_pages_without_chunks_and_documents_of_failures_alone_can_be_committed(tmp_path: Path):
    failure = PageFailure(1, Reason.PAGE_UNREADABLE, "no content")
    with open_writer(tmp_path) as writer:
        put(writer, "empty.pdf", "aa", [make_page(1)])
        put(writer, "failed.pdf", "bb", [], failures=[failure])
        writer.finish()
        assert [document.n_pages_indexed for document in writer.documents()] == [1, 0]
    with IndexReader(tmp_path) as reader:
        assert reader.page(PageRef("aa", 1)).chunks == ()
        assert dict(reader.page_labels("bb")) == {}
        assert isinstance(reader.documents()[1], Document)


def test_left_over_files_go_with_the_first_run_after_the_retention(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with open_writer(tmp_path) as writer:
        put(writer, "a.pdf", "aa", [make_page(n, f"cat {n}") for n in range(1, 9)], batch=1)
        writer.finish()
    n_before = len(list((tmp_path / "pages.lance" / "data").iterdir()))
    monkeypatch.setattr("docrag.store.tidy.RETENTION_S", 0.001)
    monkeypatch.setattr("docrag.store.writer.RETENTION_S", 0.001)
    steps: list[str] = []
    with open_writer(tmp_path, on_write=steps.append) as writer:
        version = tables.connect(tmp_path).open_table("pages").version
        writer.finish()
        assert tables.connect(tmp_path).open_table("pages").version == version
        steps.clear()
        writer.finish()
        assert steps == []
    assert n_before > 8
    assert len(list((tmp_path / "pages.lance" / "data").iterdir())) == 1
    assert found(tmp_path, "cat") == [("a.pdf", n) for n in range(1, 9)]


def test_merging_within_a_run_changes_nothing_but_the_number_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("docrag.store.tidy.MERGE_EVERY", 3)
    steps: list[str] = []
    with open_writer(tmp_path, on_write=steps.append) as writer:
        for i in range(4):
            put(writer, f"{i}.pdf", f"{i:032x}", [make_page(n, f"cat {n}") for n in (1, 2)], batch=1)
        assert {"after pages merge", "after chunks merge", "after documents merge"} <= set(steps)
    assert found(tmp_path, "cat") == [(f"{i}.pdf", n) for i in range(4) for n in (1, 2)]
    assert rows(tmp_path, "pages") == rows(tmp_path, "chunks") == 8


@pytest.mark.parametrize("record", [b"", b"{", b"\x00\x05\x16\x07", b"[]", b'{"ingest_id": "x"}'])
def test_a_damaged_record_of_a_draft_is_dropped_and_its_pages_are_read_again(tmp_path: Path, record: bytes):
    with open_writer(tmp_path) as writer:
        pages = [make_page(1, "half")]
        writer.draft("aa", fingerprint="f").add(pages, chunk_vectors(pages))
    (path,) = (tmp_path / "drafts").iterdir()
    path.write_bytes(record)
    with open_writer(tmp_path) as writer:
        assert writer.draft("aa", fingerprint="f").pages_done == frozenset()
        assert not path.exists()
        writer.finish()
    assert rows(tmp_path, "pages") == 0
