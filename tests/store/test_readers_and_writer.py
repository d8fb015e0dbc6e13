"""Readers beside a writer that replaces, removes and tidies: no error, and never half a document."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.store.pages import ENCODER, embed, make_page, put

from docrag.errors import IndexLocked
from docrag.store.reader import IndexReader
from docrag.store.writer import IndexWriter
from docrag.types import PageRef, Scope

N_DOCUMENTS, N_PAGES, N_ROUNDS, N_READERS = 3, 3, 8, 3

WRITER = """
import sys
from pathlib import Path
from docrag.store.writer import IndexWriter
from tests.store.pages import ENCODER
from tests.store.test_readers_and_writer import N_DOCUMENTS, N_ROUNDS, write
with IndexWriter(Path(sys.argv[1]), owner="the writer", text_encoder=ENCODER) as writer:
    print("started", flush=True)
    for serial in range(1, N_ROUNDS):
        for i in range(N_DOCUMENTS):
            if (serial + i) % 4 == 3:
                writer.remove(f"{i}.pdf")
            write(writer, i, serial)
        writer.finish(keep_drafts=())
"""


def write(writer: IndexWriter, i: int, serial: int) -> None:
    """Document i as of a round: all its pages and chunks carry the same mark."""
    mark = f"mark{'abcdefghijklmnopqrstuvwxyz'[serial]}"
    pages = [make_page(n, f"common words {mark}", f"second {mark}") for n in range(1, N_PAGES + 1)]
    put(writer, f"{i}.pdf", f"{i:016x}{serial:016x}", pages)


def check(reader: IndexReader) -> None:
    """All that can be seen of a snapshot fits together."""
    expected = set()
    for document in reader.documents():
        pages = [reader.page(PageRef(document.doc_id, n)) for n in range(1, N_PAGES + 1)]
        assert len({page.chunks[0].text for page in pages}) == 1
        assert list(reader.page_labels(document.doc_id)) == [1, 2, 3]
        expected |= {(document.doc, document.doc_id, n) for n in range(1, N_PAGES + 1)}
    pages_found = reader.search_text("common", unit="page", scope=Scope(), k=1000)
    assert {(h.unit.doc, h.unit.doc_id, h.unit.page_no) for h in pages_found} == expected
    assert len(pages_found) == len(expected)
    chunks = reader.search_text("common second", unit="region", scope=Scope(), k=1000)
    vectors = reader.search_vector(embed(["common"])[0], scope=Scope(), k=1000)
    for hits in (chunks, vectors):
        assert len(hits) == 2 * len(expected)
        assert {(h.unit.doc, h.unit.doc_id, h.unit.page_no) for h in hits} == expected


def test_readers_see_whole_documents_while_another_process_writes_and_tidies(tmp_path: Path):
    with IndexWriter(tmp_path, owner="test", text_encoder=ENCODER) as writer:
        for i in range(N_DOCUMENTS):
            write(writer, i, 0)
        writer.finish()
    done = threading.Event()
    errors: list[BaseException] = []
    counts = [0] * N_READERS

    def read(reader_no: int) -> None:
        try:
            with IndexReader(tmp_path) as reader, IndexReader(tmp_path) as pinned:
                before = pinned.documents()
                while not done.is_set():
                    check(reader)
                    reader.refresh()
                    counts[reader_no] += 1
                check(pinned)
                assert pinned.documents() == before
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(N_READERS)]
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        with pytest.raises(IndexLocked, match="the writer"):
            IndexWriter(tmp_path, owner="second", text_encoder=ENCODER)
        for thread in threads:
            thread.start()
        child.communicate(timeout=300)
    finally:
        done.set()
        child.kill()
        child.communicate()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    assert child.returncode == 0
    assert min(counts) > 0
    with IndexReader(tmp_path) as reader:
        assert len(reader.documents()) == N_DOCUMENTS
        check(reader)


def test_a_reader_whose_files_were_deleted_moves_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("docrag.store.tidy.RETENTION_S", 0.001)
    monkeypatch.setattr("docrag.store.writer.RETENTION_S", 0.001)
    with IndexWriter(tmp_path, owner="test", text_encoder=ENCODER) as writer:
        for i in range(N_DOCUMENTS):
            write(writer, i, 0)
        writer.finish()
        with IndexReader(tmp_path) as reader:
            write(writer, 0, 1)
            writer.finish()
            writer.finish()
            hits = reader.search_text("markb", unit="page", scope=Scope(), k=10)
            assert {hit.unit.doc for hit in hits} == {"0.pdf"}
            check(reader)
