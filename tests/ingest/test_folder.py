from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from docrag.errors import UsageError
from docrag.ingest.folder import common_root, scan
from docrag.types import Reason

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def names(root: Path, *paths: Path) -> list[str]:
    return [file.doc for file in scan(paths or [root], root=root).files]


def test_pdfs_of_all_folders_are_found_sorted_and_the_rest_is_left(tmp_path: Path) -> None:
    make(
        tmp_path,
        "b.pdf",
        "A.PDF",
        "sub/deep/c.Pdf",
        "notes.txt",
        "._b.pdf",
        ".docrag/x.pdf",
        ".git/y.pdf",
        "sub/.z/z.pdf",
    )
    assert names(tmp_path) == ["A.PDF", "b.pdf", "sub/deep/c.Pdf"]


def test_a_file_asked_for_by_name_need_not_be_called_pdf(tmp_path: Path) -> None:
    make(tmp_path, "scan", "other.pdf")
    assert names(tmp_path, tmp_path / "scan") == ["scan"]


def test_a_path_given_twice_is_found_once(tmp_path: Path) -> None:
    make(tmp_path, "sub/a.pdf")
    assert names(tmp_path, tmp_path, tmp_path / "sub", tmp_path / "sub" / ".." / "sub" / "a.pdf") == [
        "sub/a.pdf"
    ]


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    found = scan([tmp_path], root=tmp_path)
    assert (found.files, found.unusable) == ([], [])


def test_a_missing_path_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.pdf does not exist; expected a folder or a PDF file"):
        scan([tmp_path / "nothing.pdf"], root=tmp_path)


def test_a_path_outside_the_root_is_one_clear_error(tmp_path: Path) -> None:
    make(tmp_path, "in/a.pdf", "out/b.pdf")
    with pytest.raises(UsageError, match="lies outside the indexed folder"):
        scan([tmp_path / "out"], root=tmp_path / "in")


def test_the_common_root_is_the_folder_around_everything_asked_for(tmp_path: Path) -> None:
    make(tmp_path, "x/a.pdf", "x/y/b.pdf", "z/c.pdf")
    assert common_root([tmp_path / "x"]) == tmp_path / "x"
    assert common_root([tmp_path / "x" / "a.pdf"]) == tmp_path / "x"
    assert common_root([tmp_path / "x" / "y", tmp_path / "z" / "c.pdf"]) == tmp_path
    with pytest.raises(UsageError, match="no path"):
        common_root([])


@POSIX_ONLY
def test_links_are_followed_inside_the_root_once_and_never_outside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    make(root, "real/a.pdf")
    make(tmp_path, "secret/s.pdf")
    (root / "loop").symlink_to(root)
    (root / "real" / "up").symlink_to("..")
    (root / "also-real").symlink_to("real")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "leak.pdf").symlink_to(tmp_path / "secret" / "s.pdf")
    (root / "gone.pdf").symlink_to(tmp_path / "nowhere.pdf")
    (root / "same.pdf").symlink_to("real/a.pdf")
    found = scan([root], root=root)
    assert [file.doc for file in found.files] == ["real/a.pdf", "same.pdf"]
    assert {(entry.doc, entry.reason) for entry in found.unusable} == {
        ("leak.pdf", Reason.UNSAFE_NAME),
        ("out", Reason.UNSAFE_NAME),
        ("gone.pdf", Reason.UNSAFE_NAME),
    }


@POSIX_ONLY
def test_links_that_lead_to_one_another_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "a.pdf")
    (tmp_path / "self.pdf").symlink_to("self.pdf")
    (tmp_path / "one.pdf").symlink_to("two.pdf")
    (tmp_path / "two.pdf").symlink_to("one.pdf")
    found = scan([tmp_path], root=tmp_path)
    assert [file.doc for file in found.files] == ["a.pdf"]
    assert [(entry.doc, entry.reason) for entry in found.unusable] == [
        ("one.pdf", Reason.IO_ERROR),
        ("self.pdf", Reason.IO_ERROR),
        ("two.pdf", Reason.IO_ERROR),
    ]
    assert scan([tmp_path / "self.pdf"], root=tmp_path).files == []


@POSIX_ONLY
def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    make(tmp_path, "real/a.pdf")
    (tmp_path / "link").symlink_to("real")
    assert names(tmp_path / "link", tmp_path / "link") == ["a.pdf"]
    assert names(tmp_path / "link", tmp_path / "link" / "a.pdf") == ["a.pdf"]


@POSIX_ONLY
def test_pipes_and_dead_links_are_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pdf")
    (tmp_path / "dead.pdf").symlink_to("nothing")
    found = scan([tmp_path], root=tmp_path)
    assert [(entry.doc, entry.reason) for entry in found.unusable] == [
        ("dead.pdf", Reason.IO_ERROR),
        ("pipe.pdf", Reason.IO_ERROR),
    ]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root reads everything")
def test_a_link_into_a_folder_without_permission_stops_nothing(tmp_path: Path) -> None:
    make(tmp_path, "locked/sub/a.pdf", "b.pdf")
    (tmp_path / "folder").symlink_to("locked/sub")
    (tmp_path / "file.pdf").symlink_to("locked/sub/a.pdf")
    (tmp_path / "locked").chmod(0)
    try:
        found = scan([tmp_path], root=tmp_path)
    finally:
        (tmp_path / "locked").chmod(0o700)
    assert [file.doc for file in found.files] == ["b.pdf"]
    assert [(entry.doc, entry.reason) for entry in found.unusable] == [
        ("file.pdf", Reason.IO_ERROR),
        ("locked", Reason.IO_ERROR),
    ]


@POSIX_ONLY
def test_odd_names_are_found_under_escaped_names(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    odd = [b"new\nline.pdf", b"caf\xe9.pdf", "a\u202eb.pdf".encode(), b"#1 100%.pdf", b"x" * 251 + b".pdf"]
    for raw in odd:
        with open(os.path.join(folder, raw), "wb") as file:
            file.write(raw)
    assert names(tmp_path) == sorted(
        ["new\\x0aline.pdf", "caf\\xe9.pdf", "a\\u202eb.pdf", "#1 100%.pdf", "x" * 251 + ".pdf"]
    )


def test_what_is_taken_by_name_only_is_passed_over_elsewhere(tmp_path: Path) -> None:
    make(tmp_path, "x/a.pdf", "x/scan", ".old/b.pdf")
    root = tmp_path.resolve()
    everything, by_name = scan([root], root=root), scan([root / "x" / "scan", root / ".old"], root=root)
    assert [everything.passes_over(root / n) for n in ("x/a.pdf", "x/scan", ".old/b.pdf")] == [
        False,
        True,
        True,
    ]
    assert not by_name.passes_over(root / "x" / "scan")
    assert not by_name.passes_over(root / ".old" / "b.pdf")


def test_a_scan_covers_what_lies_below_the_paths_asked_for(tmp_path: Path) -> None:
    make(tmp_path, "x/a.pdf", "y/b.pdf")
    found = scan([tmp_path / "x", tmp_path / "y" / "b.pdf"], root=tmp_path)
    assert found.covers(tmp_path.resolve() / "x" / "gone.pdf")
    assert found.covers(tmp_path.resolve() / "y" / "b.pdf")
    assert not found.covers(tmp_path.resolve() / "y" / "c.pdf")
