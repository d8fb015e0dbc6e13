"""From options to chat models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from docrag.chat.model import ROLES, Chat, Chats, Limits, Role
from docrag.errors import ConfigError
from docrag.models.options import (
    AutoImageTokens,
    LangChainOptions,
    ModelOptions,
    OpenAiCompatibleOptions,
    RoleOptions,
    ScriptedOptions,
    ScriptFile,
    TransformersChatOptions,
)

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from docrag.models.scripted import ScriptedChatModel


def build_chats(options: RoleOptions) -> Chats:
    """Return the model of every role; roles with equal options share one.

    Raises
    ------
    ConfigError
        A key's variable is not set, a file cannot be read, or a class cannot be made.
    MissingExtra, ModelError
        The libraries or the checkpoint of a model in this process are not there.
    """
    built: list[tuple[ModelOptions, Chat]] = []

    def build(wanted: ModelOptions) -> Chat:
        for known, chat in built:
            if known == wanted:
                return chat
        built.append((wanted, build_chat(wanted)))
        return built[-1][1]

    default = build(options.default)
    named: dict[Role, ModelOptions | None] = {role: getattr(options, role) for role in ROLES}
    return Chats(default, {role: build(wanted) for role, wanted in named.items() if wanted is not None})


def build_chat(options: ModelOptions) -> Chat:
    """Return one model, ready to use; raises as `build_chats`."""
    from docrag.models.client import ModelChat

    model, name = _model(options)
    count_text, count_image = _counters(options, name)
    return ModelChat(
        model,
        name=name,
        limits=Limits(
            options.context_tokens,
            options.max_images,
            options.max_output_tokens,
            # The weights are there once; a script says its replies in the order of the calls.
            takes_turns=isinstance(options, TransformersChatOptions | ScriptedOptions),
        ),
        max_tries=options.max_tries,
        max_output_tokens=options.max_output_tokens,
        timeout_s=options.timeout_s,
        price=options.price,
        count_text=count_text,
        count_image=count_image,
    )


def _model(options: ModelOptions) -> tuple[BaseChatModel, str]:
    """The model itself, and what messages call it."""
    match options:
        case OpenAiCompatibleOptions():
            from docrag.models.openai_compatible import OpenAiCompatibleChatModel

            return OpenAiCompatibleChatModel(options=options), options.model
        case TransformersChatOptions():
            from docrag.models.transformers_chat import TransformersChatModel

            return TransformersChatModel(options=options), Path(options.model).name
        case LangChainOptions():
            from docrag.models.langchain_model import load_langchain_model

            model = load_langchain_model(options)
            return model, str(getattr(model, "model_name", None) or getattr(model, "model", options.target))
        case ScriptedOptions():
            return scripted_model(options), "scripted"


def _counters(options: ModelOptions, name: str) -> tuple[Callable[[str], int], Callable[[int, int], int]]:
    """Functions that count the tokens of a text and of a picture, by its files if it has any."""
    from docrag.models.image_tokens import image_counter, rule_of_folder
    from docrag.models.text_tokens import estimate_tokens, tokenizer_counter

    tokenizer, rule = options.tokenizer, options.image_tokens
    if isinstance(options, TransformersChatOptions):
        from docrag.models.transformers_chat import chat_folder

        folder = chat_folder(options)
        if tokenizer is None and (folder / "tokenizer.json").is_file():
            tokenizer = folder
        if isinstance(rule, AutoImageTokens):
            rule = rule_of_folder(folder) or rule
    return (
        estimate_tokens if tokenizer is None else tokenizer_counter(tokenizer),
        image_counter(rule, name),
    )


def scripted_model(options: ScriptedOptions) -> ScriptedChatModel:
    """Return the scripted model of a configuration; raises ConfigError when its file cannot be used."""
    from docrag.models.scripted import Rule, ScriptedChatModel

    replies, rules = list(options.replies), list(options.rules)
    if options.file is not None:
        more = _read_script(options.file)
        replies += more.replies
        rules += more.rules
    return ScriptedChatModel(
        replies=replies,
        rules=[Rule(rule.when, rule.reply) for rule in rules],
        repeat_last=options.repeat_last,
        chunk_chars=options.chunk_chars,
    )


def _read_script(file: Path) -> ScriptFile:
    import yaml

    try:
        return ScriptFile.model_validate(yaml.safe_load(file.read_text("utf-8")) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: the script cannot be read: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{file}: not a script of replies and rules: {error}") from error
