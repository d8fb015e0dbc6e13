import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from docrag.errors import UsageError
from docrag.evaluation.dataset import Dataset, load_dataset
from docrag.evaluation.report import Report
from docrag.evaluation.run import Progress, evaluate
from docrag.evaluation.tasks import AnswerTask, RetrievalTask
from docrag.types import Abstention, Answer, Citation, Query, Trace, Usage

Write = Callable[..., Path]
Make = Callable[..., dict[str, object]]
SETTINGS = {"retrieval": {"k1": 1.2}, "index": "abc"}


def answer(text: str | None, pages: Sequence[tuple[str, int]] = ()) -> Answer:
    citations = tuple(
        Citation(n, f"E{n}", doc, "0" * 32, page_no, str(page_no), (), (1.0, 1.0), "quote", "full")
        for n, (doc, page_no) in enumerate(pages, 1)
    )
    reason = Abstention.NOT_IN_DOCUMENTS if text is None else None
    return Answer("?", text or "Not answerable", text is None, reason, citations, (), Usage(), (), Trace("t"))


class Recorder:
    """Ranks the right page second, and keeps the queries; fails for question ids in `failing`."""

    def __init__(self, *failing: str) -> None:
        self.queries: list[Query] = []
        self.failing = failing

    def __call__(self, query: Query, k: int) -> list[tuple[str, int]]:
        self.queries.append(query)
        if any(name in query.text for name in self.failing):
            raise RuntimeError("the disk is gone")
        return [("a.pdf", page_no) for page_no in (1, 2, *range(3, 40))][:k]


@pytest.fixture
def dataset(write_dataset: Write, make_question: Make) -> Dataset:
    return load_dataset(
        write_dataset(
            make_question("q1"),
            make_question("q2", evidence_pages=[2, 50], evidence_sources=["Table", "Chart"]),
            make_question(
                "q3", "sub/b.pdf", answer="Not answerable", answer_format="None", evidence_pages=[]
            ),
        )
    )


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def run(dataset: Dataset, out: Path, rank: Recorder, **options: Any) -> Report:
    return evaluate(
        dataset, RetrievalTask(rank), **{"scope": "document", "out": out, "settings": SETTINGS, **options}
    )


def test_retrieval_writes_a_ranking_a_question_and_measures_the_answerable_ones(
    dataset: Dataset, tmp_path: Path
):
    out = tmp_path / "new" / "run.jsonl"
    report = run(dataset, out, Recorder())
    lines = lines_of(out)
    assert [line["id"] for line in lines] == ["q1", "q2", "q3"]
    assert lines[0] == {"id": "q1", "ranking": [["a.pdf", page_no] for page_no in range(1, 11)]}
    overall = report.groups[0]
    assert (overall.name, overall.n_questions, report.n_questions, report.n_failed) == ("all", 2, 3, 0)
    assert overall.metrics["R@1"].value == 0
    assert overall.metrics["R@5"].value == (1 + 1 / 2) / 2
    assert overall.metrics["MRR@10"].value == 1 / 2
    by_name = {group.name: group.n_questions for group in report.groups}
    assert by_name == {
        "all": 2,
        "document: Report": 2,
        "evidence: Chart": 1,
        "evidence: Table": 2,
        "pages: one": 1,
        "pages: several": 1,
    }


@pytest.mark.parametrize(
    ("scope", "indexed", "docs"),
    [
        ("document", None, [("a.pdf",), ("a.pdf",), ("sub/b.pdf",)]),
        ("collection", None, [None] * 3),
        ("collection", {"a.pdf", "sub/b.pdf"}, [None] * 3),
        # A document that could not be indexed must not spoil the others, nor may strangers be searched.
        ("collection", {"a.pdf"}, [("a.pdf",)] * 3),
        ("collection", {"a.pdf", "sub/b.pdf", "stranger.pdf"}, [("a.pdf", "sub/b.pdf")] * 3),
    ],
)
def test_the_scope_is_the_document_or_what_is_indexed_of_the_set(
    dataset: Dataset, tmp_path: Path, scope: str, indexed: set[str] | None, docs: list[tuple[str, ...] | None]
):
    rank = Recorder()
    run(dataset, tmp_path / "run.jsonl", rank, scope=scope, indexed=indexed)
    assert [query.scope.docs for query in rank.queries] == docs


def test_a_failed_question_is_a_line_that_counts_as_wrong(dataset: Dataset, tmp_path: Path):
    out = tmp_path / "run.jsonl"
    report = run(dataset, out, Recorder("q1"))
    assert lines_of(out)[0] == {"id": "q1", "ranking": [], "error": "RuntimeError: the disk is gone"}
    assert report.n_failed == 1
    assert report.groups[0].n_questions == 2
    assert report.groups[0].metrics["R@5"].value == (0 + 1 / 2) / 2


def test_a_failed_answer_scores_nothing_even_where_abstaining_were_right(dataset: Dataset, tmp_path: Path):
    def ask(query: Query) -> Answer:
        if "q3" in query.text:
            raise RuntimeError("no model")
        return answer("blue whale", [("a.pdf", 2), ("a.pdf", 2)])

    out = tmp_path / "run.jsonl"
    report = evaluate(dataset, AnswerTask(ask), scope="document", out=out, settings={})
    assert lines_of(out)[0] == {"id": "q1", "prediction": "blue whale", "citations": [["a.pdf", 2]]}
    figures = {name: interval.value for name, interval in report.groups[0].metrics.items()}
    # Two of three right; both answerable ones right: recall 2/2, precision 2/3 attempted.
    assert figures == pytest.approx({"accuracy": 2 / 3, "F1": 0.8, "abstained": 0, "cited": 1})


