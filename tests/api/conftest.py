"""One small index that the tests of the Python interface read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.pdfs import text_pdf

from docrag import DocRAG, load_settings

FAST = [
    "ingest.layout=fast",
    "ingest.ocr=never",
    "ingest.n_workers=1",
    "embed.kind=none",
]
PAGES = (
    ["Annual report", "Revenue in 2023 was 4.2 million euros, up from 3.9 million euros in 2022."],
    ["Staff", "The company employed 87 people at the end of 2023. The chief executive is Maria Lindqvist."],
    ["Risks", "The main risk is the price of copper."],
)
TALKER = ["answer.kind=custom", "answer.factory=tests.api.parts_of_mine:Talker"]


def settings_with(*overrides: str):
    return load_settings(overrides=[*FAST, *overrides], environ={})


@pytest.fixture(scope="session")
def _indexed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("api") / "reports"
    folder.mkdir()
    text_pdf(folder / "report.pdf", pages=PAGES)
    text_pdf(folder / "notes.pdf", pages=[["Cooking notes", "Boil the pasta for nine minutes."]])
    with DocRAG.open(folder, settings=settings_with()) as rag:
        rag.index()
    return folder


@pytest.fixture
def folder(_indexed, tmp_path) -> Path:
    """A folder of two indexed PDFs, the test's own copy."""
    return shutil.copytree(_indexed, tmp_path / "reports")


@pytest.fixture
def rag(folder):
    with DocRAG.open(folder, settings=settings_with()) as rag:
        yield rag


@pytest.fixture
def talking(folder):
    """An index whose answers come word by word, and wait when asked to."""
    with DocRAG.open(folder, settings=settings_with(*TALKER)) as rag:
        yield rag
