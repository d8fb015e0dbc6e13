"""A folder with an index and a run file beside it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.api.conftest import PAGES, settings_with
from tests.pdfs import text_pdf

from docrag import DocRAG
from docrag.cli import main

SETTINGS = {
    "ingest": {"layout": "fast", "ocr": "never", "n_workers": 1},
    "embed": {"kind": "none"},
}
CEO = "Who is the chief executive?"
PASTA = "How long does the pasta boil?"
BANK = "Which bank holds the pension fund?"


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="session")
def _indexed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "reports"
    folder.mkdir()
    text_pdf(folder / "report.pdf", pages=PAGES)
    text_pdf(folder / "notes.pdf", pages=[["Cooking notes", "Boil the pasta for nine minutes."]])
    with DocRAG.open(folder, settings=settings_with()) as rag:
        rag.index()
    return folder


@pytest.fixture
def place(_indexed, tmp_path, monkeypatch) -> Path:
    """A folder that holds ``reports``, indexed; the current one."""
    shutil.copytree(_indexed, tmp_path / "reports")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def docrag(capsys, place):
    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = main.run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return run


@pytest.fixture
def write_run(place):
    """Write a run file; `questions` and what else the section holds, and other settings."""

    def write(
        questions: object, *, name: str = "my.yaml", settings: dict | None = None, **run: object
    ) -> Path:
        section = {"documents": "reports", "questions": questions, **run}
        path = place / name
        path.write_text(yaml.safe_dump({**SETTINGS, **(settings or {}), "run": section}, sort_keys=False))
        return path

    return write


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