def test_abstentions_are_right_on_unanswerable_questions_only(dataset: Dataset, tmp_path: Path):
    out = tmp_path / "run.jsonl"
    report = evaluate(dataset, AnswerTask(lambda _: answer(None)), scope="collection", out=out, settings={})
    assert {line["prediction"] for line in lines_of(out)} == {"Not answerable"}
    figures = {name: interval.value for name, interval in report.groups[0].metrics.items()}
    assert figures == pytest.approx({"accuracy": 1 / 3, "F1": 0, "abstained": 1, "cited": 0})
    assert {group.name: group.n_questions for group in report.groups}["pages: unanswerable"] == 1


def test_a_rerun_does_only_what_is_missing_torn_or_failed(dataset: Dataset, tmp_path: Path):
    out = tmp_path / "run.jsonl"
    run(dataset, out, Recorder("q2"))
    out.write_text(out.read_text()[:-5])  # killed in the middle of the last line
    again = Recorder()
    report = run(dataset, out, again)
    assert [query.text for query in again.queries] == ["What about q2?", "What about q3?"]
    assert sorted(line["id"] for line in lines_of(out)) == ["q1", "q2", "q3"]
    assert report.n_failed == 0
    idle = Recorder()
    assert run(dataset, out, idle) == report
    assert not idle.queries


def test_a_limit_asks_the_first_questions_and_a_higher_one_adds_to_the_run(dataset: Dataset, tmp_path: Path):
    out, first, more, fewer = tmp_path / "run.jsonl", Recorder(), Recorder(), Recorder()
    assert run(dataset, out, first, limit=1).n_questions == 1
    assert [line["id"] for line in lines_of(out)] == ["q1"]
    seen: list[Progress] = []
    report = run(dataset, out, more, limit=2, on_progress=seen.append)
    assert [query.text for query in more.queries] == ["What about q2?"]
    assert (report.n_questions, report.n_failed) == (2, 0)
    assert [(p.n_done, p.n_total, p.n_resumed) for p in seen] == [(2, 2, 1)]
    # Fewer are reported than were answered, and no answer is lost.
    assert run(dataset, out, fewer, limit=1).n_questions == 1
    assert not fewer.queries
    assert [line["id"] for line in lines_of(out)] == ["q1", "q2"]
    assert run(dataset, out, Recorder(), limit=99).n_questions == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"retrieval": {"k1": 0.9}, "index": "abc"}}, r"settings\.retrieval\.k1: 1\.2 → 0\.9"),
        ({"scope": "collection"}, "scope: 'document' → 'collection'"),
    ],
)
def test_lines_of_other_settings_are_never_mixed(
    dataset: Dataset, tmp_path: Path, change: dict[str, Any], message: str
):
    out = tmp_path / "run.jsonl"
    run(dataset, out, Recorder())
    before = out.read_bytes()
    with pytest.raises(UsageError, match=message):
        run(dataset, out, Recorder(), **change)
    assert out.read_bytes() == before
    assert run(dataset, out, Recorder(), fresh=True, **change).n_questions == 3


def test_a_file_that_is_no_run_is_left_alone(dataset: Dataset, tmp_path: Path):
    out = tmp_path / "notes.txt"
    out.write_text("my notes")
    with pytest.raises(UsageError, match=r"notes\.txt\.run\.json beside it does not; name another --out"):
        run(dataset, out, Recorder())
    assert out.read_text() == "my notes"


@pytest.mark.parametrize(
    "line", ['{"id": "q9", "ranking": []}', '{"id": "q1", "ranking": [["a.pdf"]]}', "7", '{"id": [1]}']
)
def test_a_line_that_does_not_belong_to_the_run_is_refused(dataset: Dataset, tmp_path: Path, line: str):
    out = tmp_path / "run.jsonl"
    run(dataset, out, Recorder())
    out.write_text(line + "\n" + out.read_text())
    with pytest.raises(UsageError, match=r"run\.jsonl:1: not a line of this retrieval run"):
        run(dataset, out, Recorder())


def test_progress_counts_resumed_questions_and_guesses_the_rest(dataset: Dataset, tmp_path: Path):
    out = tmp_path / "run.jsonl"
    run(dataset, out, Recorder("q2", "q3"))
    seen: list[Progress] = []
    run(dataset, out, Recorder("q3"), on_progress=seen.append)
    assert [(p.n_done, p.n_total, p.n_failed, p.n_resumed) for p in seen] == [(2, 3, 0, 1), (3, 3, 1, 1)]
    assert Progress(n_done=3, n_total=7, n_failed=0, n_resumed=1, elapsed_s=10.0).eta_s == 20.0
    assert Progress(n_done=1, n_total=7, n_failed=0, n_resumed=1, elapsed_s=0.1).eta_s is None


def test_the_report_reads_as_a_table_and_as_json(dataset: Dataset, tmp_path: Path):
    report = run(dataset, tmp_path / "run.jsonl", Recorder())
    text = report.to_text()
    assert "2 questions measured of 3, 0 failed" in text
    assert "  R@5          0.750 (one document)" in text
    assert any(line.split()[:3] == ["evidence:", "Chart", "1"] for line in text.splitlines())
    overall = json.loads(json.dumps(report.to_dict()))["groups"][0]
    assert (overall["group"], overall["n"]) == ("all", 2)
    assert overall["metrics"]["R@5"] == {"value": 0.75, "low": None, "high": None}


def test_a_set_without_a_measurable_question_says_so(
    write_dataset: Write, make_question: Make, tmp_path: Path
):
    dataset = load_dataset(write_dataset(make_question("q1", evidence_pages=[])))
    report = run(dataset, tmp_path / "run.jsonl", Recorder())
    assert "none of the 1 questions can be measured" in report.to_text()
