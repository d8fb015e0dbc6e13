"""The public names are few and said in the package's docstring; ten lines lead from a folder to an answer."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import docrag
from docrag.cli import main

TOUR = Path(__file__).parents[2] / "eval" / "notebook_tour.py"
TEN_LINES = """\
from docrag import DocRAG

with DocRAG.open("samples") as rag:
    rag.index()
    answer = rag.ask("What was the net revenue in 2025?")
    print(answer.text)
    for citation in answer.citations:
        print(citation.doc, citation.page_no, citation.boxes, citation.support)
    for hit in rag.search("longer range", k=3).hits:
        print(hit.doc, hit.page_no, hit.snippet)
"""


@pytest.fixture(scope="module")
def folder(samples, tmp_path_factory) -> Path:
    """Holds the samples; whichever script runs first indexes them."""
    folder = tmp_path_factory.mktemp("scripts")
    shutil.copytree(samples, folder / "samples", ignore=shutil.ignore_patterns(".docrag"))
    return folder


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_docstring_names_every_public_name():
    assert set(re.findall(r"`(\w+)`", docrag.__doc__)) == set(docrag.__all__)


def test_the_version_is_that_of_the_installed_package(capsys):
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"docrag {docrag.__version__}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", docrag.__version__)
    assert "__version__" in dir(docrag)


def test_ten_lines_from_a_folder_to_an_answer(folder):
    assert len(TEN_LINES.splitlines()) == 10
    first, *rest = run(folder, "-c", TEN_LINES).splitlines()
    assert first == "84.6"
    assert rest[0].startswith("annual-report-2025.pdf 4 (Box(")
    assert len(rest) == 4


def test_the_tour_runs_with_public_names_alone(folder):
    source = TOUR.read_text("utf-8")
    imported = set(re.findall(r"^\s*from (docrag[\w.]*) import", source, re.MULTILINE))
    assert imported <= {"docrag", "docrag.integrations.langchain"}
    output = run(folder, str(TOUR), "samples", "--out", "tour.html")
    assert "[1] annual-report-2025.pdf, page 4: “Net revenue (EUR million)" in output
    assert "Not answerable" in output
    html = (folder / "tour.html").read_text("utf-8")
    assert html.count("data:image/jpeg;base64,") >= 2
