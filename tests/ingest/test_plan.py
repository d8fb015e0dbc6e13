"""Random edits of a folder, each followed by an index run, against a fresh index of the same folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ingest.faulty import MemoryWriter

from docrag.ingest.folder import FoundFile, Scan, Unusable
from docrag.ingest.names import document_path
from docrag.ingest.plan import Plan, make_plan
from docrag.types import Document, Reason

ROOT = Path("/library")
NAMES = ("a.pdf", "b.pdf", "sub/c.pdf", "sub/d.pdf")
CONTENTS = ("1", "2", "3")


def doc_id(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def document(name: str, content: str, *aliases: str, mtime_ns: int = 0) -> Document:
    return Document(name, doc_id(content), 1, 1, (), 1, mtime_ns, "fake", aliases=aliases)


class Folder:
    """Files by name, as content and time of the last change; every edit has a later time."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, int]] = {}
        self.now_ns = 0

    def write(self, name: str, content: str) -> None:
        self.now_ns += 1
        self.files[name] = (content, self.now_ns)

    def move(self, old: str, new: str) -> None:
        if old in self.files:
            self.files[new] = self.files.pop(old)

    def swap(self, left: str, right: str) -> None:
        if left in self.files and right in self.files:
            self.files[left], self.files[right] = self.files[right], self.files[left]

    def scan(self, asked: Iterable[Path] = (ROOT,)) -> Scan:
        found = Scan(ROOT, frozenset(asked))
        found.files = [
            FoundFile(name, document_path(name, ROOT), 1, mtime_ns)
            for name, (_, mtime_ns) in sorted(self.files.items())
            if found.covers(document_path(name, ROOT))
        ]
        return found

    def plan(self, writer: MemoryWriter, scan: Scan, *, force: bool = False) -> Plan:
        return make_plan(
            scan,
            writer.documents(),
            content_of=lambda path: doc_id(self.files[path.relative_to(ROOT).as_posix()][0]),
            force=force,
        )

    def sync(self, writer: MemoryWriter, asked: Iterable[Path] = (ROOT,), *, force: bool = False) -> int:
        """Carry a plan out as a run does; the number of contents read."""
        plan = self.plan(writer, self.scan(asked), force=force)
        writer.remove_all([gone.doc for gone in plan.removals])
        writer.rename_all({k.document.doc: k.name for k in plan.kept if k.document.doc != k.name})
        writer.update_files([keep.updated for keep in plan.kept])
        for addition in plan.additions:
            content = self.files[addition.file.doc][0]
            added = document(
                addition.file.doc,
                content,
                *(file.doc for file in addition.duplicates),
                mtime_ns=addition.file.mtime_ns,
            )
            # Contents that swapped names: committing the first takes the row of the second along.
            assert addition.is_replacement or added.doc not in writer.committed
            draft = writer.draft(addition.doc_id, fingerprint="")
            draft.failures = ()
            draft.pages = {1: None}  # type: ignore[dict-item]
            writer.commit(draft, added)
        return len(plan.additions)


def names_of(writer: MemoryWriter) -> set[tuple[str, frozenset[str]]]:
    """For every content the names it goes by."""
    return {(d.doc_id, frozenset((d.doc, *d.aliases))) for d in writer.documents()}


name = st.sampled_from(NAMES)
edit = st.one_of(
    st.tuples(st.just("write"), name, st.sampled_from(CONTENTS)),
    st.tuples(st.just("remove"), name, st.none()),
    st.tuples(st.just("move"), name, name),
    st.tuples(st.just("swap"), name, name),
    st.tuples(st.just("sync"), st.none(), st.none()),
    st.tuples(st.just("sync file"), name, st.none()),
    st.tuples(st.just("sync sub"), st.none(), st.none()),
    st.tuples(st.just("force"), st.none(), st.none()),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(edit, max_size=14))
