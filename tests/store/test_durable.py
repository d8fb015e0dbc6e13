"""Files that must be whole and on disk: what a table's folder gained, and how failures read."""

from __future__ import annotations

from pathlib import Path

import pytest

from docrag.errors import StorageError, StorageRefused
from docrag.store.durable import FolderSync, storage_errors, write_atomically


def table(folder: Path) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "old.lance").write_bytes(b"...LANC")
    return folder


def test_new_files_must_be_whole_wherever_they_are(tmp_path: Path) -> None:
    sync, folder = FolderSync(), table(tmp_path / "t.lance")
    sync.watch(folder)
    (folder / "data" / "new.lance").write_bytes(b"...LANC")
    (folder / "_indices" / "a" / "b").mkdir(parents=True)
    (folder / "_indices" / "a" / "b" / "part.lance").write_bytes(b"...LANC")
    (folder / "_transactions").mkdir()
    (folder / "_transactions" / "1.txn").write_bytes(b"")
    sync.flush(folder)
    (folder / "_indices" / "a" / "b" / "next.lance").write_bytes(b"...LAN")
    with pytest.raises(OSError, match="No space left on device: only 6 bytes were written") as caught:
        sync.flush(folder)
    assert caught.value.filename.endswith("next.lance")


def test_files_that_were_there_before_are_not_looked_at_again(tmp_path: Path) -> None:
    sync, folder = FolderSync(), table(tmp_path / "t.lance")
    sync.watch(folder)
    (folder / "data" / "old.lance").write_bytes(b"cut")
    sync.flush(folder)
    FolderSync().watch(tmp_path / "missing.lance")
    with pytest.raises(OSError, match="only 3 bytes"):
        FolderSync().flush(folder)


def test_files_and_folders_may_go(tmp_path: Path) -> None:
    sync, folder = FolderSync(), table(tmp_path / "t.lance")
    sync.watch(folder)
    (folder / "data" / "old.lance").unlink()
    (folder / "data").rmdir()
    (folder / "_versions").mkdir()
    (folder / "_versions" / "1.manifest").write_bytes(b"LANC")
    sync.flush(folder)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_atomically(path, b"first")
    write_atomically(path, b"second")
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.json"]
    assert path.read_bytes() == b"second"


@pytest.mark.parametrize(
    ("said", "advice", "is_refused"),
    [
        ("No space left on device (os error 28), /x/y.rs:12:3", "free some disk space", False),
        ("Disk quota exceeded", "free some disk space", False),
        ("Permission denied (os error 13)", "make the folder writable", True),
        ("Read-only file system", "make the folder writable", True),
        ("Input/output error", "check the disk", False),
    ],
)
def test_a_failure_says_what_to_do(tmp_path: Path, said: str, advice: str, is_refused: bool) -> None:
    with (
        pytest.raises(StorageError, match=rf"commit failed.*intact; {advice}, then run the same") as caught,
        storage_errors(tmp_path, "commit"),
    ):
        raise RuntimeError(f"{said}\nstack of another language")
    assert isinstance(caught.value, StorageRefused) == is_refused
    assert ".rs:" not in str(caught.value)
    assert "another language" not in str(caught.value)
