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

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^<!-- tested -->\n```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    subprocess.run([sys.executable, ROOT / "eval" / "make_samples.py", folder / "samples"], check=True)
    return folder


def run(folder: Path, language: str, text: str) -> str:
    command = ["bash", "-euo", "pipefail", "-c", text] if language == "sh" else [sys.executable, "-c", text]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "PATH": path}, check=False
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
    assert json.loads((folder / "docrag.schema.json").read_text())["properties"]


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
    codes = {main.EXIT_USAGE, main.EXIT_NOTHING_DONE, main.EXIT_INTERRUPTED, index.EXIT_SOME_FAILED, 0}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)} == codes
