"""What tests of the command line share."""

from __future__ import annotations

from pathlib import Path

from tests.pdfs import text_pdf

FAST = ["--set", "ingest.layout=fast", "--set", "ingest.ocr=never", "--set", "embed.kind=none"]
"""Settings under which an index of a few pages takes a second."""

PAGES = (
    ["Annual report", "Revenue in 2023 was 4.2 million euros, up from 3.9 million euros in 2022."],
    ["Staff", "The company employed 87 people at the end of 2023. The chief executive is Maria Lindqvist."],
    ["Risks", "The main risk is the price of copper."],
)


def write_reports(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    text_pdf(folder / "report.pdf", pages=PAGES)
    text_pdf(folder / "sub" / "notes.pdf", pages=[["Cooking notes", "Boil the pasta for nine minutes."]])
    return folder
