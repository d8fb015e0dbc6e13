"""What settings need and this machine does not have, said before hours of work and not after."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast

from pydantic import BaseModel

from docrag.embed.options import SentenceTransformersOptions
from docrag.embed.visual.options import LocalVisualOptions
from docrag.errors import ConfigError
from docrag.http.options import EndpointOptions
from docrag.models.options import TransformersChatOptions
from docrag.pipeline.settings import Settings
from docrag.retrieve.rerank.options import CrossEncoderOptions, YesNoModelOptions


class Need(NamedTuple):
    """Something missing: the setting that needs it, what it is, and what to do."""

    setting: str
    missing: str
    mend: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.missing}; {self.mend}"


Have = Callable[[str], bool]
"""Whether a module is installed."""


def is_installed(module: str) -> bool:
    """Whether a module can be found; it is not imported."""
    return importlib.util.find_spec(module) is not None


def check_needs(settings: Settings) -> None:
    """Raise `docrag.errors.ConfigError` when something is missing: each with the line that mends it."""
    found = list(unmet(settings, environ=os.environ))
    if found:
        raise ConfigError("\n".join(map(str, found)))


def unmet(
    settings: BaseModel, *, environ: Mapping[str, str], have: Have = is_installed, name: str = ""
) -> Iterator[Need]:
    """Every missing extra, key and folder."""
    yield from _of_one(settings, name, environ, have)
    for field in type(settings).model_fields:
        for place, value in _options(getattr(settings, field), f"{name}.{field}" if name else field):
            yield from unmet(value, environ=environ, have=have, name=place)


def _options(value: object, name: str) -> Iterator[tuple[str, BaseModel]]:
    if isinstance(value, BaseModel):
        yield name, value
    elif isinstance(value, list | tuple):
        for i, item in enumerate(cast("list[object]", value)):
            yield from _options(item, f"{name}[{i}]")
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[str, object]", value).items():
            yield from _options(item, f"{name}.{key}")


def _of_one(options: BaseModel, name: str, environ: Mapping[str, str], have: Have) -> Iterator[Need]:
    match options:
        case LocalVisualOptions() | TransformersChatOptions() | YesNoModelOptions():
            yield from _extra(name, have, "visual", "torch", "transformers")
            yield from _folder(name, options.model)
        case CrossEncoderOptions():
            if options.runtime == "transformers":
                yield from _extra(name, have, "visual", "torch", "transformers")
            yield from _folder(name, options.model)
        case SentenceTransformersOptions():
            yield from _extra(name, have, "sentence-transformers", "sentence_transformers")
            yield from _folder(name, options.model)
        case EndpointOptions():
            if options.api_key_env is not None:
                yield from _key(name, options.api_key_env, environ)
        case _:
            pass


def _extra(name: str, have: Have, extra: str, *modules: str) -> Iterator[Need]:
    missing = [module for module in modules if not have(module)]
    if missing:
        yield Need(name, f"needs {', '.join(missing)}", f'install with: pip install "docrag[{extra}]"')


def _key(name: str, variable: str, environ: Mapping[str, str]) -> Iterator[Need]:
    if not environ.get(variable):
        yield Need(name, f"needs a key in {variable}, which is not set", f"export {variable}=…")


def _folder(name: str, model: str) -> Iterator[Need]:
    path = Path(model)
    if (path.is_absolute() or model.startswith(".")) and not path.is_dir():
        mend = f"name one with --set {name}.model=FOLDER"
        yield Need(f"{name}.model", f"{model}: there is no such folder", mend)
