"""What every endpoint takes, in the same words; credentials stand in no message and no listing."""

from __future__ import annotations

import ast
import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError
from tests.http.clients import CLIENTS

from docrag.cli import main
from docrag.config.load import load
from docrag.errors import ConfigError
from docrag.http.options import EndpointOptions
from docrag.pipeline.settings import Settings

PACKAGE = Path(__file__).parents[2] / "src" / "docrag"
SECRET = "canary-pass-7431"

PLACES = {
    "embed": {"kind": "openai", "model": "m"},
    "models.default": {"kind": "openai", "model": "m"},
    "visual.encoder": {"kind": "vllm"},
    "retrieval.rerank.steps": {"kind": "vllm-score"},
}


def option_classes(annotation: Any, seen: set[type]) -> Iterator[type[BaseModel]]:
    """Every class of options below an annotation."""
    is_class = isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias)
    if is_class and issubclass(annotation, BaseModel) and annotation not in seen:
        seen.add(annotation)
        yield annotation
        for field in annotation.model_fields.values():
            yield from option_classes(field.annotation, seen)
    for argument in get_args(annotation):
        yield from option_classes(argument, seen)


def test_whatever_is_asked_at_a_url_has_the_options_of_an_endpoint():
    with_url = [kind for kind in option_classes(Settings, set()) if "base_url" in kind.model_fields]
    assert {kind.__name__ for kind in with_url} == {client.options.__name__ for client in CLIENTS.values()}
    assert all(issubclass(kind, EndpointOptions) for kind in with_url)


MAKERS = {"Client", "AsyncClient", "get", "post", "request", "stream", "put"}


def clients_made(tree: ast.AST) -> list[int]:
    """Lines on which something opens connections of its own."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) in ("httpx", "requests", "urllib.request")
        and (node.func.attr in MAKERS or node.func.attr == "urlopen")
    ]


@pytest.mark.parametrize(
    ("source", "n_found"),
    [("httpx.AsyncClient(trust_env=True)", 1), ("httpx.get(url)", 1), ("urllib.request.urlopen(url)", 1),
     ("httpx.Timeout(1)", 0), ("client.get(url)", 0)],
)  # fmt: skip
def test_what_opens_connections_is_found(source: str, n_found: int):
    assert len(clients_made(ast.parse(source))) == n_found


def test_one_module_makes_all_clients():
    makers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if clients_made(ast.parse(path.read_text("utf-8")))
    }
    assert makers == {"http/client.py"}


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "127.0.0.1:80",
        "http://",
        "http://h/v1?key=x",
        "http://[::1/v1",
        "http://h:no/v1",
        "http://a..b/v1",
        f"http://{'a' * 64}.example/v1",
    ],
)
def test_base_url_must_be_a_plain_one(name: str, url: str):
    with pytest.raises(ValidationError, match=r"base_url\n.*expected a URL such as"):
        CLIENTS[name].make(url)


def test_base_url_may_end_as_people_write_it():
    ends = {name: client.make("http://h/v1/").base_url for name, client in CLIENTS.items()}
    root, full = "http://h", "http://h/v1"
    assert ends == {
        "chat": full, "embeddings": full, "page encoder": root, "reranker": root, "model list": full,
    }  # fmt: skip
    assert CLIENTS["embeddings"].make("http://h/v1/embeddings").base_url == full
    assert CLIENTS["chat"].make("http://h/v1/chat/completions").base_url == full


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"base_url": f"http://me:{SECRET}@h/v1"}, "holds a user name or password; give the key as"),
        ({"base_url": f"me:{SECRET}@h/v1"}, "expected a URL such as"),
        ({"proxy": f"http://me:{SECRET}@proxy.example:3128"}, "give them as proxy_auth, a secret"),
        ({"proxy": f"{SECRET}:3128"}, "expected a URL such as http://proxy.example:3128, or environment"),
        ({"proxy": f"ftp://{SECRET}"}, "expected a URL such as"),
        ({"proxy": f"http://proxy.example/?{SECRET}"}, "expected a URL such as"),
        ({"proxy": f"http://proxy.example:{SECRET}"}, "expected a URL such as"),
        ({"proxy_auth": f"me:{SECRET}"}, "proxy names no URL"),
        ({"proxy": "environment", "proxy_auth": f"me:{SECRET}"}, "proxy names no URL"),
        ({"api_key": SECRET, "api_key_env": "MY_KEY"}, "both given; keep one"),
    ],
)
def test_what_is_refused_is_not_repeated(name: str, given: dict[str, Any], message: str):
    with pytest.raises(ValidationError) as caught:
        CLIENTS[name].options(**CLIENTS[name].more, **given)
    assert message in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("place", ["embed", "models.default", "retrieval.rerank.steps"])
def test_settings_made_in_python_do_not_repeat_it_either(place: str):
    values: Any = PLACES[place] | {"api_key": SECRET, "api_key_env": "X"}
    values = [values] if place.endswith("steps") else values
    for key in reversed(place.split(".")):
        values = {key: values}
    with pytest.raises(ValidationError, match="keep one") as caught:
        Settings.model_validate(values)
    assert SECRET not in str(caught.value)


# ── what is shown ────────────────────────────────────────────────────────────────────────────────────


def with_options(place: str, **options: str) -> list[str]:
    values = json.dumps(PLACES[place] | options)
    return [f"{place}=[{values}]" if place.endswith("steps") else f"{place}={values}"]


@pytest.mark.parametrize("place", PLACES)
def test_a_proxy_is_shown_and_its_password_is_not(place: str, capsys: pytest.CaptureFixture[str]):
    options = with_options(
        place, proxy="http://proxy.example:3128", proxy_auth=f"me:{SECRET}", api_key=SECRET
    )
    for form in ([], ["--json"], ["--origin"]):
        assert main.run(["config", "show", "--set", *options, *form]) == 0
        shown = "".join(capsys.readouterr())
        assert "proxy.example:3128" in shown
        assert SECRET not in shown
    recorded = load(overrides=options, environ={}).masked()  # as traces keep it
    assert SECRET not in json.dumps(recorded)
    assert "proxy.example:3128" in json.dumps(recorded)


@pytest.mark.parametrize("place", PLACES)
def test_a_password_may_come_from_the_environment_and_stays_a_reference(place: str):
    options = with_options(place, proxy="http://proxy.example:3128", proxy_auth="${PROXY_AUTH}")
    recorded = load(overrides=options, environ={"PROXY_AUTH": f"me:{SECRET}"}).masked()
    assert SECRET not in json.dumps(recorded)
    assert "${PROXY_AUTH}" in json.dumps(recorded)


@pytest.mark.parametrize("place", PLACES)
def test_a_password_in_the_url_of_a_proxy_is_an_error_that_does_not_show_it(place: str):
    with pytest.raises(ConfigError, match="proxy_auth") as caught:
        load(overrides=with_options(place, proxy=f"http://me:{SECRET}@proxy.example"), environ={})
    assert SECRET not in str(caught.value)
