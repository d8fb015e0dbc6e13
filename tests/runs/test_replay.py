"""A trace can be asked again; what differs is said step by step, and whether the index is another one."""

from __future__ import annotations

import json
import os

import pytest
from tests.pdfs import text_pdf
from tests.runs.conftest import BANK, CEO, PASTA, lines

from docrag.errors import UsageError
from docrag.evaluation.differences import differences, summarised
from docrag.runs.record import TraceRecord, content_id, read_scope_values, scope_values
from docrag.runs.replay import StepChange, compare_steps
from docrag.runs.state import index_changes
from docrag.runs.traces import TraceStore, check_prefix
from docrag.types import Scope

FAST = ["--set", "ingest.layout=fast", "--set", "ingest.ocr=never", "--set", "embed.kind=none"]


@pytest.fixture
def trace_id(docrag) -> str:
    result = docrag("ask", CEO, "reports", "--json", "--quiet", "--doc", "report.pdf", *FAST)
    assert result.code == 0, result.err
    return result.json["trace_id"]


def test_ask_keeps_a_trace_and_replay_finds_the_same(docrag, place, trace_id):
    result = docrag("replay", trace_id[:8], "--index", "reports/.docrag")
    assert result.code == 0, result.err
    assert "the index is the same" in result.out
    assert "same answer: Maria Lindqvist" in result.out
    again = docrag("replay", trace_id, "--index", "reports/.docrag", "--json", "--quiet").json
    assert again["same"] is True
    assert {step["what"] for step in again["steps"]} == {"same"}
    assert again["settings_changes"] == again["index_changes"] == again["version_changes"] == []


def test_replay_keeps_the_scope_of_the_question(docrag, place, trace_id):
    stored = json.loads((place / "reports" / ".docrag" / "traces" / f"{trace_id}.json").read_text("utf-8"))
    assert stored["scope"] == {"docs": ["report.pdf"]}


def test_no_trace_is_kept_where_none_is_wanted(docrag, place):
    docrag("ask", CEO, "reports", "--no-trace", *FAST)
    assert not (place / "reports" / ".docrag" / "traces").exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything can be written to")
def test_an_index_that_cannot_be_written_to_is_asked_all_the_same(docrag, place):
    (place / "reports" / ".docrag").chmod(0o500)
    result = docrag("ask", CEO, "--index", "reports/.docrag", *FAST)
    assert result.code == 0
    assert "no trace is kept" in result.err


def test_a_file_in_the_place_of_the_traces_does_not_keep_from_asking(docrag, place):
    (place / "reports" / ".docrag" / "traces").write_text("in the way")
    result = docrag("ask", CEO, "--index", "reports/.docrag", *FAST)
    assert result.code == 0
    assert "no trace is kept" in result.err


def test_a_changed_index_is_named_and_what_it_changes(docrag, place, trace_id):
    text_pdf(place / "reports" / "report.pdf", pages=[["Staff", "The chief executive is Jonas Berg."]])
    docrag("index", "reports", "--quiet", *FAST)
    result = docrag("replay", trace_id, "--index", "reports/.docrag")
    assert result.code == 2
    assert "the index has changed since: pages: 4 then, 2 now; report.pdf has other content" in result.out
    assert "answer: 'Maria Lindqvist' → 'Jonas Berg'" in result.out


def test_an_index_made_again_is_named_though_nothing_differs(docrag, trace_id):
    docrag("index", "reports", "--force", "--quiet", *FAST)
    result = docrag("replay", trace_id, "--index", "reports/.docrag")
    assert "report.pdf was indexed again" in result.out
    assert result.code == 0


def test_another_setting_is_tried_with_set(docrag, trace_id):
    result = docrag("replay", trace_id, "--index", "reports/.docrag", "--set", "answer.threshold=1", "--json")
    assert result.code == 2
    assert result.json["settings_changes"] == ["answer.threshold: None → 1.0"]
    assert "answer: 'Maria Lindqvist' → 'Not answerable'" in result.json["answer_changes"]
    assert {"name": "abstain", "what": "new", "details": []} in result.json["steps"]


def test_a_question_of_a_run_is_replayed_from_its_folder(docrag, write_run, place):
    docrag("run", write_run([CEO, PASTA, BANK]))
    for line in lines(place / "runs" / "my" / "answers.jsonl"):
        result = docrag("replay", line["trace_id"], "--json", "--quiet")
        assert (result.code, result.json["same"], result.json["question"]) == (0, True, line["question"])
    assert docrag("replay", line["trace_id"], "--run", "runs/my").code == 0
    result = docrag("replay", line["trace_id"], "--run", "reports")
    assert result.code == 1
    assert "expected the folder of a run" in result.err


def test_a_failed_question_has_nothing_to_compare(docrag, write_run, place):
    talking = {"answer": {"kind": "custom", "factory": "tests.api.parts_of_mine:Talker"}}
    docrag("run", write_run(["fail"], settings=talking))
    (line,) = lines(place / "runs" / "my" / "answers.jsonl")
    result = docrag("replay", line["trace_id"])
    assert result.code == 1
    assert "the model is gone" in result.err


