"""Parts of other people: a function named in the configuration, which makes the part.

Naming one runs its code. Nothing is imported but what the configuration names, and that only when the part is
made, not when the configuration is read.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from docrag.errors import ConfigError
from docrag.options import Options


class CustomOptions(Options):
    """A part of your own: ``module:function`` is imported and called, so it runs code.

    The function is called with what such a part is made from, and with `options` as keyword arguments.
    """

    kind: Literal["custom"] = "custom"
    factory: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$",
        description='function that makes the part, such as "my_package.parts:make_answerer"; it is run',
    )
    options: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="its keyword arguments; no secrets, since they are shown and recorded as they are",
    )


class CustomParts(Options):
    """Retrievers and rerankers of your own, beside those of docrag."""

    retrievers: tuple[CustomOptions, ...] = Field(
        default=(),
        description="called with the index (docrag.protocols.Corpus), return a docrag.protocols.Retriever;"
        " give its name a weight in retrieval.fusion.weights",
    )
    rerankers: tuple[CustomOptions, ...] = Field(
        default=(),
        description="called with the index (docrag.protocols.Corpus), return a docrag.protocols.Reranker; run"
        " in order, after those of docrag",
    )


def make_custom(options: CustomOptions, *arguments: object, setting: str, method: str) -> Any:  # noqa: ANN401
    """Call the function that `options` name; what it returns must have `method`.

    `setting` is where the options stand, for messages. Raises `docrag.errors.ConfigError` when the function
    cannot be found or takes other arguments, or what it returns is no such part. What the function itself
    raises is passed on.
    """
    module_name, _, name = options.factory.partition(":")
    place = f'{setting}.factory is "{options.factory}"'
    factory = _find(module_name, name, place)
    if not callable(factory):
        raise ConfigError(f"{place}: it is a {type(factory).__name__}, expected a function")
    _check_arguments(factory, arguments, options.options, place)
    part = factory(*arguments, **options.options)
    if not callable(getattr(part, method, None)):
        raise ConfigError(f"{place}: it returned a {type(part).__name__} without the method {method}")
    return part


def _find(module_name: str, name: str, place: str) -> Any:  # noqa: ANN401 - whatever stands there
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name == error.name or module_name.startswith(error.name + ".")):
            raise
        raise ConfigError(
            f'{place}: there is no module "{error.name}"; install it, or put its folder into PYTHONPATH'
        ) from error
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ConfigError(f'{place}: there is no "{part}" in it') from None
    return found


def _check_arguments(
    factory: Callable[..., Any], arguments: tuple[object, ...], options: dict[str, Any], place: str
) -> None:
    import inspect

    try:
        signature = inspect.signature(factory)
    except ValueError:  # some built-in callables have none
        return
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        raise ConfigError(
            f"{place}: it cannot be called with {len(arguments)} positional arguments and the options "
            f"{sorted(options)}: {error}"
        ) from None
