"""Index runs over text files that a fault reader reads in real worker processes."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.ingest.faulty import FaultyReader, MemoryDraft, MemoryWriter, make_page

from docrag.errors import StorageError, UsageError
from docrag.ingest.events import Event, FileDone, FileStarted, Meter, PageFailed, PagesDone, PlanMade
from docrag.ingest.options import IngestLimits, IngestOptions
from docrag.ingest.plan import content_id
from docrag.ingest.report import FileResult, IndexReport
from docrag.ingest.run import index_paths
from docrag.protocols import EncoderIdentity
from docrag.types import Page, PageFailure, Reason

OPTIONS = IngestOptions(n_workers=2, limits=IngestLimits(open_cpu_s=0.5, page_cpu_s=0.5, wall_factor=8))


def write(folder: Path, **documents: str) -> None:
    for name, text in documents.items():
        path = folder / (name.replace("__", "/") + ".pdf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def index(folder: Path, writer: MemoryWriter, *paths: Path, **more: Any) -> IndexReport:
    more.setdefault("options", OPTIONS)
    return index_paths(paths or [folder], writer=writer, root=folder, reader=FaultyReader, **more)


def statuses(report: IndexReport) -> dict[str, str]:
    assert len({file.doc for file in report.files}) == len(report.files)
    for file in report.files:
        assert file.pages_indexed + len(file.pages_failed) == file.pages_declared
    return {file.doc: file.status + (f" {file.reason}" if file.reason else "") for file in report.files}


def test_every_file_ends_in_a_status_and_good_neighbours_are_indexed(tmp_path: Path) -> None:
    write(tmp_path, good="ok\nok", sub__long="\n".join(f"page {n}" for n in range(1, 51)))
    write(tmp_path, bad="ok\nexit\nraise", worst="unreadable", none="", locked="open: secret x\nok")
    write(tmp_path, killer="open: segv\nok", copy="ok\nok")
    writer = MemoryWriter()
    report = index(tmp_path, writer)
    assert statuses(report) == {
        "good.pdf": "indexed duplicate_of",
        "copy.pdf": "indexed",
        "sub/long.pdf": "indexed",
        "bad.pdf": "partial parser_crash",
        "worst.pdf": "refused page_unreadable",
        "none.pdf": "refused zero_pages",
        "locked.pdf": "refused encrypted",
        "killer.pdf": "refused parser_crash",
    }
    assert [document.doc for document in writer.documents()] == ["bad.pdf", "copy.pdf", "sub/long.pdf"]
    assert writer.committed["copy.pdf"].aliases == ("good.pdf",)
    long = writer.committed["sub/long.pdf"]
    assert (long.n_pages, long.n_pages_indexed, long.parser, long.title) == (50, 50, "faulty", "A title")
    assert sorted(writer.pages[long.doc_id]) == list(range(1, 51))
    assert all(page.text == f"page {n} on {n}" for n, page in writer.pages[long.doc_id].items())
    assert report.totals()["pages_declared"] == 50 + 2 + 3 + 1
    assert report.totals()["pages_failed"] == 2 + 1
    assert report.n_failed_files == 5
    assert writer.drafts == {}
    assert writer.n_finished == 1


def test_the_report_is_json_of_the_agreed_shape(tmp_path: Path) -> None:
    write(tmp_path, a="ok\nraise")
    report = json.loads(json.dumps(index(tmp_path, MemoryWriter()).to_json()))
    assert report["files"] == [
        {
            "doc": "a.pdf",
            "doc_id": content_id(tmp_path / "a.pdf"),
            "status": "partial",
            "reason": "page_unreadable",
            "pages_declared": 2,
            "pages_indexed": 1,
            "pages_failed": [{"page": 2, "reason": "page_unreadable"}],
            "duplicate_of": None,
            "notes": [],
        }
    ]
    assert report["totals"]["partial"] == report["totals"]["files"] == 1


def test_a_second_run_reads_nothing(tmp_path: Path) -> None:
    write(tmp_path, a="ok", b="ok\nraise", copy="ok")
    writer = MemoryWriter()
    index(tmp_path, writer)
    before = writer.documents()
    report = index(tmp_path, writer)
    assert statuses(report) == {
        "a.pdf": "unchanged",
        "b.pdf": "unchanged",
        "copy.pdf": "unchanged duplicate_of",
    }
    assert report.totals()["pages_read"] == 0
    assert writer.documents() == before


def test_force_reads_everything_again(tmp_path: Path) -> None:
    write(tmp_path, a="ok", b="ok\nok")
    writer = MemoryWriter()
    index(tmp_path, writer)
    report = index(tmp_path, writer, force=True)
    assert statuses(report) == {"a.pdf": "indexed", "b.pdf": "indexed"}
    assert report.totals()["pages_read"] == 3


def test_changed_renamed_removed_and_added_files(tmp_path: Path) -> None:
    write(tmp_path, stays="1", moves="2", changes="3", goes="4", breaks="5")
    writer = MemoryWriter()
    index(tmp_path, writer)
    (tmp_path / "moves.pdf").rename(tmp_path / "moved.pdf")
    (tmp_path / "goes.pdf").unlink()
    write(tmp_path, changes="3\n3", new="6", breaks="")
    assert statuses(index(tmp_path, writer)) == {
        "stays.pdf": "unchanged",
        "moved.pdf": "renamed",
        "changes.pdf": "indexed",
        "goes.pdf": "removed",
        "new.pdf": "indexed",
        "breaks.pdf": "refused zero_pages",
    }
    assert [d.doc for d in writer.documents()] == ["changes.pdf", "moved.pdf", "new.pdf", "stays.pdf"]
    assert writer.committed["changes.pdf"].n_pages == 2


def test_a_copy_names_its_original_when_it_comes_stays_and_goes(tmp_path: Path) -> None:
    write(tmp_path, a="ok", b="ok", c="ok")
    writer = MemoryWriter()

    def copies(report: IndexReport) -> dict[str, tuple[str, str | None]]:
        return {file["doc"]: (file["status"], file["duplicate_of"]) for file in report.to_json()["files"]}

    assert copies(index(tmp_path, writer)) == {
        "a.pdf": ("indexed", None),
        "b.pdf": ("indexed", "a.pdf"),
        "c.pdf": ("indexed", "a.pdf"),
    }
    (tmp_path / "c.pdf").unlink()
    report = index(tmp_path, writer)
    assert copies(report) == {
        "a.pdf": ("unchanged", None),
        "b.pdf": ("unchanged", "a.pdf"),
        "c.pdf": ("removed", "a.pdf"),
    }
    assert report.totals()["removed"] == 1
    (tmp_path / "a.pdf").unlink()
    assert copies(index(tmp_path, writer)) == {"b.pdf": ("renamed", None)}
    write(tmp_path, a="ok")
    index(tmp_path, writer)
    for name in ("a", "b"):
        (tmp_path / f"{name}.pdf").unlink()
    assert copies(index(tmp_path, writer)) == {"a.pdf": ("removed", None), "b.pdf": ("removed", None)}


def test_a_copy_that_is_removed_or_changed_is_reported_once(tmp_path: Path) -> None:
    write(tmp_path, a="ok", b="ok", c="ok", d="other")
    writer = MemoryWriter()
    index(tmp_path, writer)
    write(tmp_path, a="new", b="other")
    (tmp_path / "c.pdf").unlink()
    assert statuses(index(tmp_path, writer)) == {
        "a.pdf": "indexed",
        "b.pdf": "indexed duplicate_of",
        "c.pdf": "removed",
        "d.pdf": "unchanged",
    }


def test_a_copy_outside_of_what_is_read_again_is_not_removed(tmp_path: Path) -> None:
    write(tmp_path, a="ok", sub__b="ok")
    writer = MemoryWriter()
    index(tmp_path, writer)
    report = index(tmp_path, writer, tmp_path / "a.pdf", force=True)
    assert [(file.doc, file.status) for file in report.files] == [
        ("a.pdf", "indexed"),
        ("sub/b.pdf", "indexed"),
    ]


def test_files_may_swap_their_names(tmp_path: Path) -> None:
    write(tmp_path, a="1", b="2\n2")
    writer = MemoryWriter()
    index(tmp_path, writer)
    write(tmp_path, a="2\n2", b="1")
    report = index(tmp_path, writer)
    assert statuses(report) == {"a.pdf": "renamed", "b.pdf": "renamed"}
    assert [(d.doc, d.n_pages) for d in writer.documents()] == [("a.pdf", 2), ("b.pdf", 1)]


def test_a_swapped_file_that_cannot_be_read_again_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a="open: secret x\nok", b="ok")
    writer = MemoryWriter()
    index(tmp_path, writer, password="x")
    swapped = {name: (tmp_path / name).read_text() for name in ("a.pdf", "b.pdf")}
    (tmp_path / "a.pdf").write_text(swapped["b.pdf"])
    (tmp_path / "b.pdf").write_text(swapped["a.pdf"])
    one_by_one = OPTIONS.model_copy(update={"n_workers": 1})
    # Committing a.pdf takes along the row of b.pdf, which had that content; refusing b.pdf finds none.
    report = index(tmp_path, writer, force=True, options=one_by_one)
    assert statuses(report) == {"a.pdf": "indexed", "b.pdf": "refused encrypted"}
    assert [document.doc for document in writer.documents()] == ["a.pdf"]


def test_indexing_one_file_leaves_the_others_alone(tmp_path: Path) -> None:
    write(tmp_path, a="1", b="2")
    writer = MemoryWriter()
    index(tmp_path, writer)
    (tmp_path / "b.pdf").unlink()
    write(tmp_path, c="3")
    assert statuses(index(tmp_path, writer, tmp_path / "c.pdf")) == {"c.pdf": "indexed"}
    assert [d.doc for d in writer.documents()] == ["a.pdf", "b.pdf", "c.pdf"]


def test_what_was_indexed_by_name_stays_until_its_file_is_gone(tmp_path: Path) -> None:
    (tmp_path / "scan").write_text("1")
    write(tmp_path, a="2", **{".old__b": "3"})
    writer = MemoryWriter()
    index(tmp_path, writer, tmp_path / "scan", tmp_path / ".old", tmp_path / "a.pdf")
    names = [".old/b.pdf", "a.pdf", "scan"]
    assert [d.doc for d in writer.documents()] == names
    index(tmp_path, writer)
    assert [d.doc for d in writer.documents()] == names
    (tmp_path / "scan").unlink()
    (tmp_path / ".old" / "b.pdf").unlink()
    assert statuses(index(tmp_path, writer)) == {
        ".old/b.pdf": "removed",
        "a.pdf": "unchanged",
        "scan": "removed",
    }


def test_a_password_reaches_the_files_that_need_it(tmp_path: Path) -> None:
    write(tmp_path, open="ok", locked="open: secret xyzzy\nok")
    writer = MemoryWriter()
    report = index(tmp_path, writer, password="xyzzy")
    assert set(statuses(report).values()) == {"indexed"}
    assert "xyzzy" not in repr((report, writer.documents(), writer.pages))


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, a="ok\nonce change")
    writer = MemoryWriter()
    assert statuses(index(tmp_path, writer)) == {"a.pdf": "indexed"}
    assert writer.committed["a.pdf"].doc_id == content_id(tmp_path / "a.pdf")
    assert writer.committed["a.pdf"].n_pages == 3
    assert writer.drafts == {}


def test_a_file_that_is_replaced_by_a_shorter_one_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, a="\n".join(["shrink", *["ok"] * 39]))  # three jobs; the third page range is gone
    writer = MemoryWriter()
    report = index(tmp_path, writer, options=OPTIONS.model_copy(update={"n_workers": 1}))
    assert statuses(report) == {"a.pdf": "indexed"}
    assert writer.committed["a.pdf"].n_pages == 1


def test_a_file_that_keeps_changing_is_refused_and_its_old_state_stays(tmp_path: Path) -> None:
    write(tmp_path, a="ok", b="ok\nok")
    writer = MemoryWriter()
    index(tmp_path, writer)
    write(tmp_path, a="change\nok")
    assert statuses(index(tmp_path, writer)) == {
        "a.pdf": "refused changed_while_reading",
        "b.pdf": "unchanged",
    }
    assert writer.committed["a.pdf"].n_pages == 1


def test_a_file_that_vanishes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a="ok\nvanish", b="ok")
    writer = MemoryWriter()
    assert statuses(index(tmp_path, writer)) == {"a.pdf": "refused io_error", "b.pdf": "indexed"}


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root reads everything")
def test_files_and_folders_without_permission_are_refused_and_keep_their_documents(tmp_path: Path) -> None:
    write(tmp_path, a="1", sub__b="2")
    writer = MemoryWriter()
    index(tmp_path, writer)
    (tmp_path / "a.pdf").chmod(0)
    (tmp_path / "sub").chmod(0)
    try:
        os.utime(tmp_path / "a.pdf")
        assert statuses(index(tmp_path, writer)) == {"a.pdf": "refused io_error", "sub": "refused io_error"}
    finally:
        (tmp_path / "sub").chmod(0o700)
    assert [d.doc for d in writer.documents()] == ["a.pdf", "sub/b.pdf"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_listed_keeps_its_documents(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write(folder, a="1", sub__b="2")
    writer = MemoryWriter()
    index(folder, writer)
    folder.chmod(0)
    try:
        assert statuses(index(folder, writer)) == {".": "refused io_error"}
    finally:
        folder.chmod(0o700)
    assert [d.doc for d in writer.documents()] == ["a.pdf", "sub/b.pdf"]


class Interrupting(MemoryWriter):
    """Raises an error at the n-th page batch."""

    def __init__(self, error: BaseException, n_batches: int) -> None:
        super().__init__()
        self.error, self.n_batches = error, n_batches

    def draft(self, doc_id: str, *, fingerprint: str) -> MemoryDraft:
        writer = self

        class Draft(MemoryDraft):
            def add(self, pages: Any, vectors: Any, failures: Any) -> None:
                if writer.n_batches == 0:
                    raise writer.error
                writer.n_batches -= 1
                super().add(pages, vectors, failures)

        return self.drafts.setdefault((doc_id, fingerprint), Draft(doc_id, fingerprint))


def test_an_interrupted_run_is_continued_inside_the_file(tmp_path: Path) -> None:
    write(tmp_path, long="\n".join(["ok", "raise", *(f"page {n}" for n in range(3, 201))]))
    writer = Interrupting(KeyboardInterrupt(), 2)
    with pytest.raises(KeyboardInterrupt):
        index(tmp_path, writer)
    (draft,) = writer.drafts.values()
    n_done = len(draft.pages_done)
    assert 0 < n_done < 200
    writer.n_batches = -1
    report = index(tmp_path, writer)
    assert report.totals()["pages_read"] <= 200 - n_done
    assert statuses(report) == {"long.pdf": "partial page_unreadable"}
    assert report.files[0].pages_failed == (
        PageFailure(2, Reason.PAGE_UNREADABLE, "ValueError: the cow is out"),
    )
    assert sorted(writer.pages[report.files[0].doc_id]) == [1, *range(3, 201)]


def test_failed_pages_are_stored_as_they_come_like_all_others(tmp_path: Path) -> None:
    write(tmp_path, hopeless="\n".join(["raise"] * 200))
    writer = Interrupting(KeyboardInterrupt(), 2)
    with pytest.raises(KeyboardInterrupt):
        index(tmp_path, writer)
    (draft,) = writer.drafts.values()
    assert draft.failures


def test_a_run_is_continued_whichever_pages_were_stored(tmp_path: Path) -> None:
    # Workers finish out of order, so the pages of an interrupted run may lie anywhere.
    write(tmp_path, long="\n".join(f"page {n}" for n in range(1, 61)))
    stored = {2, 3, 5, 17, 18, 19, 40, *range(50, 61)}
    writer = MemoryWriter()
    draft = writer.draft(content_id(tmp_path / "long.pdf"), fingerprint=OPTIONS.fingerprint())
    draft.add([make_page(n, "stored") for n in sorted(stored)], None, [])
    events: list[Event] = []
    report = index(tmp_path, writer, on_event=events.append)
    assert report.totals()["pages_read"] == 60 - len(stored)
    pages = writer.pages[report.files[0].doc_id]
    assert {n for n, page in pages.items() if page.text == "stored"} == stored
    assert sorted(pages) == list(range(1, 61))
    assert FileStarted("long.pdf", 60, len(stored), (tmp_path / "long.pdf").stat().st_size) in events


def test_a_file_of_which_only_the_commit_was_missing_is_committed(tmp_path: Path) -> None:
    write(tmp_path, a="ok\nok")
    writer = MemoryWriter()
    draft = writer.draft(content_id(tmp_path / "a.pdf"), fingerprint=OPTIONS.fingerprint())
    draft.add([make_page(1, "stored"), make_page(2, "stored")], None, [])
    report = index(tmp_path, writer)
    assert (statuses(report), report.totals()["pages_read"]) == ({"a.pdf": "indexed"}, 0)


def test_other_options_do_not_continue_a_half_read_file(tmp_path: Path) -> None:
    write(tmp_path, long="\n".join(f"page {n}" for n in range(200)))
    writer = Interrupting(KeyboardInterrupt(), 2)
    with pytest.raises(KeyboardInterrupt):
        index(tmp_path, writer)
    writer.n_batches = -1
    report = index(tmp_path, writer, options=OPTIONS.model_copy(update={"layout": "fast"}))
    assert report.totals()["pages_read"] == 200


def test_a_full_disk_is_one_clear_error_and_keeps_what_was_committed(tmp_path: Path) -> None:
    write(tmp_path, a="1", b="2")
    writer = Interrupting(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 1)
    with pytest.raises(StorageError, match=r"disk is full.*committed so far is intact.*run the same command"):
        index(tmp_path, writer)
    assert len(writer.documents()) == 1
    writer.n_batches = -1
    assert "unchanged" in statuses(index(tmp_path, writer)).values()
    assert len(writer.documents()) == 2


def test_events_tell_the_whole_story_in_order(tmp_path: Path) -> None:
    write(tmp_path, a="ok\nraise", b="")
    events: list[Event] = []
    index(tmp_path, MemoryWriter(), on_event=events.append)
    assert events[0] == PlanMade(2, 2, len("ok\nraise"))
    about_a = [e for e in events[1:] if not (isinstance(e, FileDone) and e.result.doc == "b.pdf")]
    assert about_a[0] == FileStarted("a.pdf", 2, 0, len("ok\nraise"))
    assert [type(e) for e in about_a[1:]] == [PagesDone, PageFailed, PagesDone, FileDone]


def test_the_meter_counts_and_estimates_what_is_not_open_yet() -> None:
    now = 0.0
    meter = Meter(clock=lambda: now)
    assert meter.eta_s is None
    meter.update(PlanMade(n_files=3, n_to_read=2, n_bytes_to_read=3000))
    meter.update(FileStarted("a", n_pages=12, n_pages_done=2, size_bytes=1000))
    meter.update(PagesDone("a", 5))
    now = 2.5
    # Ten pages to read in the first thousand bytes, so twenty in the two thousand that remain.
    assert meter.n_pages_expected == 30
    assert meter.pages_per_s == 2.0
    assert meter.eta_s == 12.5
    meter.update(PageFailed("a", PageFailure(3, Reason.CPU_LIMIT, "")))
    meter.update(FileDone(FileResult("a", "", "refused", Reason.NOT_PDF)))
    assert (meter.n_pages_failed, meter.n_files_refused, meter.n_files_done, meter.n_files) == (1, 1, 1, 2)


class CountingEmbedder:
    """Embeds a text as the unit vector of its length, so that a row can be told from its neighbours."""

    identity = EncoderIdentity("counting", "1", 64, "none")

    def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
        return np.eye(64, dtype=np.float32)[[len(text) for text in texts]]

    embed_queries = embed_passages


def test_a_refused_file_leaves_the_estimate() -> None:
    now = [0.0]
    meter = Meter(lambda: now[0])
    meter.update(PlanMade(3, 3, 4000))
    meter.update(FileStarted("a.pdf", 10, 0, 1000))
    assert meter.n_pages_expected == 40  # 3,000 bytes more, at 10 pages for 1,000
    meter.update(FileDone(FileResult("b.pdf", "", "refused", Reason.NOT_PDF), 2000))
    assert (meter.n_pages_expected, meter.is_estimate) == (20, True)
    now[0] = 5.0
    meter.update(PagesDone("a.pdf", 10))
    assert meter.eta_s == 5.0
    meter.update(FileStarted("c.pdf", 4, 0, 1000))
    assert (meter.n_pages_expected, meter.is_estimate) == (14, False)


def test_nothing_is_expected_any_more_when_a_run_with_refusals_has_ended(tmp_path: Path) -> None:
    write(tmp_path, a="ok\nok", b="open: unreadable" + "\nok" * 500, c="ok\nchange", d="raise")
    meter = Meter()
    report = index(tmp_path, MemoryWriter(), on_event=meter.update)
    assert {file.doc: file.status for file in report.files}["b.pdf"] == "refused"
    assert meter.n_files_refused == 3  # c.pdf changes each time it is read
    assert (meter.n_pages_expected, meter.is_estimate) == (meter.n_pages_done, False)


def test_what_is_refused_after_some_pages_is_expected_no_longer() -> None:
    meter = Meter(lambda: 1.0)
    meter.update(PlanMade(2, 2, 2000))
    meter.update(FileStarted("a.pdf", 10, 0, 1000))
    meter.update(FileStarted("b.pdf", 10, 0, 1000))
    meter.update(PagesDone("a.pdf", 3))
    meter.update(FileDone(FileResult("a.pdf", "", "refused", Reason.IO_ERROR)))
    assert meter.n_pages_expected == 13  # the 3 that were read, and all of the other file


def test_every_chunk_gets_the_vector_of_its_own_text(tmp_path: Path) -> None:
    write(tmp_path, a="\n".join("x" * n for n in range(1, 21)))

    class Keeping(MemoryWriter):
        def discard(self, draft: MemoryDraft) -> None:
            raise AssertionError

        def commit(self, draft: MemoryDraft, document: Any) -> None:
            self.vectors = draft.vectors
            super().commit(draft, document)

    writer = Keeping()
    report = index(tmp_path, writer, embedder=CountingEmbedder())
    pages: dict[int, Page] = writer.pages[report.files[0].doc_id]
    assert {n: int(rows.argmax()) for n, rows in writer.vectors.items()} == {
        n: len(page.chunks[0].text) for n, page in pages.items()
    }


def test_a_missing_path_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        index(tmp_path, MemoryWriter(), tmp_path / "nothing")
    report = index(tmp_path, MemoryWriter())
    assert report.to_json()["files"] == []


SCRIPT = """
import signal
import sys
from pathlib import Path
from docrag.ingest.options import IngestOptions
from docrag.ingest.run import index_paths
from tests.ingest.faulty import FaultyReader, MemoryWriter

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
folder = Path(sys.argv[1])
try:
    index_paths([folder], writer=MemoryWriter(), options=IngestOptions(n_workers=2), reader=FaultyReader,
                on_event=lambda event: print(type(event).__name__, flush=True))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_a_run_and_all_its_workers_quickly(tmp_path: Path) -> None:
    # Unlike with `spawn` of multiprocessing, the script needs no __main__ guard.
    import psutil

    write(tmp_path, a="ok\nstubborn", b="ok\nspin")
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = iter(process.stdout)
    while "PagesDone" not in next(lines):
        pass
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 2
    time.sleep(0.2)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert [line for line in lines if "interrupted" in line]
    assert process.wait(10) == 0
    process.stdout.close()
    psutil.wait_procs(children, timeout=10)
    assert time.monotonic() - started < 20  # the pages would go on for an hour
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    import psutil

    write(tmp_path, a="\n".join(["ok"] * 500))
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while "PagesDone" not in process.stdout.readline():
        pass
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    process.stdout.close()
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert len(gone) == len(children)


def test_no_thread_or_process_is_left_behind(tmp_path: Path) -> None:
    import psutil

    write(tmp_path, a="ok")
    before = threading.active_count(), len(psutil.Process().children())
    index(tmp_path, MemoryWriter())
    assert (threading.active_count(), len(psutil.Process().children())) == before
