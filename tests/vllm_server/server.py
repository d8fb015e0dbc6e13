"""A real vLLM server in its own environment and process group, on this machine only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
_SITE = Path(__file__).parent / "site"
START_TIMEOUT_S = 300.0
"""Starting takes about 30 s on two idle cores, nearly all of it imports."""

STOP_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class VllmServer:
    """Where a server answers: `base_url` ends in ``/v1``; `model` is the name of what is in `checkpoint`."""

    base_url: str
    model: str
    checkpoint: Path
    log: Path


def run_module(python: str, module: str, *arguments: str) -> None:
    """Run a module of the tests with vLLM's interpreter, such as one that saves a checkpoint."""
    done = subprocess.run(
        [python, "-W", "ignore", "-m", module, *arguments],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
    )
    if done.returncode:
        raise RuntimeError(f"{python} -m {module} {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")


@contextmanager
def serve(python: str, folder: Path, *arguments: str) -> Iterator[VllmServer]:
    """Serve the checkpoint in `folder` as the model ``tiny`` until the context ends.

    Sockets of this process and of the server must be allowed, see ``tests/conftest.py``; the server may use
    those of this machine only.
    """
    log = folder.with_suffix(".log")
    port = _free_port()
    command = [
        python, "-W", "ignore", "-m", "vllm.entrypoints.openai.api_server",
        "--model", str(folder), "--served-model-name", "tiny",
        "--host", "127.0.0.1", "--port", str(port),
        "--dtype", "float32", "--max-model-len", "4096", "--enforce-eager", *arguments,
    ]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=_environment(), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait_until_healthy(process, f"http://127.0.0.1:{port}/health", command, log)
            yield VllmServer(f"http://127.0.0.1:{port}/v1", "tiny", folder, log)
        finally:
            _stop(process)


def _environment() -> dict[str, str]:
    return os.environ | {
        "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(_SITE),
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; the default is a share of the machine's memory
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_NO_USAGE_STATS": "1",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_healthy(
    process: subprocess.Popen[bytes], url: str, command: Sequence[str], log: Path
) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(url, timeout=5).is_success:
                return
        time.sleep(0.5)
    state = "did not answer" if process.poll() is None else f"ended with {process.returncode}"
    raise RuntimeError(f"{' '.join(command)}\n{state}; its last lines:\n{log.read_text()[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers, which are in its process group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
