"""``docrag doctor`` over encoders and rerankers behind servers: asked once, and what each says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.cli_support import FAST
from tests.cli.conftest import CommandLine, Result
from tests.http.clients import answer
from tests.models.fault_server import FaultServer, fault_server

pytestmark = pytest.mark.loopback

KEY = "sk-very-secret-0123456789"
PARTS = {
    "text encoder": ("embed", {"kind": "openai", "model": "tiny"}, "has the model tiny, 2 dimensions"),
    "page encoder": ("visual.encoder", {"kind": "vllm"}, "has the model tiny, 2 dimensions"),
    "reranker, retrieval.rerank.steps[0]": (
        "retrieval.rerank.steps", {"kind": "vllm-score"}, "has the model tiny",
    ),
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as server:
        server.reset(answer)
        yield server


@pytest.fixture
def doctor(docrag: CommandLine, reports: Path):
    def run(name: str, **options: object) -> Result:
        setting, kind, _ = PARTS[name]
        value = json.dumps({**kind, **options})
        given = f"{setting}=[{value}]" if setting.endswith("steps") else f"{setting}={value}"
        return docrag("doctor", reports, "--json", *FAST, "--set", given)

    return run


def check_of(result: Result, name: str) -> dict[str, str]:
    (found,) = [check for check in result.json["checks"] if check["name"] == name]
    return found


@pytest.mark.parametrize("name", PARTS)
def test_a_server_that_serves_is_fine(doctor, server: FaultServer, name: str):
    check = check_of(doctor(name, base_url=server.url), name)
    url = server.url if name == "text encoder" else server.url.removesuffix("/v1")
    assert (check["state"], check["detail"]) == ("ok", f"asked {url}: {PARTS[name][2]}")


@pytest.mark.parametrize("name", PARTS)
def test_a_server_that_is_not_there_is_a_problem_said_once(doctor, name: str):
    result = doctor(name, base_url="http://127.0.0.1:9/v1", max_retries=20)
    check = check_of(result, name)
    assert (result.code, check["state"]) == (2, "problem")
    assert "ConnectError" in check["detail"]
    assert "gave up" not in check["detail"]  # it was asked but once
    setting = PARTS[name][0] + ("[0]" if name.startswith("reranker") else "")
    assert check["mend"] == f"start the server, or correct what {setting} says of it"


@pytest.mark.parametrize("name", PARTS)
def test_a_key_that_is_refused_is_not_printed(doctor, server: FaultServer, name: str):
    server.reset(lambda exchange: exchange.send(401, {"error": f"wrong key {KEY}"}))
    result = doctor(name, base_url=server.url, api_key=KEY)
    assert "refuses the key" in check_of(result, name)["detail"]
    assert "very-secret" not in result.out + result.err


@pytest.mark.parametrize("name", PARTS)
def test_a_key_that_is_missing_is_one_problem_and_nothing_is_asked(doctor, server: FaultServer, name: str):
    result = doctor(name, base_url=server.url, api_key_env="DOCRAG_TEST_NO_SUCH_KEY")
    assert check_of(result, name)["state"] == "note"
    assert [check["mend"] for check in result.json["checks"] if check["state"] == "problem"][:1] == [
        "export DOCRAG_TEST_NO_SUCH_KEY=…"
    ]
    assert server.headers == []