def test_after_any_edits_an_incremental_index_equals_a_fresh_one(edits: list[tuple[str, str, str]]) -> None:
    folder, writer = Folder(), MemoryWriter()
    for what, first, second in edits:
        if what == "write":
            folder.write(first, second)
        elif what == "remove":
            folder.files.pop(first, None)
        elif what == "move":
            folder.move(first, second)
        elif what == "swap":
            folder.swap(first, second)
        elif what == "sync":
            folder.sync(writer)
        elif what == "sync file" and first in folder.files:
            folder.sync(writer, [document_path(first, ROOT)])
        elif what == "sync sub":
            folder.sync(writer, [ROOT / "sub"])
        elif what == "force":
            folder.sync(writer, force=True)
    folder.sync(writer)
    fresh = MemoryWriter()
    folder.sync(fresh)
    assert names_of(writer) == names_of(fresh)
    assert folder.sync(writer) == 0


def test_a_known_size_and_time_saves_reading_the_file() -> None:
    folder = Folder()
    folder.write("a.pdf", "1")
    writer = MemoryWriter([document("a.pdf", "1", mtime_ns=1)])
    reads: list[Path] = []
    plan = make_plan(folder.scan(), writer.documents(), content_of=lambda p: reads.append(p) or "")
    assert reads == []
    assert [keep.is_touched for keep in plan.kept] == [False]


def test_a_new_time_with_the_same_bytes_is_noted_and_nothing_is_read_again() -> None:
    folder = Folder()
    folder.write("a.pdf", "1")
    writer = MemoryWriter([document("a.pdf", "1", mtime_ns=77)])
    assert folder.sync(writer) == 0
    assert writer.committed["a.pdf"].mtime_ns == 1


def test_the_same_bytes_under_two_names_are_read_once() -> None:
    folder, writer = Folder(), MemoryWriter()
    folder.write("b.pdf", "1")
    folder.write("a.pdf", "1")
    assert folder.sync(writer) == 1
    assert names_of(writer) == {(doc_id("1"), frozenset({"a.pdf", "b.pdf"}))}
    assert writer.documents()[0].doc == "a.pdf"


def test_a_document_takes_the_name_of_its_alias_when_its_own_file_is_gone() -> None:
    folder, writer = Folder(), MemoryWriter()
    folder.write("a.pdf", "1")
    folder.write("b.pdf", "1")
    folder.sync(writer)
    del folder.files["a.pdf"]
    assert folder.sync(writer) == 0
    assert names_of(writer) == {(doc_id("1"), frozenset({"b.pdf"}))}


def test_only_what_was_asked_for_is_removed() -> None:
    folder = Folder()
    writer = MemoryWriter([document("a.pdf", "1"), document("sub/c.pdf", "2")])
    folder.sync(writer, [ROOT / "sub"])
    assert [d.doc for d in writer.documents()] == ["a.pdf"]


def test_what_cannot_be_read_now_keeps_its_document() -> None:
    documents = [document("a.pdf", "1"), document("sub/c.pdf", "2"), document("subway.pdf", "3")]
    found = Scan(ROOT, frozenset({ROOT}))
    found.files = [FoundFile("a.pdf", ROOT / "a.pdf", 1, 99)]
    found.unusable = [Unusable("sub", Reason.IO_ERROR, "the folder cannot be listed")]

    def content_of(path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    plan = make_plan(found, documents, content_of=content_of)
    assert list(plan.unreadable) == ["a.pdf"]
    assert [keep.document.doc for keep in plan.kept] == ["a.pdf", "sub/c.pdf"]
    assert not any(keep.is_touched for keep in plan.kept)
    assert [d.doc for d in plan.removals] == ["subway.pdf"]


def test_when_the_folder_itself_cannot_be_listed_nothing_is_removed() -> None:
    documents = [document("a.pdf", "1"), document("sub/c.pdf", "2")]
    found = Scan(ROOT, frozenset({ROOT}))
    found.unusable = [Unusable(".", Reason.IO_ERROR, "the folder cannot be listed")]
    plan = make_plan(found, documents)
    assert [keep.document.doc for keep in plan.kept] == ["a.pdf", "sub/c.pdf"]
    assert plan.removals == ()


def test_two_documents_with_the_same_bytes_become_one() -> None:
    folder = Folder()
    folder.write("a.pdf", "1")
    folder.write("b.pdf", "1")
    writer = MemoryWriter([document("a.pdf", "1"), replace(document("b.pdf", "1"), mtime_ns=5)])
    folder.sync(writer)
    assert names_of(writer) == {(doc_id("1"), frozenset({"a.pdf", "b.pdf"}))}
