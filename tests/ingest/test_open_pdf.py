from __future__ import annotations

from pathlib import Path

import pytest
from tests import pdfs

from docrag.errors import IngestError
from docrag.ingest.open_pdf import Parser, open_source
from docrag.types import Reason


def reason_of(path: Path) -> str:
    with pytest.raises(IngestError) as caught:
        open_source(path)
    assert path.name in str(caught.value)
    return caught.value.reason


def test_an_empty_file_is_named_so(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"")
    assert reason_of(path) == Reason.EMPTY_FILE


def test_html_named_pdf_is_not_a_pdf(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_text("<html><body><p>Not found</p></body></html>")
    assert reason_of(path) == Reason.NOT_PDF


def test_a_picture_named_pdf_is_not_a_pdf(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    pdfs.text_pixmap(["hello"]).save(str(path), output="png")
    assert reason_of(path) == Reason.NOT_PDF


def test_a_missing_file_is_an_io_error(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "gone.pdf") == Reason.IO_ERROR


def test_a_header_alone_is_no_document(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    assert reason_of(path) in (Reason.XREF_UNRECOVERABLE, Reason.ZERO_PAGES)


@pytest.mark.parametrize(("parser", "name"), [("pymupdf", "MuPDF"), ("pdfium", "PDFium")])
def test_a_document_without_pages_is_refused_as_such(tmp_path: Path, parser: Parser, name: str) -> None:
    path = pdfs.write_objects(
        tmp_path / "a.pdf",
        [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] /Count 0 >>"],
    )
    with pytest.raises(IngestError, match="a password is needed"):  # a library may remember this one
        open_source(pdfs.encrypted_pdf(tmp_path / "b.pdf"), parser=parser)
    with pytest.raises(IngestError, match=rf"^a\.pdf: {name} finds no page in it$") as caught:
        open_source(path, parser=parser)
    assert caught.value.reason == Reason.ZERO_PAGES


def test_the_second_parser_is_used_when_the_first_finds_no_page(tmp_path: Path) -> None:
    # MuPDF believes /Count 0; PDFium looks at /Kids.
    path = pdfs.write_objects(
        tmp_path / "a.pdf",
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 0 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 400] >>",
        ],
    )
    with pytest.raises(IngestError) as caught:
        open_source(path, parser="pymupdf")
    assert caught.value.reason == Reason.ZERO_PAGES
    source = open_source(path)
    assert (source.parser, source.n_pages) == ("pdfium", 1)
    assert (source.read(1).width_pt, source.read(1).height_pt) == (300, 400)


def test_the_first_parser_is_used_when_it_can(tmp_path: Path) -> None:
    assert open_source(pdfs.text_pdf(tmp_path / "a.pdf")).parser == "pymupdf"
    assert open_source(pdfs.text_pdf(tmp_path / "a.pdf"), parser="pdfium").parser == "pdfium"


@pytest.mark.parametrize("tenths", range(1, 10))
def test_a_cut_file_gives_pages_or_a_reason(tmp_path: Path, tenths: int) -> None:
    whole = pdfs.text_pdf(tmp_path / "whole.pdf", pages=[(pdfs.PROSE,)] * 5).read_bytes()
    path = tmp_path / "cut.pdf"
    path.write_bytes(whole[: len(whole) * tenths // 10])
    outcomes: list[str] = []
    try:
        source = open_source(path)
        for page_no in range(1, source.n_pages + 1):
            source.read(page_no)
            outcomes.append("page")
    except IngestError as error:
        outcomes.append(error.reason)
    assert outcomes
    assert set(outcomes) <= {"page", *Reason}


@pytest.mark.parametrize("parser", ["pymupdf", "pdfium"])
def test_a_file_that_had_to_be_put_together_again_is_noted_as_damaged(tmp_path: Path, parser: Parser) -> None:
    whole, broken = pdfs.text_pdf(tmp_path / "whole.pdf"), tmp_path / "broken.pdf"
    broken.write_bytes(whole.read_bytes().replace(b"startxref", b"startnothing"))
    assert tuple(open_source(whole, parser=parser).notes) == ()
    source = open_source(broken, parser=parser)
    assert (source.n_pages, tuple(source.notes)) == (1, ("damaged",))


def test_nothing_is_printed_about_a_broken_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = pdfs.text_pdf(tmp_path / "whole.pdf").read_bytes()
    path = tmp_path / "cut.pdf"
    path.write_bytes(whole.replace(b"startxref", b"startnothing").replace(b"endobj", b"end", 1))
    open_source(path).read(1)
    assert capfd.readouterr() == ("", "")
