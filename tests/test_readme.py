"""Every block of the README that is marked as tested runs as it stands, in order, beside the samples."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.model_server import ModelServer
from tests.pdfs import text_pdf

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
MARKED = r"^<!-- {} -->\n```(\w+)\n(.*?)^```$"
BLOCKS = re.findall(MARKED.format("tested"), README, re.MULTILINE | re.DOTALL)
MODEL_BLOCKS = re.findall(MARKED.format("tested with a model"), README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    subprocess.run([sys.executable, ROOT / "eval" / "make_samples.py", folder / "samples"], check=True)
    write_data_set(folder / "my-questions")
    return folder


def write_data_set(folder: Path) -> None:
    """Six documents with a question each: as many as cross-validation needs."""
    (folder / "documents").mkdir(parents=True)
    rows = []
    for n, city in enumerate(["Aarhus", "Bergen", "Cork", "Dundee", "Esbjerg", "Falun"]):
        text_pdf(
            folder / "documents" / f"{city}.pdf",
            pages=[["Harbours", "A page on harbours in general."], [city, f"{city} has {20 + n} piers."]],
        )
        rows.append(
            {"id": f"q{n}", "doc": f"{city}.pdf", "question": f"How many piers does {city} have?"}
            | {"answer": str(20 + n), "answer_format": "Int", "evidence_pages": [2]}
        )
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(folder: Path, language: str, text: str, **variables: str) -> str:
    command = ["bash", "-euo", "pipefail", "-c", text] if language == "sh" else [sys.executable, "-c", text]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path} | variables,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_there_are_blocks_of_both_languages():
    assert {language for language, _ in BLOCKS} == {"sh", "python"}


def test_every_tested_block_runs(folder):
    outputs = [run(folder, language, text) for language, text in BLOCKS]
    assert outputs[0].splitlines()[0] in README  # the first screen shows what is really printed
    assert json.loads((folder / "answer.json").read_text())["citations"]
    assert (folder / "answer.html").read_text("utf-8").count("data:image/jpeg")
    assert (folder / "page.png").is_file()
    metrics = json.loads((folder / "figures" / "metrics.json").read_text())
    assert metrics
    assert (folder / "found.html").is_file()
    assert (folder / "tuned.yaml").is_file()
    assert json.loads((folder / "docrag.schema.json").read_text())["properties"]


@pytest.mark.loopback
def test_every_block_that_needs_a_model_runs_with_one(folder):
    sentence = {"text": "The south grew fastest.", "citations": [{"id": "E1", "quote": ""}]}
    server = ModelServer(json.dumps({"answerable": True, "sentences": [sentence]}))
    try:
        outputs = [
            run(folder, language, text, DOCRAG_MODELS__DEFAULT__BASE_URL=server.url)
            for language, text in MODEL_BLOCKS
        ]
    finally:
        server.close()
    assert len(outputs) == 1
    assert "The south grew fastest." in outputs[0]
    assert server.bodies[0]["model"] == "NAME"


def test_the_configuration_shown_is_accepted(folder, monkeypatch):
    from docrag import load_settings

    text = re.search(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[1]
    assert yaml.safe_load(text)["preset"] in README
    (folder / "mine.yaml").write_text(text)
    settings = load_settings(folder / "mine.yaml", environ={"MY_KEY": "canary"})
    assert settings.embed.kind == "openai"
    assert settings.ingest.layout == "fast"


def test_every_preset_and_exit_code_is_named():
    from docrag.cli import index, main
    from docrag.config.sources import presets

    assert all(re.search(rf"\b{name}\b", README) for name in presets())
    codes = {main.EXIT_USAGE, main.EXIT_NOTHING_DONE, main.EXIT_INTERRUPTED, main.EXIT_BROKEN_PIPE}
    codes |= {index.EXIT_SOME_FAILED, 0}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)} == codes
