"""Ctrl-C while a search asks models: it ends at once with 130, and their requests with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.cli.cli_support import FAST
from tests.models.fault_server import Exchange, fault_server

DEADLINE_S = 60.0
"""Generous: the model is given 300 s, which would be waited for."""

POINTWISE = {"kind": "pointwise", "n_parallel": 2, "timeout_s": 300, "max_seconds": None}
GATED = {"kind": "gated", "n_parallel": 2}
ENSEMBLE = {"ensemble": {"n_instructions": 2, "n_parallel": 2}, "timeout_s": 300}


@pytest.mark.loopback
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize(
    ("command", "setting", "announced"),
    [
        ("search", f"retrieval.rerank.steps={json.dumps([POINTWISE])}", "… reranking "),
        ("ask", f"retrieval.query={json.dumps(ENSEMBLE)}", "… planning the query"),
        ("ask", f"answer={json.dumps(GATED)}", "… judging "),
    ],
    ids=["rerank", "plan", "pages"],
)
def test_ctrl_c_ends_a_search_and_its_requests(reports: Path, command: str, setting: str, announced: str):
    n_left: list[int] = []

    def hang(exchange: Exchange) -> None:
        exchange.hang()
        n_left.append(1)

    with fault_server() as server:
        server.reset(hang)
        model = {"kind": "openai", "base_url": server.url, "model": "tiny", "timeout_s": 300}
        process = subprocess.Popen(
            [
                sys.executable, "-m", "docrag", command, "revenue in 2023", "--index", reports / ".docrag",
                *FAST, "--set", f"models.default={json.dumps(model)}", "--set", setting,
            ],
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ,
            preexec_fn=_with_ctrl_c,
        )  # fmt: skip
        timer = threading.Timer(DEADLINE_S, process.kill)
        timer.start()
        try:
            while len(server.bodies) < 2 and process.poll() is None:
                time.sleep(0.01)
            assert process.poll() is None, process.communicate()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate()
        finally:
            timer.cancel()
            process.kill()
        assert process.returncode == 130
        assert announced in err
        assert len(server.bodies) == 2
        end_s = time.monotonic() + DEADLINE_S
        while len(n_left) < 2 and time.monotonic() < end_s:
            time.sleep(0.01)
        assert len(n_left) == 2


def _with_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job may have inherited "ignore"
