"""Any LangChain chat model, from Python and from YAML: the lines here are what the documentation shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from pydantic import SecretStr

from docrag.chat.messages import user
from docrag.chat.model import Chats, Request
from docrag.config.load import load_settings
from docrag.errors import ConfigError, MissingExtra
from docrag.models.build import build_chat, build_chats
from docrag.models.client import ModelChat
from docrag.models.options import LangChainOptions

FAKE = "langchain_core.language_models.fake_chat_models:FakeListChatModel"


def test_an_object_is_used_as_it_is():
    model = FakeListChatModel(responses=["42 [E1]"])  # or ChatOpenAI(…), ChatAnthropic(…), ChatOllama(…)
    chats = Chats(default=ModelChat(model, name="my model"))
    reply = chats.of("answer").complete([user("How many?")], Request())
    assert (reply.text, reply.model) == ("42 [E1]", "my model")


def test_a_class_is_named_in_yaml(tmp_path: Path):
    config = tmp_path / "run.yaml"
    config.write_text(
        "models:\n"
        "  default:\n"
        "    kind: langchain\n"
        f"    target: {FAKE}\n"
        "    arguments: {responses: [from YAML]}\n"
    )
    models = load_settings(config, environ={}).models
    assert models is not None
    assert build_chats(models).default.complete([user("?")], Request()).text == "from YAML"


def test_secrets_are_passed_as_secrets_and_never_shown(tmp_path: Path):
    config = tmp_path / "run.yaml"
    config.write_text(
        "models:\n  default:\n    kind: langchain\n"
        f"    target: {FAKE}\n    arguments: {{responses: [x]}}\n    secrets: {{nope: '${{MY_KEY}}'}}\n"
    )
    models = load_settings(config, environ={"MY_KEY": "canary-7431"}).models
    assert models is not None
    assert "canary" not in repr(models)
    assert build_chats(models)  # an unknown argument, which this class ignores


@pytest.mark.parametrize(
    ("target", "arguments", "message"),
    [
        ("langchain_core.messages:Nothing", {}, "has no Nothing"),
        ("langchain_core.messages:HumanMessage", {"content": "x"}, "made a HumanMessage, expected"),
        (FAKE, {}, "ValidationError.*responses"),
        ("builtins:len", {}, "TypeError"),
    ],
)
def test_what_makes_no_chat_model_is_named(target: str, arguments: dict[str, str], message: str):
    with pytest.raises(ConfigError, match=message) as caught:
        build_chat(LangChainOptions(target=target, arguments=arguments))
    assert target in str(caught.value)


def test_a_package_that_is_missing_is_named_with_the_line_that_installs_it():
    with pytest.raises(MissingExtra, match="pip install langchain-nowhere"):
        build_chat(LangChainOptions(target="langchain_nowhere.chat:ChatNowhere"))


def leaky(*, api_key: SecretStr) -> None:
    raise ValueError(f"the key {api_key.get_secret_value()} is not valid")


def test_a_secret_stands_in_no_error_of_the_package():
    options = LangChainOptions(target=f"{__name__}:leaky", secrets={"api_key": SecretStr("canary-7431")})
    with pytest.raises(ConfigError, match="the key … is not valid") as caught:
        build_chat(options)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("target", ["ChatOpenAI", "a:b:c", "os.system('x')", "a/b:c"])
def test_a_target_is_a_module_and_a_name(target: str):
    with pytest.raises(ValueError, match="target"):
        LangChainOptions(target=target)
