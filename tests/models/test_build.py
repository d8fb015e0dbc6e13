"""From a configuration to the chat models of every role."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from docrag.chat.messages import user
from docrag.chat.model import ROLES, Request
from docrag.config.load import load_settings
from docrag.errors import ConfigError, MissingExtra
from docrag.models.build import build_chat, build_chats
from docrag.models.options import LangChainOptions, OpenAiCompatibleOptions, RoleOptions, ScriptedOptions
from docrag.pipeline.lazy_models import lazy_chats


def reply(chats: Any, role: Any) -> str:
    return chats.of(role).complete([user("?")], Request()).text


def test_a_role_has_its_own_model_and_the_others_the_default():
    options = RoleOptions(
        default=ScriptedOptions(replies=("default",), repeat_last=True),
        judge=ScriptedOptions(replies=("judge",)),
    )
    chats = build_chats(options)
    expected = dict.fromkeys(ROLES, "default") | {"judge": "judge"}
    assert {role: reply(chats, role) for role in ROLES} == expected


def test_roles_with_equal_options_share_one_model():
    same = ScriptedOptions(replies=("a", "b"))
    chats = build_chats(RoleOptions(default=same, plan=ScriptedOptions(replies=("a", "b"))))
    assert chats.of("plan") is chats.default


def test_a_role_inherits_nothing_from_the_default():
    options = RoleOptions(
        default=ScriptedOptions(context_tokens=1000, max_images=3, max_output_tokens=99),
        plan=ScriptedOptions(replies=("x",)),
    )
    chats = build_chats(options)
    assert chats.default.limits.context_tokens == 1000
    assert chats.default.limits.max_images == 3
    assert chats.default.limits.reply_tokens == 99
    assert chats.of("plan").limits.context_tokens == ScriptedOptions().context_tokens


def test_a_script_is_said_in_the_order_of_calls_and_a_server_takes_several_at_a_time():
    assert build_chat(ScriptedOptions()).limits.takes_turns
    assert not build_chat(
        OpenAiCompatibleOptions(model="m", base_url="http://127.0.0.1:9")
    ).limits.takes_turns


def test_models_are_configured_in_yaml(tmp_path: Path):
    (tmp_path / "script.yaml").write_text("replies: [from the file]\nrules:\n- {when: 'b.g', reply: found}\n")
    config = tmp_path / "run.yaml"
    config.write_text(
        "models:\n"
        "  default:\n"
        "    kind: scripted\n"
        "    replies: [first]\n"
        f"    file: {tmp_path / 'script.yaml'}\n"
        "    price: {input_usd: 2, output_usd: 10}\n"
    )
    models = load_settings(config, environ={}).models
    assert models is not None
    chat = build_chats(models).default
    assert [chat.complete([user("?")], Request()).text for _ in range(2)] == ["first", "from the file"]
    priced = chat.complete([user("a\nb\nbag")], Request())
    assert priced.text == "found"
    usage = priced.usage
    assert usage.cost_usd == pytest.approx((2 * usage.n_input_tokens + 10 * usage.n_output_tokens) / 1e6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("replies: {a: 1}", "replies"),
        ("answers: []", "answers"),
        ("rules: [{when: '(', reply: x}]", "no regular expression"),
        ("[", "cannot be read"),
    ],
)
def test_a_script_that_is_none_is_named(tmp_path: Path, text: str, message: str):
    file = tmp_path / "script.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        build_chat(ScriptedOptions(file=file))
    assert str(file) in str(caught.value)


def test_a_missing_script_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: the script cannot be read"):
        build_chat(ScriptedOptions(file=tmp_path / "nowhere.yaml"))


def test_the_tokenizer_of_the_configuration_counts(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"tokenizer\.json"):
        build_chat(ScriptedOptions(tokenizer=tmp_path))


def test_chats_are_made_when_first_needed_and_once():
    chats = lazy_chats(RoleOptions(default=ScriptedOptions(replies=("a",))))
    assert chats() is chats()
    missing = lazy_chats(
        RoleOptions(default=LangChainOptions(target="no_such_package.chat:ChatNowhere"))
    )  # nothing is imported yet
    with pytest.raises(MissingExtra, match="pip install no-such-package"):
        missing()


def test_without_a_model_the_error_says_how_to_configure_one():
    with pytest.raises(ConfigError, match=r"models\.default\.kind=openai"):
        lazy_chats(None)()
