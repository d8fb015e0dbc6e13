"""Runs whose answers come from a model: prompts are kept, and repeat to the byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.api.conftest import settings_with
from tests.pdfs import text_pdf
from tests.runs.conftest import BANK, CEO, lines

from docrag import DocRAG
from docrag.pipeline.marker import marker_of

REPLY = {
    "sentences": [{"text": "It is Maria Lindqvist.", "citations": [{"id": "E1", "quote": "Maria Lindqvist"}]}]
}
SCRIPTED = {
    "models": {"default": {"kind": "scripted", "rules": [{"when": ".", "reply": json.dumps(REPLY)}]}},
    "answer": {"kind": "single-pass"},
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_runs_with_a_model_repeat_to_the_byte_and_replay(docrag, write_run, place):
    path = write_run([CEO, BANK], settings=SCRIPTED)
    for out in ("a", "b"):
        result = docrag("run", path, "--out", out)
        assert result.code == 0, result.err
    a, b = contents(place / "a"), contents(place / "b")
    assert a.keys() == b.keys()
    assert {name for name in a if a[name] != b[name]} <= {"times.jsonl"}
    answers = lines(place / "a" / "answers.jsonl")
    assert answers[0]["answer"] == "It is Maria Lindqvist."
    assert answers[0]["usage"]["n_model_calls"] == 1
    assert docrag("replay", answers[0]["trace_id"], "--run", "a").code == 0


def test_the_cost_of_a_run_says_whether_it_is_known(docrag, write_run, place):
    priced = {
        "kind": "scripted",
        "replies": [json.dumps(REPLY)] * 2,
        "price": {"input_usd": 2, "output_usd": 8},
    }
    docrag("run", write_run([CEO, BANK], settings=SCRIPTED | {"models": {"default": priced}}), "--out", "a")
    docrag("run", write_run([CEO, BANK], settings=SCRIPTED), "--out", "b")
    known, unknown = (json.loads((place / out / "metrics.json").read_text())["usage"] for out in "ab")
    dollars = (2 * known["n_input_tokens"] + 8 * known["n_output_tokens"]) / 1e6
    assert (known["n_questions"], known["n_unpriced_calls"]) == (2, 0)
    assert known["cost_usd"] == pytest.approx(dollars)
    assert (unknown["cost_usd"], unknown["n_unpriced_calls"]) == (None, unknown["n_model_calls"])
    assert unknown["n_model_calls"] >= 1


def test_the_prompts_that_were_used_are_kept(docrag, write_run, place):
    docrag("run", write_run([CEO], settings=SCRIPTED))
    out = place / "runs" / "my"
    steps = lines(out / "traces.jsonl")[0]["steps"]
    names = {step["detail"]["prompt"] for step in steps if "prompt" in step["detail"]}
    assert names
    assert {path.stem for path in (out / "prompts").iterdir()} == names
    run = json.loads((out / "run.json").read_text())
    for step in steps:
        if "prompt" in step["detail"]:
            assert run["prompts"][step["detail"]["prompt"]] == step["detail"]["prompt_digest"]


def test_a_changed_prompt_is_another_run(docrag, write_run, place):
    from docrag import resources

    docrag("run", write_run([CEO], settings=SCRIPTED))
    (name,) = [path.stem for path in (place / "runs" / "my" / "prompts").iterdir()]
    mine = place / "mine.md"
    mine.write_text(
        (resources.folder("prompts") / f"{name}.md").read_text("utf-8") + "\nBe brief.\n", "utf-8"
    )
    result = docrag("run", write_run([CEO], settings={**SCRIPTED, "prompts": {name: str(mine)}}))
    assert result.code == 1
    assert f"prompts.{name}: " in result.err


def test_the_marker_of_an_index_changes_with_every_document(tmp_path):
    text_pdf(tmp_path / "a.pdf", pages=[["One page."]])
    with DocRAG.open(tmp_path, settings=settings_with()) as rag:
        rag.index()
        first = marker_of(rag.corpus)
        assert first() == first() == marker_of(rag.corpus)()
        assert len(first()) == 16
        text_pdf(tmp_path / "b.pdf", pages=[[f"{first()} and more"]])
        rag.index()
        assert marker_of(rag.corpus)() != first()
