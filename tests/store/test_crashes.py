"""An index run that is killed or runs out of disk at any write: the next run ends where a clean one ends."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.store.pages import ENCODER, embed, make_document, make_page, put

from docrag.errors import StorageError
from docrag.store import schema, tables
from docrag.store.page_codec import unpack_page
from docrag.store.reader import IndexReader
from docrag.store.storage import Storage
from docrag.store.writer import IndexWriter
from docrag.types import Page, PageFailure, PageRef, Reason, Scope, Scored

FAILED = PageFailure(5, Reason.CPU_LIMIT, "took more than 60 s")
Folder = Mapping[str, tuple[str, list[Page], list[PageFailure]]]

BEFORE: Folder = {
    "changed.pdf": ("a1", [make_page(n, f"old cat page {n}", "tail") for n in (1, 2)], []),
    "removed.pdf": ("b1", [make_page(1, "old bird")], []),
    "old name.pdf": ("c1", [make_page(n, f"fox page {n}") for n in (1, 2)], []),
    "same.pdf": ("d1", [make_page(1, "same cow page")], []),
}
AFTER: Folder = {
    "changed.pdf": ("a2", [make_page(n, f"new cat page {n}", "tail dog") for n in (1, 2, 3, 4)], [FAILED]),
    "new name.pdf": BEFORE["old name.pdf"],
    "same.pdf": BEFORE["same.pdf"],
    "added.pdf": ("e1", [make_page(1, "added page with a cat and a dog")], []),
}
QUERIES = ("old cat page", "new dog", "fox", "tail", "page", "added cow")


def ignore(step: str) -> None:
    del step


def run(index: Path, folder: Folder, on_write: Callable[[str], None] = ignore) -> None:
    """What `docrag index` does with a folder: remove, rename, read what is new, finish."""
    with IndexWriter(index, owner="test", text_encoder=ENCODER, on_write=on_write) as writer:
        by_id = {doc_id: name for name, (doc_id, _, _) in folder.items()}
        for document in writer.documents():
            if document.doc not in folder and document.doc_id not in by_id:
                writer.remove(document.doc)
        known = {document.doc_id: document.doc for document in writer.documents()}
        writer.rename_all({known[i]: name for i, name in by_id.items() if i in known and known[i] != name})
        for name, (doc_id, pages, failures) in folder.items():
            if doc_id not in known:
                put(writer, name, doc_id, pages, failures=failures)
        writer.finish(keep_drafts=())


def all_rows(index: Path) -> dict[str, list[str]]:
    """Every row of every table but for its ingest_id, in an order that does not depend on history."""
    found: dict[str, list[str]] = {}
    for name in (schema.DOCUMENTS, schema.PAGES, schema.CHUNKS):
        rows = tables.connect(index).open_table(name).to_arrow().to_pylist()
        for row in rows:
            del row["ingest_id"]
            if row.get("packed") is not None:
                row["packed"] = unpack_page(row["packed"])
        found[name] = sorted(map(repr, rows))
    return found


def rankings(index: Path) -> list[list[Scored]]:
    with IndexReader(index) as reader:
        return [
            hits
            for query in QUERIES
            for hits in (
                reader.search_text(query, unit="page", scope=Scope(), k=10),
                reader.search_text(query, unit="region", scope=Scope(), k=10),
                reader.search_vector(embed([query])[0], scope=Scope(), k=10),
            )
        ]


def assert_whole(index: Path) -> None:
    """Every visible document is one of those written, with all its pages, and can be searched."""
    with IndexReader(index) as reader:
        for document in reader.documents():
            _, pages, failures = next(
                entry for entry in (*BEFORE.values(), *AFTER.values()) if entry[0] == document.doc_id
            )
            assert document == make_document(
                document.doc, document.doc_id, len(pages) + len(failures), failures
            )
            assert [reader.page(PageRef(document.doc_id, page.page_no)) for page in pages] == pages
        hits = reader.search_text("page cat bird cow fox", unit="page", scope=Scope(), k=100)
        assert {hit.unit.doc for hit in hits} == {document.doc for document in reader.documents()}


def names_and_ids(index: Path) -> dict[str, str]:
    with IndexReader(index) as reader:
        return {document.doc: document.doc_id for document in reader.documents()}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    index = tmp_path_factory.mktemp("before") / "index"
    run(index, BEFORE)
    return index


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    index = tmp_path_factory.mktemp("clean") / "index"
    run(index, AFTER)
    return index


@pytest.fixture(scope="module")
def killed(before: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What is on disk before every write of the second run, and in the middle of every table commit.

    A killed process loses nothing that it handed to the system, so a copy made at that moment is what a kill
    leaves. A commit of a table is its manifest: without the newest, what came before it lies about unused.
    """
    work = tmp_path_factory.mktemp("killed")
    index = work / "index"
    shutil.copytree(before, index)
    copies: dict[str, Path] = {}
    manifests: set[Path] = set()

    def copy(step: str) -> None:
        nonlocal manifests
        present = {p.relative_to(index) for p in index.glob("*.lance/_versions/*.manifest")}
        if step.startswith("before "):
            copies[f"{len(copies)} {step}"] = shutil.copytree(index, work / str(len(copies)))
        elif new := sorted(present - manifests):
            torn = shutil.copytree(index, work / str(len(copies)))
            # Manifest names count down: the first one is the newest.
            (torn / new[0]).unlink()
            copies[f"{len(copies)} within {step.removeprefix('after ')}"] = torn
        manifests = present

    run(index, AFTER, copy)
    return copies


