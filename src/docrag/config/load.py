"""Build a validated settings tree from layers; every error names the place of the value and the next step."""

from __future__ import annotations

import copy
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Generic, TypeVar, cast, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from docrag.config.origins import DEFAULT, DISCRIMINATOR, Layer, Path, merge, place_of
from docrag.config.sources import nearest, read_config, read_environment, read_overrides, variable_of
from docrag.config.tree import leaves, put, value_at
from docrag.errors import ConfigError
from docrag.pipeline.settings import Settings
from docrag.runs.options import RunSettings

DEFAULT_PRESET = "local"

RUN_KEY = "run"
"""The section of a run file that is no setting of docrag itself."""

MASK = str(SecretStr("secret"))
"""How a secret is shown."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Model]):
    """Validated settings and the origin of every value that is not a class default.

    `references` are the secrets that were given as ``${NAME}``, by their place in the tree.
    """

    settings: Model
    places: Mapping[Path, str]
    references: Mapping[Path, str] = field(default_factory=dict[Path, str])

    def masked(self) -> dict[str, Any]:
        """Return the tree as JSON values: a secret given as ``${NAME}`` as just that, any other masked."""
        tree = self.settings.model_dump(mode="json")
        for path, reference in self.references.items():
            put(tree, path, reference)
        return tree

    def flat(self) -> Iterator[tuple[str, Any, str]]:
        """Yield ``(name, value, origin)`` of every setting in order of the tree, secrets masked."""
        tree = self.settings.model_dump(mode="json")
        for path, value in leaves(tree):
            yield ".".join(path), value, self.places.get(_stated(path), DEFAULT)


def load_settings(
    config: str | FilePath | None = None,
    *,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Settings of a preset or YAML file (default: the preset "local"), environment and ``a.b=c`` overrides.

    Raises `docrag.errors.ConfigError` with the place of every wrong value and the nearest known names.
    """
    return load(config, overrides=overrides, environ=environ).settings


