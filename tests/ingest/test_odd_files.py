"""Odd, broken and hostile files through the real parsers, all in one run.

Each ends in a status with its reason, and the good ones among them are indexed.
"""

from __future__ import annotations

import os
import sys

import pytest
from tests import pdfs
from tests.ingest.faulty import MemoryWriter

from docrag.ingest.options import IngestLimits, IngestOptions
from docrag.ingest.report import FileResult, IndexReport
from docrag.ingest.run import index_paths
from docrag.types import Page, Reason

OPTIONS = IngestOptions(layout="fast", n_workers=2, limits=IngestLimits(max_pages=120))
PASSWORD = "sesame"
ODD_NAMES = {
    "new\\x0aline.pdf": b"new\nline.pdf",
    "caf\\xe9.pdf": b"caf\xe9.pdf",
    "a\\u202efdp.pdf": "a\u202efdp.pdf".encode(),
    "..%2f..%2fetc #1.pdf": b"..%2f..%2fetc #1.pdf",
    "l" * 251 + ".pdf": b"l" * 251 + b".pdf",
}


class Outcome:
    def __init__(self, report: IndexReport, writer: MemoryWriter) -> None:
        self.report = report
        self.files: dict[str, FileResult] = {file.doc: file for file in report.files}
        self._pages = writer.pages

    def pages(self, doc: str) -> dict[int, Page]:
        return self._pages[self.files[doc].doc_id]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("odd")
    pdfs.text_pdf(folder / "good.pdf")
    (folder / "empty.pdf").touch()
    (folder / "ten-bytes.pdf").write_bytes(b"0123456789")
    (folder / "header-only.pdf").write_bytes(b"%PDF-1.7\n")
    (folder / "page.pdf").write_text("<!DOCTYPE html><html><body><p>Not found</p></body></html>")
    pdfs.encrypted_pdf(folder / "locked.pdf", password=PASSWORD)
    pdfs.encrypted_pdf(folder / "locked-otherwise.pdf", password="mellon")
    pdfs.huge_page_pdf(folder / "poster.pdf")
    pdfs.huge_image_pdf(folder / "bomb.pdf", text="Words beside the picture")
    pdfs.scanned_pdf(folder / "scan.pdf")
    pdfs.many_pages_pdf(folder / "long.pdf", 120)
    pdfs.many_pages_pdf(folder / "too-long.pdf", 121)
    whole = pdfs.many_pages_pdf(folder / "whole.pdf", 8).read_bytes()
    for tenth in range(1, 10):
        (folder / f"cut-{tenth}.pdf").write_bytes(whole[: len(whole) * tenth // 10])
    if sys.platform != "win32":
        for number, raw in enumerate(ODD_NAMES.values(), start=1):
            with open(os.path.join(os.fsencode(folder), raw), "wb") as file:
                file.write(whole + b"\n%" * number)
    writer = MemoryWriter()
    return Outcome(index_paths([folder], writer=writer, options=OPTIONS, password=PASSWORD), writer)


def test_every_file_has_a_status_a_reason_and_an_account_of_its_pages(outcome: Outcome) -> None:
    for file in outcome.report.files:
        assert file.pages_indexed + len(file.pages_failed) == file.pages_declared
        assert (file.reason is None) == (file.status == "indexed")
        assert file.message or file.status == "indexed"


def test_files_that_are_no_good_pdf_are_refused_with_their_reason(outcome: Outcome) -> None:
    refused = {doc: file.reason for doc, file in outcome.files.items() if file.status == "refused"}
    assert refused.pop("header-only.pdf") in (Reason.ZERO_PAGES, Reason.XREF_UNRECOVERABLE)
    assert {doc: reason for doc, reason in refused.items() if not doc.startswith(("cut-", "bomb"))} == {
        "empty.pdf": Reason.EMPTY_FILE,
        "ten-bytes.pdf": Reason.NOT_PDF,
        "page.pdf": Reason.NOT_PDF,
        "locked-otherwise.pdf": Reason.ENCRYPTED,
        "too-long.pdf": Reason.TOO_MANY_PAGES,
    }


def test_good_files_are_indexed_beside_them(outcome: Outcome) -> None:
    for doc in ("good.pdf", "locked.pdf", "poster.pdf", "scan.pdf", "long.pdf", "whole.pdf"):
        assert outcome.files[doc].status == "indexed"
        assert outcome.files[doc].pages_indexed > 0


def test_the_password_is_told_to_nobody(outcome: Outcome) -> None:
    assert PASSWORD not in repr(outcome.report)


def test_what_a_cut_file_still_has_is_read(outcome: Outcome) -> None:
    cuts = [outcome.files[f"cut-{tenth}.pdf"] for tenth in range(1, 10)]
    assert cuts[-1].pages_indexed > 0
    assert all(0 <= cut.pages_declared <= 8 for cut in cuts)


def test_a_picture_that_would_fill_the_memory_costs_its_own_page_at_most(outcome: Outcome) -> None:
    bomb = outcome.files["bomb.pdf"]
    assert bomb.pages_declared == 1
    if bomb.status == "indexed":
        assert "Words beside the picture" in outcome.pages("bomb.pdf")[1].text
    else:
        assert bomb.reason in (Reason.IMAGE_TOO_LARGE, Reason.MEMORY_LIMIT)


def test_long_files_are_spread_over_workers_and_put_together_again(outcome: Outcome) -> None:
    pages = outcome.pages("long.pdf")
    assert sorted(pages) == list(range(1, 121))
    assert all(f"Station {n} measured" in page.text for n, page in pages.items())


def test_scanned_pages_are_read_by_ocr_in_the_workers(outcome: Outcome) -> None:
    assert {page.text_source for page in outcome.pages("scan.pdf").values()} == {"ocr"}


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not allow")
def test_files_with_odd_names_are_indexed_under_escaped_names(outcome: Outcome) -> None:
    assert {outcome.files[doc].status for doc in ODD_NAMES} == {"indexed"}
