"""Runs the command line in this process, and one small index that tests of reading share."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.cli.cli_support import FAST, write_reports

from docrag.cli import main


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Result:
        self._capsys.readouterr()
        code = main.run([str(argument) for argument in arguments])
        out, err = self._capsys.readouterr()
        return Result(code, out, err)


@pytest.fixture
def docrag(capsys, monkeypatch, tmp_path) -> CommandLine:
    """Run a command in an empty folder; wide enough that no line is cut."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return CommandLine(capsys)


@pytest.fixture(scope="session")
def _indexed(tmp_path_factory) -> Path:
    folder = write_reports(tmp_path_factory.mktemp("session") / "reports")
    assert main.run(["index", str(folder), "--quiet", *FAST]) == 0
    return folder


@pytest.fixture
def reports(_indexed, tmp_path) -> Path:
    """A folder of two indexed PDFs, the test's own copy."""
    return shutil.copytree(_indexed, tmp_path / "reports")
