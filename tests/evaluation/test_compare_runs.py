import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "eval" / "compare_runs.py"
Write = Callable[..., Path]
Make = Callable[..., dict[str, object]]


@pytest.fixture
def folder(write_dataset: Write, make_question: Make) -> Path:
    return write_dataset(make_question("q1"), make_question("q2", "sub/b.pdf"))


def write_run(path: Path, *lines: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def compare(*arguments: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True)


def test_figures_of_both_runs_and_their_paired_difference(folder: Path, tmp_path: Path):
    found = {"ranking": [["a.pdf", 2], ["sub/b.pdf", 2]]}
    ours = write_run(tmp_path / "ours.jsonl", {"id": "q1", **found}, {"id": "q2", **found})
    theirs = write_run(
        tmp_path / "theirs.jsonl", {"id": "q1", "ranking": [], "error": "x"}, {"id": "q2", **found}
    )
    shown = compare(folder, ours, theirs)
    assert shown.returncode == 0, shown.stderr
    rows = {line.split()[0]: line.split()[1:] for line in shown.stdout.splitlines()[2:]}
    # Ours finds q1 first and q2 second, theirs q2 alone; of two documents a draw gives 0, 1/2 or 1.
    assert rows["R@1"] == ["0.500", "0.000", "+0.500", "[+0.000,", "+1.000]"]
    assert rows["MRR@10"] == ["0.750", "0.250", "+0.500", "[+0.000,", "+1.000]"]


def test_answers_are_told_from_rankings_and_a_wrong_line_is_named(folder: Path, tmp_path: Path):
    ours = write_run(tmp_path / "ours.jsonl", {"id": "q1", "prediction": "blue whale", "citations": []})
    shown = compare(folder, ours, ours)
    assert "accuracy      0.500   0.500  +0.000" in shown.stdout
    wrong = compare(folder, ours, write_run(tmp_path / "theirs.jsonl", {"id": "q1", "ranking": []}))
    assert wrong.returncode == 1
    assert "theirs.jsonl:1: not a line of this answers run" in wrong.stderr
