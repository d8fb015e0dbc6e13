"""The script that measures a judge of sufficiency, over a small index and a judge that only knows words."""

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.model_server import ModelServer
from tests.pdfs import text_pdf

from docrag.config import load_settings
from docrag.errors import UsageError
from docrag.pipeline import DocRAG

SCRIPT = Path(__file__).parents[2] / "eval" / "sufficiency.py"
CITIES = {"Aarhus": 20, "Bergen": 21}


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A document a city, a question about each, and one that none of them answers; with their index."""
    folder = tmp_path_factory.mktemp("sufficiency")
    (folder / "documents").mkdir()
    rows = [
        {"id": "none", "doc": "Aarhus.pdf", "question": "Who dug the canal of Aarhus?"}
        | {"answer": "Not answerable", "answer_format": "None", "evidence_pages": []}
    ]
    for city, n_piers in CITIES.items():
        text_pdf(
            folder / "documents" / f"{city}.pdf",
            pages=[["Harbours", "A page on harbours in general."], [city, f"{city} has {n_piers} piers."]],
        )
        rows.append(
            {"id": city, "doc": f"{city}.pdf", "question": f"How many piers does {city} have?"}
            | {"answer": str(n_piers), "answer_format": "Int", "evidence_pages": [2]}
        )
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = load_settings("fast", overrides=["embed.kind=none", "ingest.n_workers=1"])
    with DocRAG.open(folder / "documents", index=folder / "index", settings=settings) as rag:
        rag.index()
    return folder


@pytest.fixture
def judge() -> Iterator[ModelServer]:
    server = ModelServer("Yes.")
    yield server
    server.close()


@pytest.fixture(scope="module")
def main() -> Callable[[Sequence[str]], int]:
    """The script's own `main`; a process for every test would spend seconds on imports."""
    spec = importlib.util.spec_from_file_location("sufficiency_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module.main


def arguments(data_set: Path, url: str, *more: str) -> list[str]:
    fixed = [data_set, "--index", data_set / "index", "--base-url", url, "--model", "m"]
    settings = ["answer.context.modality=text", "embed.kind=none", "retrieval.retrievers=[bm25]"]
    return [*map(str, fixed), *(part for s in settings for part in ("--set", s)), *more]


CASES = (("retrieved", True), ("evidence", True), ("other", False))


@pytest.mark.loopback
def test_a_judge_that_always_says_yes_is_at_chance(main, data_set, judge, tmp_path, capsys):
    out = tmp_path / "lines.jsonl"
    assert main(arguments(data_set, judge.url, "--out", str(out))) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["id"], line["shown"], line["any_gold"]) for line in lines] == [
        ("none", "retrieved", False),
        *((city, *case) for city in CITIES for case in CASES),
    ]
    evidence, other = lines[2], lines[3]
    assert evidence["pages"] == [["Aarhus.pdf", 2]]
    assert [doc for doc, _ in other["pages"]] == ["Bergen.pdf"]
    assert {line["p_sufficient"] for line in lines} == {1.0}
    retrieved, control = capsys.readouterr().out.split("CONTROL")
    assert "3 questions, 7 calls, 0 failed" in retrieved
    assert "by the word alone: 7 of 7" in retrieved
    assert "probability on yes or no: 0 of 0\n" in retrieved
    # In both documents a yes is worth a half, whichever of them are drawn.
    assert "3 calls about 2 documents, 2 with sufficient pages\nAUC 0.500 [0.500, 0.500]" in retrieved
    assert "AUC 0.500 [0.500, 0.500]" in control
    assert "higher probability: 0.500 [0.500, 0.500] of 2" in control
    body = json.dumps(judge.bodies[0])
    assert "Who dug the canal of Aarhus?" in body
    assert "Evidence E1: Aarhus.pdf, page" in body


@pytest.mark.loopback
def test_a_sample_is_the_same_every_time(main, data_set, judge, capsys):
    for _ in range(2):
        main(arguments(data_set, judge.url, "--limit", "1", "--seed", "3", "--no-control"))
    first, second = (body["messages"][1]["content"] for body in judge.bodies)
    assert len(questions_of(first)) == 1
    assert questions_of(first) == questions_of(second)
    assert "1 questions, 1 calls, 0 failed" in capsys.readouterr().out


def questions_of(content: object) -> list[str]:
    """The lines of a prompt that hold the question; fences around pages differ from run to run."""
    return re.findall(r"Question: [^\\]*", json.dumps(content))


@pytest.mark.loopback
def test_a_server_that_is_gone_ends_the_run_with_its_address(main, data_set, capsys):
    assert main(arguments(data_set, "http://127.0.0.1:9/v1", "--set", "models.default.max_tries=1")) == 1
    said = capsys.readouterr().err
    assert "3 calls failed one after the other; stopped" in said
    assert "127.0.0.1:9" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "no model to measure; name it with --base-url URL --model NAME"),
        (("--config", "fast", "--model", "m"), "answer.kind is extractive"),
    ],
)
def test_what_cannot_be_measured_is_said(main, data_set, more, said):
    with pytest.raises(UsageError, match=said):
        main([str(data_set), "--index", str(data_set / "index"), *more])


def test_documents_that_are_not_in_the_index_are_named(main, data_set, tmp_path):
    other = tmp_path / "other"
    (other / "documents").mkdir(parents=True)
    text_pdf(other / "documents" / "Cork.pdf", pages=[["Cork has 22 piers."]])
    row = {"id": "Cork", "doc": "Cork.pdf", "question": "How many?", "answer": "22", "answer_format": "Int"}
    (other / "questions.jsonl").write_text(json.dumps(row | {"evidence_pages": [1]}))
    with pytest.raises(UsageError, match='1 documents of the data set are not in the index, such as "Cork'):
        main([str(other), *arguments(data_set, "http://127.0.0.1:9/v1")[1:]])