def test_a_secret_is_kept_in_no_trace_and_asked_for_again(docrag, place, monkeypatch):
    key = ["--set", "models.default.kind=openai", "--set", "models.default.model=m"]
    result = docrag(
        "ask", CEO, "reports", "--json", "-q", *FAST, *key, "--set", "models.default.api_key=canary-7f3a"
    )
    trace_id = result.json["trace_id"]
    stored = place / "reports" / ".docrag" / "traces" / f"{trace_id}.json"
    assert "canary-7f3a" not in stored.read_text("utf-8")
    replay = ["replay", trace_id, "--index", "reports/.docrag"]
    refused = docrag(*replay)
    assert refused.code == 1
    assert "models.default.api_key is a secret, which is not kept" in refused.err
    assert "export DOCRAG_MODELS__DEFAULT__API_KEY=…" in refused.err
    assert docrag(*replay, "--set", "models.default.api_key=canary-7f3a").code == 0
    monkeypatch.setenv("DOCRAG_MODELS__DEFAULT__API_KEY", "canary-7f3a")
    again = docrag(*replay)
    assert again.code == 0
    assert "canary" not in again.out + again.err


def test_a_secret_that_came_from_a_variable_is_taken_from_it_again(docrag, place, monkeypatch):
    (place / "key.yaml").write_text("models: {default: {kind: openai, model: m, api_key: '${MY_KEY}'}}\n")
    monkeypatch.setenv("MY_KEY", "canary-7f3a")
    result = docrag("ask", CEO, "reports", "--json", "-q", *FAST, "--config", "key.yaml")
    replay = ["replay", result.json["trace_id"], "--index", "reports/.docrag"]
    assert docrag(*replay).code == 0
    monkeypatch.delenv("MY_KEY")
    refused = docrag(*replay)
    assert refused.code == 1
    assert "needs MY_KEY, which is not set; export MY_KEY=…" in refused.err


@pytest.mark.parametrize("given", ["", "xyz", "abc", "g" * 32, "a" * 33, "../../etc"])
def test_what_is_no_trace_id_is_refused(given):
    with pytest.raises(UsageError, match="expected a trace id"):
        check_prefix(given)


def test_an_unknown_trace_says_where_it_was_looked_for(docrag):
    result = docrag("replay", "abcdef12")
    assert result.code == 1
    assert "there is no trace abcdef12; looked in .docrag" in result.err


# ── the store ────────────────────────────────────────────────────────────────────────────────────────────


def record(n: int) -> TraceRecord:
    return TraceRecord(
        trace_id=f"{n:032x}",
        question="q",
        scope=Scope(docs=("a.pdf",), pages=((1, 2),), metadata={"author": "x"}, kinds=("table",)),
        settings={},
        index={},
        versions={},
        steps=({"name": "s", "detail": {}},),
        answer={"answer": "\udce9"},
        asked_at="",
    )


def test_the_store_keeps_the_newest(tmp_path):
    store = TraceStore(tmp_path / "traces", n_kept=3)
    for n in range(5):
        store.save(record(n))
        os.utime(tmp_path / "traces" / f"{n:032x}.json", ns=(n, n))
    store.save(record(5))
    assert store.find("") == [f"{n:032x}" for n in (3, 4, 5)]


def test_a_trace_is_read_as_it_was_written(tmp_path):
    store = TraceStore(tmp_path / "traces")
    store.save(record(1))
    loaded = store.load(f"{1:032x}")
    assert (loaded.scope, loaded.steps, loaded.question) == (record(1).scope, record(1).steps, "q")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 2}', '{"format": 1}'])
def test_a_file_that_is_no_trace_is_refused(tmp_path, text):
    (tmp_path / f"{1:032x}.json").write_text(text)
    with pytest.raises(UsageError, match=f"{1:032x}"):
        TraceStore(tmp_path).load(f"{1:032x}")


@pytest.mark.parametrize("scope", [Scope(), Scope(docs=()), record(1).scope])
def test_scopes_are_read_as_they_were_written(scope):
    assert read_scope_values(json.loads(json.dumps(scope_values(scope)))) == scope


# ── what differs ─────────────────────────────────────────────────────────────────────────────────────────


def test_differences_name_the_leaves():
    assert differences(
        {"a": {"b": 1, "c": 2}, "d": [1, 2]}, {"a": {"b": 1, "c": 3}, "d": [1], "e": None}
    ) == [
        "a.c: 2 → 3",
        "d[2]: 2 → absent",
        "e: absent → None",
    ]
    assert differences({"a": []}, {"a": []}) == []
    assert summarised(["a", "b", "c"], limit=2) == "a; b; and 1 more"


def test_steps_are_compared_by_name():
    was = [{"name": name, "detail": {"n": 1}} for name in ("read", "search", "judge")]
    now = [
        {"name": "read", "detail": {"n": 1}},
        {"name": "judge", "detail": {"n": 2}},
        {"name": "verify", "detail": {}},
    ]
    assert list(compare_steps(was, now)) == [
        StepChange("read", "same"),
        StepChange("search", "gone"),
        StepChange("judge", "changed", ("n: 1 → 2",)),
        StepChange("verify", "new"),
    ]


def test_changes_of_an_index_are_named():
    was = {
        "digest": "1", "n_documents": 2, "n_pages": 4, "text_encoder": None, "n_visual_units": 0,
        "documents": {"a": "x/1", "b": "y/1", "c": "z/1"},
    }  # fmt: skip
    assert index_changes(was, dict(was)) == []
    now = {**was, "digest": "2", "n_pages": 5, "documents": {"a": "x/2", "b": "w/1"}}
    assert index_changes(was, now) == [
        "pages: 4 then, 5 now",
        "a was indexed again",
        "b has other content",
        "c is not in it any more",
    ]
    assert index_changes({**was, "documents": {}}, now | {"n_pages": 4}) == ["documents were indexed again"]


def test_content_ids_depend_on_content_alone():
    assert content_id({"a": 1, "b": 2}, "q") == content_id({"b": 2, "a": 1}, "q")
    assert content_id("q") != content_id("r")
    assert len(content_id()) == 32
