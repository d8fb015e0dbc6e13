"""``docrag doctor`` over chat models: what every endpoint was asked, what it gave, and what to do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.cli.cli_support import FAST
from tests.cli.conftest import CommandLine, Result

pytestmark = pytest.mark.loopback

KEY = "sk-very-secret-0123456789"


class Endpoint:
    """A server with one model; what it refuses is a set of the request's fields, and "image"."""

    def __init__(self) -> None:
        self.models: Any = ["tiny"]
        self.key: str | None = None
        self.refuses: set[str] = set()
        self.ignores_schemas = False
        self.bodies: list[dict[str, Any]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self._is_let_in():
                    listed = endpoint.models is not None and self.path == "/v1/models"
                    models = [{"id": name} for name in endpoint.models or ()]
                    self._send(200 if listed else 404, {"data": models})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self._is_let_in():
                    endpoint.bodies.append(body)
                    self._send(*endpoint.answer(body))

            def _is_let_in(self) -> bool:
                said = self.headers.get("authorization")
                if endpoint.key is None or said == f"Bearer {endpoint.key}":
                    return True
                self._send(401, {"error": {"message": f"wrong key {said}"}})
                return False

            def _send(self, status: int, body: Any) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, body: dict[str, Any]) -> tuple[int, Any]:
        if body["model"] != "tiny":
            return 404, {"error": {"message": f"there is no model {body['model']}"}}
        fields = set(body) | ({"image"} if "image_url" in json.dumps(body["messages"]) else set())
        for field in fields & self.refuses:
            return 400, {"error": {"message": f"{field} is not supported by this model"}}
        text = "yes"
        if "response_format" in body and not self.ignores_schemas:
            assert body["response_format"]["json_schema"]["schema"]["required"] == ["ready"]
            text = '{"ready": true}'
        if "image" in fields:
            text = "red"
        choice: dict[str, Any] = {
            "index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop",
        }  # fmt: skip
        if body.get("logprobs"):
            top = [{"token": "yes", "logprob": -0.1}, {"token": "no", "logprob": -3.0}]
            choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        return 200, {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture
def doctor(docrag: CommandLine, reports: Path, endpoint: Endpoint) -> Callable[..., Result]:
    def run(*options: str, config: str | None = None, **model: object) -> Result:
        default = {"kind": "openai", "base_url": endpoint.url, "model": "tiny", **model}
        named = ["--config", config] if config else ["--set", f"models.default={json.dumps(default)}"]
        return docrag("doctor", reports, "--json", *FAST, *named, *options)

    return run


def checks(result: Result, prefix: str = "models") -> dict[str, tuple[str, str]]:
    """State and detail by name."""
    found = [check for check in result.json["checks"] if check["name"].startswith(prefix)]
    return {check["name"]: (check["state"], check["detail"]) for check in found}


def mend_of(result: Result, name: str) -> str:
    return next(check["mend"] for check in result.json["checks"] if check["name"] == name)


def test_a_model_that_can_everything(doctor, endpoint: Endpoint):
    result = doctor()
    assert result.code == 0
    found = checks(result)
    assert found["models.default"] == (
        "ok", f"asked {endpoint.url}/models: reachable, no key was sent, it has tiny",
    )  # fmt: skip
    assert {state for state, _ in found.values()} == {"ok"}
    assert "got 'yes'" in found["models.default: reply"][1]
    assert found["models.default: log-probabilities"][1] == "asked for the 5 likeliest words: got 2"
    assert found["models.default: JSON"][1] == "asked for JSON by a schema: got '{\"ready\": true}'"
    assert found["models.default: pictures"][1] == "sent a red picture: accepted, and described as 'red'"
    assert len(endpoint.bodies) == 3
    assert "data:image/png;base64," in json.dumps(endpoint.bodies[-1])


def test_what_a_model_cannot_is_a_note_and_no_problem(doctor, endpoint: Endpoint):
    endpoint.refuses = {"logprobs", "response_format", "image"}
    result = doctor()
    assert result.code == 0
    found = checks(result)
    assert {name.partition(": ")[2]: state for name, (state, _) in found.items()} == {
        "": "ok", "reply": "ok", "log-probabilities": "note", "JSON": "note", "pictures": "note",
    }  # fmt: skip
    assert "got none" in found["models.default: log-probabilities"][1]
    assert "does not take JSON schemas" in found["models.default: JSON"][1]
    assert "takes no pictures" in found["models.default: pictures"][1]
    assert "models.default.structured=false" in mend_of(result, "models.default: JSON")
    assert "models.default.max_images=0" in mend_of(result, "models.default: pictures")


def test_a_schema_that_is_taken_and_not_followed_is_found_out(doctor, endpoint: Endpoint):
    endpoint.ignores_schemas = True
    assert checks(doctor())["models.default: JSON"] == ("note", "asked for JSON by a schema: got 'yes'")


def test_what_is_switched_off_is_not_asked(doctor, endpoint: Endpoint):
    found = checks(doctor(structured=False, max_images=0))
    assert found["models.default: JSON"][1].startswith("not asked: structured is false")
    assert found["models.default: pictures"][1].startswith("not asked: max_images is 0")
    assert len(endpoint.bodies) == 1


def test_a_server_that_is_not_there(doctor, endpoint: Endpoint):
    result = doctor(base_url="http://127.0.0.1:9/v1")
    assert result.code == 2
    ((name, (state, detail)),) = checks(result).items()
    assert (name, state) == ("models.default", "problem")
    assert detail.startswith("cannot be reached: http://127.0.0.1:9/v1: /models: ConnectError")
    assert "--set models.default.base_url=URL" in mend_of(result, name)


@pytest.mark.parametrize("sent", [None, KEY])
def test_a_key_that_is_refused_is_a_problem_and_is_not_printed(doctor, endpoint: Endpoint, sent: str | None):
    endpoint.key = "another"
    result = doctor(**({} if sent is None else {"api_key": sent}))
    assert result.code == 2
    ((_, (state, detail)),) = checks(result).items()
    assert state == "problem"
    assert "refuses the key" in detail
    assert "very-secret" not in result.out + result.err


def test_a_key_that_is_accepted_is_said_and_not_printed(doctor, endpoint: Endpoint):
    endpoint.key = KEY
    result = doctor(api_key=KEY)
    assert result.code == 0
    assert "the key is accepted" in checks(result)["models.default"][1]
    assert KEY not in result.out + result.err


def test_a_key_that_is_missing_is_one_problem_and_nothing_is_asked(doctor, endpoint: Endpoint):
    result = doctor(api_key_env="DOCRAG_TEST_NO_SUCH_KEY")
    assert (result.code, result.json["problems"], endpoint.bodies) == (2, 1, [])
    problem = next(check for check in result.json["checks"] if check["state"] == "problem")
    assert problem["mend"] == "export DOCRAG_TEST_NO_SUCH_KEY=…"


def test_a_model_that_the_server_does_not_have(doctor, endpoint: Endpoint):
    endpoint.models = ["tiny", "large"]
    result = doctor(model="tinny")
    found = checks(result)
    assert result.code == 2
    assert "tinny is not among its models: tiny" in found["models.default"][1]
    assert found["models.default: reply"][0] == "problem"
    assert "there is no model tinny" in found["models.default: reply"][1]


@pytest.mark.parametrize("listed", [None, ["other"]])
def test_a_model_that_replies_though_it_is_not_listed_is_no_problem(doctor, endpoint: Endpoint, listed):
    endpoint.models = listed
    result = doctor()
    found = checks(result)
    assert result.code == 0
    assert found["models.default"][0] == "note"
    assert found["models.default: reply"][0] == "ok"


def test_equal_models_are_asked_once_and_other_ones_by_themselves(doctor, endpoint: Endpoint):
    default = {"kind": "openai", "base_url": endpoint.url, "model": "tiny"}
    judge = {**default, "max_images": 0}
    result = doctor(
        "--set", f"models.plan={json.dumps(default)}", "--set", f"models.judge={json.dumps(judge)}"
    )
    assert [name for name in checks(result) if name.endswith("reply")] == [
        "models.default, models.plan: reply",
        "models.judge: reply",
    ]
    assert len(endpoint.bodies) == 3 + 2


def test_a_configuration_file_is_what_is_checked(doctor, endpoint: Endpoint, tmp_path: Path):
    path = tmp_path / "own.yaml"
    path.write_text(
        json.dumps({"models": {"default": {"kind": "openai", "base_url": endpoint.url, "model": "tiny"}}})
    )
    assert "models.default: reply" in checks(doctor(config=str(path)))


def test_without_a_model_it_says_that_none_is_needed(docrag: CommandLine, reports: Path):
    result = docrag("doctor", reports, "--json", *FAST)
    assert result.code == 0
    assert checks(result, "chat models") == {
        "chat models": ("ok", "none configured, and answer.kind=extractive needs none")
    }


def test_an_answerer_that_needs_a_model_and_has_none_is_a_problem(docrag: CommandLine, reports: Path):
    result = docrag("doctor", reports, "--json", *FAST, "--set", "answer.kind=single-pass")
    assert result.code == 2
    assert checks(result, "chat models")["chat models"][0] == "problem"
    assert "models.default.model=NAME" in mend_of(result, "chat models")


def test_models_without_an_endpoint_are_not_asked(docrag: CommandLine, reports: Path):
    models = {"default": {"kind": "scripted", "replies": ["yes"]}}
    result = docrag("doctor", reports, "--json", *FAST, "--set", f"models={json.dumps(models)}")
    assert checks(result) == {"models.default": ("ok", "scripted: there is no endpoint to ask")}


def test_a_folder_that_a_configuration_names_and_that_is_missing(docrag: CommandLine, reports: Path):
    models = {"default": {"kind": "transformers", "model": "./no-such-model"}}
    result = docrag("doctor", reports, "--json", *FAST, "--set", f"models={json.dumps(models)}")
    assert result.code == 2
    assert checks(result)["models.default.model"] == ("problem", "./no-such-model: there is no such folder")
