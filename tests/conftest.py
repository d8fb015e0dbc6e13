"""What every test gets: no network, here and in child processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

_GUARD = Path(__file__).parent / "socket_guard"

# Children first: an interpreter started with this path imports the guard as its `sitecustomize`.
os.environ["PYTHONPATH"] = os.pathsep.join(
    dict.fromkeys([str(_GUARD), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])
)
# Compiled clients do not pass Python's audit hooks; these keep the known ones offline.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
# ranx, an oracle on toy data, would spend half a minute compiling.
os.environ["NUMBA_DISABLE_JIT"] = "1"
# This process: the guard may be loaded already when pytest itself runs as such a child.
if not str(getattr(sys.modules.get("sitecustomize"), "__file__", "")).startswith(str(_GUARD)):
    sys.path.insert(0, str(_GUARD))
    sys.modules.pop("sitecustomize", None)
    __import__("sitecustomize")
    sys.path.remove(str(_GUARD))

# The same examples in every run and no clock, so that a change is judged by what it changed; look for new
# examples with: pytest --hypothesis-profile=explore
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("steady")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "loopback: may use sockets on 127.0.0.1, ::1 or a Unix path")


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Block every connect, bind and name look-up; a test marked `loopback` may stay on this machine."""
    if request.node.get_closest_marker("loopback"):
        monkeypatch.setenv("DOCRAG_TEST_SOCKETS", "loopback")
    else:
        monkeypatch.delenv("DOCRAG_TEST_SOCKETS", raising=False)


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration's PDFs, generated once. Copy the folder before changing anything in it."""
    folder = tmp_path_factory.mktemp("samples")
    script = Path(__file__).parents[1] / "eval" / "make_samples.py"
    subprocess.run([sys.executable, script, folder], check=True, capture_output=True)
    return folder
