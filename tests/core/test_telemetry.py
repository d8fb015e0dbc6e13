"""What docrag builds on reports to nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def files_left_by(code: str, home: Path, **variables: str) -> list[str]:
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment = {**kept, "HOME": str(home), "XDG_CACHE_HOME": "", **variables}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
    return sorted(path.name for path in home.rglob("*") if path.is_file())


def test_onnxruntime_keeps_no_device_id_and_no_queue_of_events(tmp_path: Path):
    if not files_left_by("import onnxruntime", tmp_path / "alone"):
        pytest.skip("this onnxruntime has no telemetry")
    assert files_left_by("import docrag, onnxruntime", tmp_path / "with docrag") == []


def test_who_asks_for_telemetry_keeps_it(tmp_path: Path):
    code = "import os, docrag; assert os.environ['ORT_DISABLE_TELEMETRY'] == '0'"
    assert files_left_by(code, tmp_path / "home", ORT_DISABLE_TELEMETRY="0") == []
