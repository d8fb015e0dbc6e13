"""A run file becomes a folder of answers, traces, metrics and a report; again, and after an interruption."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tests.api.conftest import TALKER
from tests.runs.conftest import BANK, CEO, PASTA, lines

from docrag.store.lock import WriterLock

LABELLED = [
    {"id": "ceo", "question": CEO, "answer": "Maria Lindqvist", "doc": "report.pdf", "evidence_pages": [2]},
    {"id": "pasta", "question": PASTA, "answer": "seven minutes", "doc": "notes.pdf", "evidence_pages": [1]},
    {"id": "bank", "question": BANK, "answer": "Not answerable", "answer_format": "None"},
]
TALKING = {"answer": {"kind": "custom", "factory": "tests.api.parts_of_mine:Talker"}}
FILES = {
    "answers.jsonl", "citations.jsonl", "config.yaml", "lock", "metrics.json", "questions.jsonl",
    "report.html", "run.json", "times.jsonl", "traces.jsonl", "where.json",
}  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_leaves_a_folder_with_all_there_is_to_know(docrag, write_run, place):
    result = docrag("run", write_run([CEO, BANK]))
    assert result.code == 0, result.err
    assert "2 questions: 1 answered, 1 abstained, 0 failed" in result.out
    out = place / "runs" / "my"
    assert {path.name for path in out.iterdir()} == FILES
    answers = lines(out / "answers.jsonl")
    assert [(a["id"], a["abstained"]) for a in answers] == [("1", False), ("2", True)]
    assert "Lindqvist" in answers[0]["answer"]
    (citation,) = lines(out / "citations.jsonl")
    assert (citation["id"], citation["doc"], citation["page"]) == ("1", "report.pdf", 2)
    traces = lines(out / "traces.jsonl")
    assert [trace["trace_id"] for trace in traces] == [a["trace_id"] for a in answers]
    assert all(trace["steps"] for trace in traces)
    run = json.loads((out / "run.json").read_text())
    assert set(run["index"]["documents"]) == {"report.pdf", "notes.pdf"}
    assert run["versions"]["docrag"]
    html = (out / "report.html").read_text("utf-8")
    assert html.count("data:image/jpeg;base64,") == 1
    assert answers[0]["trace_id"] in html


def test_two_runs_differ_in_their_times_alone(docrag, write_run, place):
    path = write_run(LABELLED)
    assert docrag("run", path, "--out", "a").code == 0
    assert docrag("run", path, "--out", "b", "--set", "run.parallel=3").code == 0
    a, b = contents(place / "a"), contents(place / "b")
    assert a.keys() == b.keys() == FILES
    assert {name for name in a if a[name] != b[name]} <= {"times.jsonl"}
    assert [line["id"] for line in lines(place / "a" / "times.jsonl")] == ["ceo", "pasta", "bank"]
    assert b"elapsed" not in b"".join(data for name, data in a.items() if name != "times.jsonl")


def test_labels_become_metrics(docrag, write_run, place):
    result = docrag("run", write_run(LABELLED), "--json", "--quiet")
    assert result.code == 0
    metrics = json.loads((place / "runs" / "my" / "metrics.json").read_text())
    answers = metrics["reports"]["answers"]
    # One right answer, one right abstention, one wrong answer.
    assert answers["groups"][0]["metrics"]["accuracy"]["value"] == pytest.approx(2 / 3, abs=0.01)
    retrieval = metrics["reports"]["retrieval"]
    assert retrieval["n_questions"] == 2
    assert retrieval["groups"][0]["metrics"]["R@1"]["value"] == 1.0
    assert [report["task"] for report in result.json["metrics"]] == ["answers", "retrieval"]
    html = (place / "runs" / "my" / "report.html").read_text("utf-8")
    assert html.count('class="verdict right"') >= 2
    assert 'class="verdict wrong"' in html


def test_without_labels_there_are_no_metrics(docrag, write_run, place):
    docrag("run", write_run([CEO]))
    assert json.loads((place / "runs" / "my" / "metrics.json").read_text())["reports"] == {}


def test_a_question_that_fails_is_a_line_counts_as_wrong_and_is_tried_again(docrag, write_run, place):
    rows = [
        {"id": "a", "question": "fail", "answer": "yes it is"},
        {"id": "b", "question": "is it?", "answer": "yes it is"},
    ]
    path = write_run(rows, settings=TALKING)
    result = docrag("run", path)
    assert result.code == 2
    assert "1 answered, 0 abstained, 1 failed" in result.out
    out = place / "runs" / "my"
    failed, answered = lines(out / "answers.jsonl")
    assert failed["error"] == "ModelError: the model is gone"
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["n_failed"] == 1
    assert metrics["reports"]["answers"]["groups"][0]["metrics"]["accuracy"]["value"] == 0.5
    assert "the model is gone" in (out / "report.html").read_text()
    again = docrag("run", path)
    assert again.code == 2
    assert "; 1 from before" in again.out
    assert lines(out / "answers.jsonl") == [failed, answered]


def test_a_question_may_know_its_document_by_the_name_of_a_copy(docrag, write_run, place):
    shutil.copy(place / "reports" / "report.pdf", place / "reports" / "z-copy.pdf")
    question = {**LABELLED[0], "doc": "z-copy.pdf"}
    docrag("run", write_run([question], settings={"answer": {"threshold": 0}}))
    reports = json.loads((place / "runs" / "my" / "metrics.json").read_text())["reports"]
    assert reports["retrieval"]["groups"][0]["metrics"]["R@1"]["value"] == 1
    assert reports["answers"]["groups"][0]["metrics"]["cited"]["value"] == 1


def test_a_file_where_the_folder_should_be_is_refused_and_kept(docrag, write_run, place):
    (place / "notes.txt").write_text("mine")
    result = docrag("run", write_run([CEO]), "--out", "notes.txt")
    assert result.code == 1
    assert "notes.txt: is a file, expected a folder" in result.err
    assert (place / "notes.txt").read_text() == "mine"


def test_a_line_without_a_sensible_id_is_passed_over(docrag, write_run, place):
    path = write_run([CEO])
    docrag("run", path)
    answers = place / "runs" / "my" / "answers.jsonl"
    whole = answers.read_text()
    answers.write_text('{"id": [1]}\n' + whole)
    assert docrag("run", path, "--json", "--quiet").json["n_resumed"] == 1
    assert answers.read_text() == whole


def test_a_run_that_is_done_is_not_done_again(docrag, write_run, place):
    path = write_run([CEO, PASTA])
    docrag("run", path)
    before = contents(place / "runs" / "my")
    assert docrag("run", path, "--json", "--quiet").json["n_resumed"] == 2
    assert contents(place / "runs" / "my") == before


def test_a_run_ended_in_the_middle_goes_on_where_it_was(docrag, write_run, place):
    path = write_run(LABELLED)
    docrag("run", path)
    out = place / "runs" / "my"
    whole = contents(out)
    # As after a crash: the third question has a trace and half an answer, and nothing was made of it yet.
    answers = whole["answers.jsonl"].splitlines(keepends=True)
    (out / "answers.jsonl").write_bytes(b"".join(answers[:2]) + answers[2][:20])
    for name in ("metrics.json", "report.html", "citations.jsonl"):
        (out / name).unlink()
    result = docrag("run", path, "--json", "--quiet")
    assert (result.json["n_resumed"], result.json["n_questions"]) == (2, 3)
    now = contents(out)
    assert {name for name in whole if whole[name] != now[name]} <= {"times.jsonl"}


def test_a_killed_process_loses_nothing_that_was_done(write_run, place):
    path = write_run(["one", "two", "wait", "three"], settings=TALKING)
    out = place / "runs" / "my"
    command = [sys.executable, "-m", "docrag", "run", str(path), "--quiet"]
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(command, env=env, cwd=place, stderr=subprocess.PIPE)
    try:
        deadline_s = time.monotonic() + 60
        while not ((out / "answers.jsonl").exists() and len(lines(out / "answers.jsonl")) == 2):
            assert time.monotonic() < deadline_s
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert [line["question"] for line in lines(out / "answers.jsonl")] == ["one", "two"]
    # With the question that never ends left out, it would be another run: the folder is kept as it is.
    write_run(["one", "two", "three"], settings=TALKING)
    done = subprocess.run(command, env=env, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "questions.n: 4 → 3" in done.stderr
    assert [line["question"] for line in lines(out / "answers.jsonl")] == ["one", "two"]


def test_ctrl_c_keeps_what_is_done(write_run, place):
    path = write_run(["one", "wait"], settings=TALKING)
    out = place / "runs" / "my"
    command = [sys.executable, "-m", "docrag", "run", str(path), "--set", "run.parallel=2"]
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(
        command, env=env, cwd=place, stderr=subprocess.PIPE, text=True, preexec_fn=_with_ctrl_c
    )
    deadline_s = time.monotonic() + 60
    while not ((out / "answers.jsonl").exists() and lines(out / "answers.jsonl")):
        assert time.monotonic() < deadline_s
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "running the same command again goes on" in err
    assert [line["question"] for line in lines(out / "answers.jsonl")] == ["one"]


def test_ctrl_c_keeps_what_is_finished_all_the_same(write_run, place):
    stubborn = {"answer": {"kind": "custom", "factory": "tests.api.parts_of_mine:Stubborn"}}
    path = write_run(["one", "wait"], settings=stubborn, parallel=2)
    out = place / "runs" / "my" / "answers.jsonl"
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(
        [sys.executable, "-m", "docrag", "run", str(path), "--quiet"],
        env=env, cwd=place, stderr=subprocess.PIPE, text=True, preexec_fn=_with_ctrl_c,
    )  # fmt: skip
    deadline_s = time.monotonic() + 60
    while not (out.exists() and lines(out)):
        assert time.monotonic() < deadline_s
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert [line["question"] for line in lines(out)] == ["one", "waited"]


def _with_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job may have inherited "ignore"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"retrieval": {"depth": 7}}}, "config.retrieval.depth: 200 → 7"),
        ({"questions": [PASTA]}, "questions.sha256"),
        ({"scope": "collection"}, "config.run.scope: 'document' → 'collection'"),
    ],
)
def test_another_configuration_is_refused_with_what_differs(docrag, write_run, place, change, message):
    docrag("run", write_run([CEO]))
    before = contents(place / "runs" / "my")
    questions = change.pop("questions", [CEO])
    result = docrag("run", write_run(questions, **change))
    assert result.code == 1
    assert message in result.err
    assert "--fresh" in result.err
    assert contents(place / "runs" / "my") == before
    assert docrag("run", write_run(questions, **change), "--fresh").code == 0


def test_a_changed_index_is_refused_too(docrag, write_run, place):
    from tests.pdfs import text_pdf

    path = write_run([CEO])
    docrag("run", path)
    text_pdf(place / "reports" / "new.pdf", pages=[["Something new."]])
    result = docrag("run", path)
    assert result.code == 1
    assert "index.n_documents: 2 → 3" in result.err


def test_what_changes_no_answer_may_change(docrag, write_run):
    docrag("run", write_run([CEO]))
    result = docrag("run", write_run([CEO], report_pictures=0, parallel=2), "--json", "--quiet")
    assert (result.code, result.json["n_resumed"]) == (0, 1)


def test_a_folder_of_something_else_is_left_alone(docrag, write_run, place):
    (place / "out").mkdir()
    (place / "out" / "answers.jsonl").write_text("{}\n")
    result = docrag("run", write_run([CEO]), "--out", "out")
    assert result.code == 1
    assert "holds results, but no run.json" in result.err
    assert (place / "out" / "answers.jsonl").read_text() == "{}\n"


def test_two_processes_do_not_run_into_one_folder(docrag, write_run, place):
    (place / "out").mkdir()
    lock = WriterLock(place / "out", command="docrag run")
    lock.acquire()
    try:
        result = docrag("run", write_run([CEO]), "--out", "out")
    finally:
        lock.release()
    assert result.code == 1
    assert "another process writes this run" in result.err


def test_the_questions_look_into_their_own_document_or_into_all(docrag, write_run, place):
    row = {"question": "euros pasta company", "doc": "notes.pdf"}
    docrag("run", write_run([row, {"question": CEO, "docs": "notes.pdf"}]), "--out", "own")
    docrag("run", write_run([row], scope="collection"), "--out", "all")
    own = lines(place / "own" / "answers.jsonl")
    assert {doc for line in own for doc, _ in line["looked_at"]} <= {"notes.pdf"}
    everything = lines(place / "all" / "answers.jsonl")
    assert {doc for doc, _ in everything[0]["looked_at"]} >= {"report.pdf"}


def test_a_secret_reaches_no_file_of_the_run(docrag, write_run, place, monkeypatch):
    monkeypatch.setenv("CANARY_KEY", "canary-7f3a")
    models = {"models": {"default": {"kind": "openai", "model": "m", "api_key": "${CANARY_KEY}"}}}
    result = docrag("run", write_run([CEO], settings=models))
    assert result.code == 0, result.err
    out = place / "runs" / "my"
    assert b"canary-7f3a" not in b"".join(contents(out).values())
    assert (
        yaml.safe_load((out / "config.yaml").read_text())["models"]["default"]["api_key"] == "${CANARY_KEY}"
    )


# ── run files that cannot be run ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("embed: {kind: none}\n", "run.documents names no documents"),
        ("run: {documents: reports}\n", "run.questions: no question in it"),
        ("run: {documents: nowhere, questions: [a]}\n", "nowhere does not exist"),
        ("run: {documents: reports, questions: q.jsonl}\n", "q.jsonl: no such file"),
        ("run: {documents: reports, question: [a]}\n", 'unknown key "run.question"; did you mean questions?'),
        ("run: {documents: reports, questions: ['']}\n", "run.questions"),
        ("run: [1\nx\n", "bad.yaml:3:1: not valid YAML"),
        ("run: {documents: ['${HOME}'], questions: [a]}\n", "run.documents: ${…} is for secrets only"),
    ],
)
def test_a_run_file_that_says_too_little_is_refused_before_anything_is_done(docrag, place, text, message):
    (place / "bad.yaml").write_text(text)
    result = docrag("run", "bad.yaml")
    assert result.code == 1
    assert message in result.err
    assert not (place / "runs").exists()


def test_a_run_file_configures_other_commands_too(docrag, write_run, place):
    path = write_run([CEO])
    result = docrag("ask", CEO, "reports", "--config", path, "--json", "--quiet")
    assert result.code == 0
    assert "Lindqvist" in result.json["answer"]


def test_talker_is_the_answerer_of_the_tests():
    assert TALKING["answer"] == {
        name.partition(".")[2]: value for name, _, value in (t.partition("=") for t in TALKER)
    }
