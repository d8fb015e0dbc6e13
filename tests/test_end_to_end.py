"""The command line as a user calls it, from a folder of PDFs to a cited answer and its evaluation."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPORT, SCAN = "annual-report-2025.pdf", "sub/inspection-report-scan.pdf"
FAST = ("--set", "ingest.layout=fast")
REVENUE = "What was the net revenue in 2025?"
UNANSWERABLE = "Which bank holds the pension fund of Larkfield Cycles?"


def docrag(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "docrag", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == code, f"{command}\n{run.stdout}\n{run.stderr}"
    return run


def docrag_json(*arguments: str | Path, code: int = 0) -> Any:
    return json.loads(docrag(*arguments, "--json", code=code).stdout)


@pytest.fixture(scope="module")
def folder(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("end-to-end") / "papers"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(samples / REPORT, folder / REPORT)
    shutil.copy(samples / Path(SCAN).name, folder / SCAN)
    (folder / "notes.pdf").write_text("<html>no PDF at all</html>")
    return folder


@pytest.fixture(scope="module")
def first_run(folder: Path) -> Any:
    return docrag_json("index", folder, *FAST, code=2)


@pytest.fixture(scope="module")
def index(folder: Path, first_run: Any) -> Path:
    return folder / ".docrag"


def test_every_file_ends_in_a_status_and_the_pages_add_up(first_run: Any):
    by_doc = {file["doc"]: file for file in first_run["files"]}
    assert {doc: (file["status"], file["reason"]) for doc, file in by_doc.items()} == {
        REPORT: ("indexed", None),
        SCAN: ("indexed", None),
        "notes.pdf": ("refused", "not_pdf"),
    }
    assert {doc: file["pages_declared"] for doc, file in by_doc.items()} == {
        REPORT: 7,
        SCAN: 2,
        "notes.pdf": 0,
    }
    for file in first_run["files"]:
        assert file["pages_indexed"] + len(file["pages_failed"]) == file["pages_declared"]


def test_a_second_run_reads_nothing_again(folder: Path, index: Path):
    again = docrag_json("index", folder, *FAST, code=2)
    assert {f["doc"]: f["status"] for f in again["files"]} == {
        REPORT: "unchanged",
        SCAN: "unchanged",
        "notes.pdf": "refused",
    }


def test_search_finds_words_that_are_only_pixels(index: Path):
    found = docrag_json("search", "dropout hole diameter allowed", "--index", index, "-k", "3")
    assert set(found) >= {"query", "hits"}
    best = found["hits"][0]
    assert (best["doc"], best["page"]) == (SCAN, 1)
    assert best["sources"]
    assert all(source["rank"] >= 1 for source in best["sources"].values())


def test_search_keeps_to_a_document_and_ranks_regions(index: Path):
    found = docrag_json("search", "revenue", "--index", index, "--doc", REPORT, "--unit", "region")
    assert found["hits"]
    assert {hit["doc"] for hit in found["hits"]} == {REPORT}
    assert all(len(hit["region"]["box"]) == 4 for hit in found["hits"])


def test_an_answer_is_cited_with_boxes_and_the_printed_page_label(index: Path):
    answer = docrag_json("ask", REVENUE, "--index", index)
    assert not answer["abstained"]
    assert "84.6" in answer["answer"]
    citation = answer["citations"][0]
    # The report has two pages of front matter, so the printed label is two less than the page number.
    assert (citation["doc"], citation["page_label"]) == (REPORT, str(citation["page"] - 2))
    width, height = citation["page_size"]
    assert all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in citation["boxes"])
    assert citation["boxes"]
    assert citation["support"] == "full"


def test_what_the_documents_do_not_say_is_not_answered(index: Path):
    answer = docrag_json("ask", UNANSWERABLE, "--index", index)
    assert answer["abstained"]
    assert answer["answer"] == "Not answerable"
    assert answer["reason"]
    assert not answer["citations"]


def test_the_html_report_is_one_file_that_loads_nothing(index: Path, tmp_path: Path):
    page = tmp_path / "answer.html"
    docrag("ask", REVENUE, "--index", index, "--html", page)
    text = page.read_text("utf-8")
    assert "84.6" in text
    assert "data:image/" in text
    assert not any(f'{name}="http' in text for name in ("src", "href"))


def test_show_draws_a_page(folder: Path, tmp_path: Path):
    out = tmp_path / "page.png"
    docrag("show", folder / REPORT, "-p", "4", "--out", out)
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def dataset(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset = tmp_path_factory.mktemp("dataset")
    shutil.copytree(folder / "sub", dataset / "documents" / "sub")

    def question(question_id: str, text: str, answer: str, form: str, pages: list[int]) -> str:
        record = {"id": question_id, "doc": SCAN, "question": text, "answer": answer, "answer_format": form}
        return json.dumps(
            {**record, "evidence_pages": pages, "evidence_sources": ["Table"], "doc_type": "Scan"}
        )

    lines = [
        question("q1", "How many pieces were rejected?", "3", "Int", [1]),
        question("q2", "What will Brightwater Forgings credit for the two days?", "6850", "Int", [2]),
        question("q3", UNANSWERABLE, "Not answerable", "None", []),
    ]
    (dataset / "questions.jsonl").write_text("\n".join(lines))
    return dataset


def test_an_evaluation_writes_lines_resumes_and_leaves_the_data_alone(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = sorted(dataset.rglob("*"))
    out = tmp_path / "ranking.jsonl"
    command = ("eval", dataset, "--task", "retrieval", "--scope", "collection", "--out", out, *FAST)
    report = docrag_json(*command)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["q1", "q2", "q3"]
    assert lines[0]["ranking"][0] == [SCAN, 1]
    assert (report["n_questions"], report["n_failed"], report["groups"][0]["n"]) == (3, 0, 2)

    out.write_text(json.dumps(lines[0]) + "\n")  # as if the run had been killed after one question
    assert docrag_json(*command) == report
    assert [json.loads(line) for line in out.read_text().splitlines()] == lines

    answers = tmp_path / "answers.jsonl"
    table = docrag("eval", dataset, "--task", "answers", "--out", answers, *FAST).stdout
    assert "accuracy" in table
    for line in map(json.loads, answers.read_text().splitlines()):
        assert set(line) == {"id", "prediction", "citations"}
    assert sorted(dataset.rglob("*")) == before


def test_mistakes_get_one_line_and_the_exit_code(folder: Path, index: Path, tmp_path: Path):
    assert "no-such-folder" in docrag("index", tmp_path / "no-such-folder", code=1).stderr
    assert "layout" in docrag("index", folder, "--set", "ingest.layuot=fast", code=1).stderr
    assert docrag("search", "anything", "--index", tmp_path / "nothing", code=3).stderr.startswith("docrag: ")
    (tmp_path / "empty").mkdir()
    assert "PDF" in docrag("index", tmp_path / "empty", code=3).stderr