def test_the_second_run_ends_where_a_clean_one_ends(before: Path, clean: Path, tmp_path: Path):
    index = shutil.copytree(before, tmp_path / "index")
    assert_whole(index)
    run(index, AFTER)
    assert all_rows(index) == all_rows(clean)
    assert rankings(index) == rankings(clean)


def no_space(step: str) -> None:
    raise OSError(errno.ENOSPC, f"No space left on device: {step}")


def test_a_run_killed_or_out_of_space_at_any_write_is_completed_by_the_next(
    killed: dict[str, Path], clean: Path
):
    expected_rows, expected_rankings = all_rows(clean), rankings(clean)
    assert len(killed) > 40
    for step, index in killed.items():
        try:
            with pytest.raises(StorageError, match="free some disk space"):
                run(index, AFTER, no_space)
            assert_whole(index)
            run(index, AFTER)
            assert all_rows(index) == expected_rows
            assert rankings(index) == expected_rankings
        except Exception as error:
            raise AssertionError(f"killed at step {step}") from error
        shutil.rmtree(index)


def test_a_first_run_killed_before_any_write_is_completed_by_the_next(tmp_path: Path):
    work = tmp_path / "index"
    copies: list[Path] = []

    def copy(step: str) -> None:
        if step.startswith("before ") and len(copies) < 9:
            copies.append(shutil.copytree(work, tmp_path / str(len(copies))))

    run(work, {"same.pdf": BEFORE["same.pdf"]}, copy)
    for index in copies:
        run(index, {"same.pdf": BEFORE["same.pdf"]})
        assert all_rows(index) == all_rows(work)
        assert rankings(index) == rankings(work)


KILLED_RUN = """
import os, signal, sys
from pathlib import Path
from tests.store.test_crashes import AFTER, run
left = int(sys.argv[2])
def kill(step):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
run(Path(sys.argv[1]), AFTER, kill)
"""


@pytest.mark.parametrize("n", [9, 37])
def test_a_process_killed_for_real_leaves_an_index_that_the_next_run_completes(
    before: Path, clean: Path, tmp_path: Path, n: int
):
    index = shutil.copytree(before, tmp_path / "index")
    child = subprocess.run(
        [sys.executable, "-c", KILLED_RUN, str(index), str(n)], cwd=Path(__file__).parents[2]
    )
    assert child.returncode == -9
    assert_whole(index)
    run(index, AFTER)
    assert all_rows(index) == all_rows(clean)
    assert rankings(index) == rankings(clean)


@pytest.mark.parametrize("name", [schema.DOCUMENTS, schema.PAGES, schema.CHUNKS])
@pytest.mark.parametrize("torn", ["manifest", "data"])
def test_a_commit_torn_by_a_power_cut_is_taken_back(
    before: Path, clean: Path, tmp_path: Path, name: str, torn: str
):
    index = shutil.copytree(before, tmp_path / "index")
    folder = index / f"{name}.lance"
    old = set((folder / "data").iterdir())
    page = make_page(1, "never acknowledged")
    with IndexWriter(index, owner="test", text_encoder=ENCODER) as writer:
        if name == schema.DOCUMENTS:
            put(writer, "z.pdf", "z1", [page])
        else:
            writer.draft("z1", fingerprint="f1").add([page], embed([page.text]), [])
    if torn == "manifest":
        min((folder / "_versions").glob("*.manifest")).write_bytes(b"")
    else:
        (new,) = set((folder / "data").iterdir()) - old
        new.write_bytes(new.read_bytes()[:-20])
    run(index, AFTER)
    assert all_rows(index) == all_rows(clean)
    assert rankings(index) == rankings(clean)


def test_a_file_that_lancedb_left_cut_short_is_noticed_and_its_commit_taken_back(
    before: Path, tmp_path: Path
):
    index = shutil.copytree(before, tmp_path / "index")
    data = index / "chunks.lance" / "data"
    storage = Storage(index, ignore)
    rows = schema.chunk_rows([make_page(1, "cut short")], embed(["cut short"]), ingest_id="i", doc_id="d")
    storage.table(schema.CHUNKS)
    old = set(data.iterdir())

    def add_and_cut() -> None:
        storage.table(schema.CHUNKS).add(rows)
        (new,) = set(data.iterdir()) - old
        new.write_bytes(new.read_bytes()[:-1])

    with pytest.raises(StorageError, match=r"only \d+ bytes were written.*free some disk space"):
        storage.write_table(schema.CHUNKS, "append", add_and_cut)
    assert_whole(index)
    storage.append(schema.CHUNKS, rows)
    assert storage.table(schema.CHUNKS).count_rows("ingest_id = 'i'") == 1


REFUSED_WRITES = """
import resource, shutil, signal, sys
from pathlib import Path
from docrag.errors import StorageError
from tests.store.test_crashes import AFTER, all_rows, assert_whole, rankings, run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
before, clean, work = map(Path, sys.argv[1:])
expected = all_rows(clean), rankings(clean)
for limit in range(1500, 7500, 1400):
    index = shutil.copytree(before, work / str(limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        run(index, AFTER)
    except StorageError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert_whole(index)
    run(index, AFTER)
    assert (all_rows(index), rankings(index)) == expected, limit
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX")
def test_writes_that_the_system_refuses_are_storage_errors_and_lose_nothing(
    before: Path, clean: Path, tmp_path: Path
):
    child = subprocess.run(
        [sys.executable, "-c", REFUSED_WRITES, str(before), str(clean), str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    messages = child.stdout.splitlines()
    assert len(messages) > 2
    assert all("failed: " in line and "run the same command again" in line for line in messages)