def load(
    config: str | FilePath | None = None,
    *,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Loaded[Settings]:
    """Do what `load_settings` does, and keep where every value came from."""
    environ = os.environ if environ is None else environ
    layers = [
        *map(_without_run, read_config(config if config is not None else DEFAULT_PRESET)),
        read_environment(environ),
        read_overrides(overrides),
    ]
    return build(Settings, layers, environ)


def load_run(
    config: str | FilePath, *, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> Loaded[RunSettings]:
    """Do what `load` does for a run file, ``run:`` section included."""
    environ = os.environ if environ is None else environ
    layers = [*read_config(config), read_environment(environ), read_overrides(overrides)]
    return build(RunSettings, layers, environ)


def load_recorded(
    values: Mapping[str, Any],
    *,
    name: str,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Loaded[Settings]:
    """Settings as `Loaded.masked` recorded them, in a file called `name`.

    A secret that is masked there is taken from `overrides` or from the environment variable of its setting;
    raises `docrag.errors.ConfigError` with the line that gives it when it stands in neither.
    """
    environ = os.environ if environ is None else environ
    secrets = read_environment(environ).values
    recorded = _without_run(Layer(copy.deepcopy(dict(values)), {(): name}))
    given = read_overrides(overrides)
    loaded = build(Settings, [recorded, given], environ)
    masked = [path for path, value in leaves(recorded.values) if value == MASK]
    wanting = [path for path in masked if is_masked(loaded.settings, path)]
    if not wanting:
        return loaded
    for path in wanting:
        value = value_at(secrets, path)
        if value is None:
            setting = ".".join(path)
            raise ConfigError(
                f"{name}: {setting} is a secret, which is not kept; give it with --set {setting}=…, "
                f"or export {variable_of(path)}=…"
            )
        put(recorded.values, path, value)
    return build(Settings, [recorded, given], environ)


def _without_run(layer: Layer) -> Layer:
    """A run file serves every other command, too."""
    return Layer({key: value for key, value in layer.values.items() if key != RUN_KEY}, layer.places)


def is_masked(settings: BaseModel, path: Path) -> bool:
    """Whether the secret at `path` is nothing but the mask of one."""
    value = value_at(settings, path)
    return isinstance(value, SecretStr) and value.get_secret_value() == MASK


def build(model: type[Model], layers: Sequence[Layer], environ: Mapping[str, str]) -> Loaded[Model]:
    """Merge `layers` upon the defaults of `model`, put secrets in from `environ`, and validate."""
    default = model()
    values, places = merge([Layer(default.model_dump()), *layers], whole=set(_free_mappings(default, ())))
    values = copy.deepcopy(values)  # lists are those of the layers, and secrets are put in
    settings = _validate(model, values, places)
    references = _put_in_secrets(values, settings, places, environ)
    if references:
        settings = _validate(model, values, places)
    whole = {path: text for path, text in references.items() if _VARIABLE.fullmatch(text)}
    return Loaded(settings, {path: place for path, place in places.items() if place != DEFAULT}, whole)


def _free_mappings(settings: BaseModel, at: Path) -> Iterator[Path]:
    """Paths of settings whose keys are the user's own names, such as weights of retrievers."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _free_mappings(value, (*at, name))
        elif isinstance(value, Mapping):
            yield (*at, name)


def _validate(model: type[Model], values: dict[str, Any], places: Mapping[Path, str]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [
            _explain(model, detail, values, places)
            for detail in error.errors(include_url=False, include_context=True)
        ]
        # The cause would print the input, secrets included.
        raise ConfigError("\n".join(dict.fromkeys(lines))) from None


def _put_in_secrets(
    values: dict[str, Any], settings: BaseModel, places: Mapping[Path, str], environ: Mapping[str, str]
) -> dict[Path, str]:
    """Replace ``${NAME}`` in secret settings by the variable's value; return what stood there."""
    found: dict[Path, str] = {}
    for path, value in list(leaves(values)):
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        texts = cast("list[object]", text) if isinstance(text, list) else [text]
        names = [name for part in texts if isinstance(part, str) for name in _VARIABLE.findall(part)]
        if not names or path[:2] == (RUN_KEY, "questions"):
            continue
        place, name = place_of(places, path), ".".join(path)
        if not isinstance(value_at(settings, path), SecretStr):
            raise ConfigError(f"{place}: {name}: ${{…}} is for secrets only; write the value itself")
        missing = [variable for variable in names if variable not in environ]
        if missing:
            raise ConfigError(f"{place}: {name} needs {missing[0]}, which is not set; export {missing[0]}=…")
        put(values, path, SecretStr(_VARIABLE.sub(lambda m: environ[m[1]], cast(str, text))))
        found[path] = cast(str, text)
    return found


def _stated(path: Path) -> Path:
    """Path of the key that states a value: what stands in a list came with the list."""
    return tuple(itertools.takewhile(lambda key: not key.isdigit(), path))


def _explain(
    model: type[BaseModel], detail: ErrorDetails, values: dict[str, Any], places: Mapping[Path, str]
) -> str:
    """One line about one error: place, name, what is wrong, and what is known there."""
    path, owner = _locate(model, detail["loc"], values)
    place = place_of(places, path)
    name = ".".join(path)
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            known = owner.model_fields if owner else ()
            return f'{place}: unknown key "{name}"; {nearest(path[-1], known)}'
        case "union_tag_invalid":
            tag = context["tag"]
            known = re.findall(r"'([^']*)'", context["expected_tags"])
            place = place_of(places, (*path, DISCRIMINATOR))
            return f'{place}: {name}.{DISCRIMINATOR}: "{tag}" is not known; {nearest(tag, known)}'
        case "literal_error" | "enum":
            known = re.findall(r"'([^']*)'", context["expected"])
            return (
                f'{place}: {name}: "{detail["input"]}" is not known; {nearest(str(detail["input"]), known)}'
            )
        case "model_type" | "model_attributes_type":
            return f'{place}: {name}: expected settings such as "name: value" below it'
        case _:
            return f"{place}: {name}: {detail['msg'].removeprefix('Value error, ')}"


def _locate(
    model: type[BaseModel], loc: tuple[int | str, ...], values: object
) -> tuple[Path, type[BaseModel] | None]:
    """Key path of an error, without the tags that pydantic adds for unions, and the class that owns it."""
    path: list[str] = []
    owner: type[BaseModel] | None = model
    members: dict[str, type[BaseModel]] = {}
    for position, part in enumerate(loc, 1):
        if str(part) in members and not (isinstance(values, Mapping) and part in values):
            owner, members = members[str(part)], {}
            continue
        path.append(str(part))
        values = cast(Mapping[Any, object], values).get(part) if isinstance(values, Mapping) else None
        if position == len(loc):
            break
        field = owner.model_fields.get(str(part)) if owner else None
        classes = list(_classes(field.annotation)) if field else []
        owner = classes[0] if len(classes) == 1 else None
        members = {_tag(cls): cls for cls in classes} if len(classes) > 1 else {}
    return tuple(path), owner


def _classes(annotation: object) -> Iterator[type[BaseModel]]:
    """Option classes that an annotation such as ``A | B | None`` names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _classes(argument)


def _tag(cls: type[BaseModel]) -> str:
    field = cls.model_fields.get(DISCRIMINATOR)
    return str(field.default) if field else ""
