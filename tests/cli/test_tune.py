"""`docrag eval --tune` fits retrieval on a data set and writes settings that other commands take."""

from __future__ import annotations

import json

import pytest
from tests.cli.cli_support import FAST, write_reports

from docrag.cli.output import Output
from docrag.cli.tuning import before_reranking, describe, metric_named
from docrag.errors import UsageError
from docrag.pipeline.settings import Settings
from docrag.pipeline.tuning import TuningProgress
from docrag.retrieve.options import RetrievalOptions

QUESTIONS = (
    {"id": "q1", "doc": "report.pdf", "question": "Is the chief executive a risk to revenue?", "answer": "No",
     "answer_format": "Str", "evidence_pages": [2]},
    {"id": "q2", "doc": "report.pdf", "question": "What was the revenue?", "answer": "4.2 million euros",
     "answer_format": "Str", "evidence_pages": [1]},
    {"id": "q3", "doc": "sub/notes.pdf", "question": "How long does the pasta boil?", "answer": "9",
     "answer_format": "Int", "evidence_pages": [1]},
    {"id": "q4", "doc": "report.pdf", "question": "Who founded it?", "answer": "Not answerable",
     "answer_format": "None", "evidence_pages": []},
)  # fmt: skip
TUNE = ["--tune", "--folds", "2", "--scope", "collection", "--index", "idx", *FAST]


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / "set"
    write_reports(folder / "documents")
    write_questions(folder, *QUESTIONS)
    return folder


def write_questions(folder, *questions):
    (folder / "questions.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions))


def test_settings_are_fitted_written_and_read_again(docrag, dataset, tmp_path):
    result = docrag("eval", dataset, *TUNE, "--metric", "recall@1", "--out-config", "tuned.yaml", "--json")
    assert result.code == 0, result.err
    assert (result.json["n_questions"], result.json["n_documents"], result.json["n_folds"]) == (3, 2, 2)
    assert result.json["metric"] == "R@1"
    assert result.json["metrics"]["R@1"]["now"]["value"] == 1.0
    assert result.json["metrics"]["R@1"]["difference"]["value"] == 0.0
    text = (tmp_path / "tuned.yaml").read_text("utf-8")
    assert text == result.json["config"]
    assert text.splitlines()[0] == "# Fitted by docrag eval --tune"
    assert "R@1      1.000" in text

    again = docrag("search", "chief executive", "--index", "idx", "--config", "tuned.yaml", "--json")
    assert again.code == 0, again.err
    assert (again.json["hits"][0]["doc"], again.json["hits"][0]["page"]) == ("report.pdf", 2)
    fitted = docrag("config", "show", "--config", "tuned.yaml", "--json").json["settings"]
    assert fitted["retrieval"] == result.json["retrieval"]
    assert fitted["embed"] == {"kind": "none"}


def test_without_a_file_the_settings_are_printed_and_a_cut_off_is_fitted_when_asked(docrag, dataset):
    result = docrag("eval", dataset, *TUNE, "--cutoff-keeps", "0.97")
    assert result.code == 0, result.err
    assert "R@5, scope collection: 3 questions about 2 documents, 2 folds" in result.out
    assert "Cut-offs asked to keep 0.97 of R@10 keep, held out, 1.000" in result.out
    assert "retrieval:\n  fusion:\n    kind: weighted-sum" in result.out
    assert "kind: fixed" in result.out  # every right page is the first one: one page is enough


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--task", "answers"], "--tune fits retrieval"),
        (["--out", "x.jsonl"], "--tune writes no result lines"),
        (["--fresh"], "--tune writes no result lines"),
        (["--metric", "accuracy"], '--metric "accuracy" is not known; expected one of: R@1'),
        (["--limit", "5"], "--tune fits to all questions"),
        (["--folds", "3"], "3 folds for 2 documents"),
        (["--folds", "1"], "1 folds: expected 2 or more"),
        (["--out-config", "missing/x.yaml"], "there is no folder missing"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_indexed(
    docrag, dataset, tmp_path, changes, message
):
    result = docrag("eval", dataset, *TUNE, *changes)
    assert result.code == 1
    assert message in result.err
    assert not (tmp_path / "idx").exists()


def test_a_file_of_another_hand_is_not_written_over(docrag, dataset, tmp_path):
    (tmp_path / "mine.yaml").write_text("retrieval: {depth: 50}\n")
    result = docrag("eval", dataset, *TUNE, "--out-config", "mine.yaml")
    assert result.code == 1
    assert "mine.yaml: exists and was not written by --tune" in result.err
    assert (tmp_path / "mine.yaml").read_text() == "retrieval: {depth: 50}\n"


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        (QUESTIONS[3:], 'none of the 1 questions has an answer with "evidence_pages"'),
        (QUESTIONS[:2], "are about 1 document"),
    ],
)
def test_labels_that_are_not_enough_are_named(docrag, dataset, questions, message):
    write_questions(dataset, *questions)
    result = docrag("eval", dataset, *TUNE)
    assert result.code == 1
    assert message in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "retrieval"], "--out FILE.jsonl"),
        (["--out", "x.jsonl"], "--task retrieval or --task answers"),
        (["--task", "retrieval", "--out", "x.jsonl", "--out-config", "y.yaml"], "go with --tune"),
        (["--task", "retrieval", "--out", "x.jsonl", "--cutoff-keeps", "0.9"], "go with --tune"),
    ],
)
def test_a_run_still_needs_a_task_and_a_file(docrag, dataset, arguments, message):
    result = docrag("eval", dataset, *arguments)
    assert result.code == 1
    assert message in result.err


def test_what_reorders_the_fused_ranking_is_left_out_and_named(capsys):
    settings = Settings.model_validate(
        {"retrieval": {"rerank": {"steps": [{"kind": "pointwise"}]}, "guided_query": {}, "depth": 50}}
    )
    searched = before_reranking(settings, Output())
    assert searched.retrieval == RetrievalOptions(depth=50)
    said = capsys.readouterr().err
    assert "retrieval.rerank.pointwise is left out of the tuning" in said
    assert "retrieval.guided_query is left out of the tuning" in said
    assert before_reranking(Settings(), Output()) == Settings()
    assert capsys.readouterr().err == ""


def test_metrics_have_several_names():
    names = ("recall@5", "R@5", "r@5", "mrr@10", "ndcg@5", "HIT@1")
    assert [metric_named(name) for name in names] == ["R@5", "R@5", "R@5", "MRR@10", "nDCG@5", "hit@1"]
    with pytest.raises(UsageError, match="recall@7"):
        metric_named("recall@7")


def test_progress_says_what_is_done_and_what_is_left():
    assert describe(TuningProgress("ranking", 50, 200, 0, 4.0)) == "ranking: 50/200 questions, 12 s left"
    choosing = TuningProgress("choosing", 2, 6, 37, 9.0)
    assert describe(choosing) == "choosing: 2 of 6 choices made, 37 settings measured"
