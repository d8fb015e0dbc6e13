"""`docrag eval` indexes a data set, writes a line per question, and prints the metrics."""

from __future__ import annotations

import json
import shutil

import pytest
from tests.cli.cli_support import FAST, write_reports

QUESTIONS = (
    {"id": "q1", "doc": "report.pdf", "question": "Who is the chief executive?", "answer": "Maria Lindqvist",
     "answer_format": "Str", "evidence_pages": [2]},
    {"id": "q2", "doc": "sub/notes.pdf", "question": "How many minutes does the pasta boil?", "answer": "9",
     "answer_format": "Int", "evidence_pages": [1]},
)  # fmt: skip


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / "set"
    write_reports(folder / "documents")
    (folder / "questions.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS))
    return folder


def test_retrieval_is_measured_and_a_rerun_adds_nothing(docrag, dataset, tmp_path):
    command = ["eval", dataset, "--task", "retrieval", "--scope", "collection", "--index", "idx"]
    result = docrag(*command, "--out", "run.jsonl", "--json", *FAST)
    assert result.code == 0
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["q1", "q2"]
    assert lines[0]["ranking"][0] == ["report.pdf", 2]
    assert lines[1]["ranking"][0] == ["sub/notes.pdf", 1]
    overall = result.json["groups"][0]
    assert (overall["n"], overall["metrics"]["R@1"]["value"]) == (2, 1.0)
    assert not (dataset / "documents" / ".docrag").exists()

    again = docrag(*command, "--out", "run.jsonl", *FAST)
    assert again.code == 0
    assert "R@1          1.000" in again.out
    assert len((tmp_path / "run.jsonl").read_text().splitlines()) == 2

    other = docrag(*command, "--out", "run.jsonl", *FAST, "--set", "retrieval.depth=7")
    assert other.code == 1
    assert "made with other settings" in other.err
    assert "retrieval.depth" in other.err


@pytest.mark.parametrize(("task", "metric"), [("retrieval", "R@1"), ("answers", "cited")])
def test_a_file_that_is_there_twice_is_right_by_either_name(docrag, dataset, tmp_path, task, metric):
    # The index knows equal files by one name, here that of the copy, which comes first.
    shutil.copy(dataset / "documents" / "report.pdf", dataset / "documents" / "a-copy.pdf")
    command = ["eval", dataset, "--task", task, "--out", "run.jsonl", "--index", "idx", "--json", *FAST]
    result = docrag(*command, "--set", "answer.threshold=0")
    first = json.loads((tmp_path / "run.jsonl").read_text().splitlines()[0])
    assert ["report.pdf", 2] in first["ranking" if task == "retrieval" else "citations"]
    groups = {group["group"]: group for group in result.json["groups"]}
    assert groups["all"]["metrics"][metric]["value"] == 1


def test_a_limit_is_a_trial_that_can_be_continued(docrag, dataset, tmp_path):
    command = [
        "eval",
        dataset,
        "--task",
        "retrieval",
        "--out",
        "run.jsonl",
        "--index",
        "idx",
        "--json",
        *FAST,
    ]
    trial = docrag(*command, "--limit", "1")
    assert (trial.code, trial.json["n_questions"]) == (0, 1)
    assert "the first 1 of 2 questions" in trial.err
    everything = docrag(*command)
    assert (everything.code, everything.json["n_questions"]) == (0, 2)
    ids = [json.loads(line)["id"] for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert ids == ["q1", "q2"]


def test_a_folder_that_is_no_data_set_is_refused(docrag, tmp_path):
    result = docrag("eval", tmp_path, "--task", "answers", "--out", "x.jsonl")
    assert result.code == 1
    assert "no questions.jsonl" in result.err
