"""`docrag index`: what happened to every file, as text and as JSON, and the exit code that follows."""

from __future__ import annotations

import pytest
from tests.cli.cli_support import FAST, write_reports

from docrag.cli.index import exit_code, summary
from docrag.ingest.report import FileResult, IndexReport
from docrag.types import PageFailure, Reason


def report(*statuses: str) -> IndexReport:
    files = [FileResult(f"{n}.pdf", "", status) for n, status in enumerate(statuses)]
    return IndexReport(files, 2.0, 0)


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["indexed", "unchanged", "renamed", "removed"], 0),
        ([], 0),
        (["indexed", "refused"], 2),
        (["partial"], 2),
        (["refused", "refused"], 3),
    ],
)
def test_the_exit_code_says_whether_all_some_or_nothing_was_done(statuses, code):
    assert exit_code(report(*statuses)) == code


def test_the_summary_counts_files_and_pages():
    failed = (PageFailure(2, Reason.WALL_LIMIT, "slow"),)
    files = [
        FileResult("a.pdf", "1", "indexed", pages_declared=10, pages_indexed=10),
        FileResult("b.pdf", "2", "partial", pages_declared=6, pages_indexed=5, pages_failed=failed),
        FileResult("c.pdf", "3", "unchanged", pages_declared=4, pages_indexed=4),
    ]
    text = summary(IndexReport(files, 8.0, 16))
    assert text == "1 indexed, 1 partial, 1 unchanged; 16 pages read in 8 s (2.0 pages/s), 1 page failed"


def test_a_folder_is_indexed_then_kept_in_line(docrag, tmp_path):
    folder = write_reports(tmp_path / "reports")
    (folder / "bad.pdf").write_bytes(b"")
    first = docrag("index", folder, "--json", *FAST)
    assert first.code == 2
    assert {file["doc"]: file["status"] for file in first.json["files"]} == {
        "bad.pdf": "refused",
        "report.pdf": "indexed",
        "sub/notes.pdf": "indexed",
    }
    bad, good = first.json["files"][:2]
    assert set(bad) == {
        "doc", "doc_id", "status", "reason", "pages_declared", "pages_indexed", "pages_failed",
        "duplicate_of", "notes",
    }  # fmt: skip
    assert bad["reason"] == "empty_file"
    assert (good["pages_declared"], good["pages_indexed"], good["pages_failed"]) == (3, 3, [])
    assert first.json["totals"]["pages_indexed"] == 4
    assert "bad.pdf: refused, empty_file" in first.err

    (folder / "bad.pdf").unlink()
    (folder / "report.pdf").rename(folder / "renamed.pdf")
    (folder / "sub" / "notes.pdf").unlink()
    second = docrag("index", folder, *FAST)
    assert (second.code, second.out) == (0, "1 renamed, 1 removed\n")
    listed = docrag("ls", "--index", folder / ".docrag", "--json").json["documents"]
    assert [document["doc"] for document in listed] == ["renamed.pdf"]


def test_a_file_cut_short_is_indexed_and_said_to_be_damaged(docrag, samples, tmp_path):
    (tmp_path / "set").mkdir()
    report = (samples / "annual-report-2025.pdf").read_bytes()
    (tmp_path / "set" / "cut.pdf").write_bytes(report[:5000])
    (tmp_path / "set" / "same.pdf").write_bytes(report[:5000])
    write_reports(tmp_path / "set" / "whole")
    result = docrag("index", "set", "--json", *FAST)
    notes = {file["doc"]: (file["status"], file["notes"]) for file in result.json["files"]}
    assert (result.code, notes["cut.pdf"]) == (0, ("indexed", ["damaged"]))
    assert notes["whole/report.pdf"] == ("indexed", [])
    assert result.err.count("damaged") == 1  # not once more for the copy
    assert "cut.pdf: damaged; what was found in it is indexed" in result.err

    again = docrag("index", "set", "--json", *FAST)
    assert {file["doc"]: file["notes"] for file in again.json["files"]}["cut.pdf"] == ["damaged"]
    assert "damaged" not in again.err  # said once, when it is read
    assert "cut.pdf: damaged" in docrag("index", "set", "--quiet", "--force", *FAST).err
    listed = docrag("ls", "--index", "set/.docrag")
    assert [line.split()[:4] for line in listed.out.splitlines()[:2]] == [
        ["document", "pages", "failed", "notes"],
        ["cut.pdf", "7", "damaged", "pymupdf"],
    ]
    values = docrag("ls", "--index", "set/.docrag", "--json").json["documents"]
    assert {document["doc"]: document["notes"] for document in values}["cut.pdf"] == ["damaged"]


def test_an_index_may_lie_elsewhere_and_keeps_to_its_folder(docrag, tmp_path):
    folder = write_reports(tmp_path / "reports")
    assert docrag("index", folder, "--index", "idx", "--quiet", *FAST).code == 0
    assert not (folder / ".docrag").exists()
    part = docrag("index", folder / "sub", "--index", "idx", "--json", *FAST)
    assert [(f["doc"], f["status"]) for f in part.json["files"]] == [("sub/notes.pdf", "unchanged")]
    other = tmp_path / "other"
    other.mkdir()
    refused = docrag("index", other, "--index", "idx", *FAST)
    assert refused.code == 1
    assert "lies outside the indexed folder" in refused.err
    assert len(docrag("ls", "--index", "idx", "--json").json["documents"]) == 2


def test_files_read_with_other_settings_are_pointed_out(docrag, reports):
    other = [*FAST, "--set", "ingest.ocr_dpi=200"]
    result = docrag("index", reports, *other)
    assert result.code == 0
    assert "2 of these files were read with other ingest settings" in result.err
    assert docrag("index", reports, "--force", *other).out.startswith("2 indexed")
    assert "other ingest settings" not in docrag("index", reports, *other).err


def test_quiet_still_names_what_was_refused(docrag, tmp_path):
    folder = write_reports(tmp_path / "reports")
    (folder / "bad.pdf").write_bytes(b"")
    result = docrag("index", folder, "--quiet", *FAST)
    assert result.err == "bad.pdf: refused, empty_file (the file has 0 bytes)\n"


def test_a_password_opens_and_is_kept_nowhere(docrag, tmp_path, monkeypatch):
    import pymupdf

    folder = tmp_path / "secret"
    folder.mkdir()
    document = pymupdf.open()
    document.new_page().insert_text((72, 72), "The vault code is 1234.")
    document.save(
        str(folder / "vault.pdf"), encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="canary-pw", owner_pw="o"
    )
    document.close()
    locked = docrag("index", folder, "--json", *FAST)
    assert (locked.code, locked.json["files"][0]["reason"]) == (3, "encrypted")
    monkeypatch.setenv("DOCRAG_PASSWORD", "canary-pw")
    opened = docrag("index", folder, "--json", *FAST)
    assert opened.code == 0
    written = b"".join(path.read_bytes() for path in (folder / ".docrag").rglob("*") if path.is_file())
    assert b"canary-pw" not in written + opened.out.encode() + opened.err.encode()
