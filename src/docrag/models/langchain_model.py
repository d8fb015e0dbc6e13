"""A chat model of another LangChain package, by the name of its class."""

from __future__ import annotations

import importlib
from typing import Any

from langchain_core.language_models import BaseChatModel

from docrag.errors import ConfigError, MissingExtra
from docrag.http.faults import without_keys
from docrag.models.options import LangChainOptions


def load_langchain_model(options: LangChainOptions) -> BaseChatModel:
    """Import what `options` name and call it with their arguments.

    Raises
    ------
    MissingExtra
        The package is not installed.
    ConfigError
        There is no such class, it does not take the arguments, or it makes no chat model.
    """
    module_name, _, attribute = options.target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise
        package = error.name.partition(".")[0].replace("_", "-")
        raise MissingExtra(
            f'the chat model {options.target} needs the module "{error.name}"; install its package, probably'
            f" with: pip install {package}"
        ) from error
    make: Any = getattr(module, attribute, None)
    if make is None:
        raise ConfigError(f"{options.target}: the module {module_name} has no {attribute}")
    try:
        model = make(**options.arguments, **options.secrets)
    except Exception as error:
        # Whatever the package raises for a wrong argument or a missing key; its cause may print secrets.
        said = without_keys(" ".join(str(error).split()))[:300]
        for secret in options.secrets.values():
            said = said.replace(secret.get_secret_value(), "…")
        raise ConfigError(f"{options.target}: {type(error).__name__}: {said}") from None
    if not isinstance(model, BaseChatModel):
        raise ConfigError(
            f"{options.target} made a {type(model).__name__}, expected a langchain-core BaseChatModel"
        )
    return model
