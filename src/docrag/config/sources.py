"""Read one layer of settings: a preset, a YAML file, the environment, or ``a.b=c`` from a command line."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

import yaml

from docrag import resources
from docrag.config.origins import Layer, Path
from docrag.errors import ConfigError

ENV_PREFIX = "DOCRAG_"
ENV_SEPARATOR = "__"
PRESET_KEY = "preset"
"""The one key of a file that is no setting: the preset it builds upon."""

SUFFIX = ".yaml"


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known names are meant, or list them all: ``did you mean "layout"?``."""
    options = sorted(known)
    close = difflib.get_close_matches(name, options, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(options)}" if options else "nothing is known there"


def presets() -> list[str]:
    """Names of the presets that come with docrag."""
    return resources.names("configs", SUFFIX)


def preset_summary(name: str) -> str:
    """First sentence of the comment that a preset begins with."""
    text = (resources.folder("configs") / f"{name}{SUFFIX}").read_text("utf-8")
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    comment = " ".join(line.lstrip("# ") for line in lines)
    return re.split(r"(?<!\bal)\.(?:\s|$)", comment, maxsplit=1)[0]  # "et al." ends no sentence


def read_config(config: str | FilePath) -> list[Layer]:
    """Layers of a preset name or YAML file, lowest first; a file may build upon a preset by naming it."""
    name = str(config)
    if name in presets():
        return [_read_preset(name)]
    path = FilePath(config)
    if not path.is_file():
        if not path.is_dir() and (path.suffix or path.name != name):  # no preset has such a name
            raise ConfigError(f"{name}: no such file; docrag config presets lists what can be named instead")
        what = "is a folder" if path.is_dir() else "is neither a file nor a preset"
        raise ConfigError(f'configuration "{name}" {what}; {nearest(name, presets())}')
    layer = read_yaml(path, name=name)
    if PRESET_KEY not in layer.values:
        return [layer]
    preset = layer.values[PRESET_KEY]
    if preset not in presets():
        place = layer.places[(PRESET_KEY,)]
        raise ConfigError(f'{place}: no preset "{preset}"; {nearest(str(preset), presets())}')
    rest = {key: value for key, value in layer.values.items() if key != PRESET_KEY}
    return [_read_preset(preset), Layer(rest, layer.places)]


def _read_preset(name: str) -> Layer:
    return read_yaml(resources.folder("configs") / (name + SUFFIX), name=f"preset {name}")


def read_yaml(path: FilePath, *, name: str) -> Layer:
    """Layer of a YAML file; `name` stands for the file in messages, followed by line and column (1-based)."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: cannot be read: {error}") from error
    try:
        values = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
        hint = '; inside braces or brackets, a variable is quoted: "${NAME}"' if "${" in line else ""
        raise ConfigError(f"{name}{at}: not valid YAML: {error.problem or error.context}{hint}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {error}") from error
    if values is None:
        return Layer({}, {(): name})
    if not isinstance(values, dict):
        raise ConfigError(f"{name}: expected sections such as ingest:, got a {type(values).__name__}")
    places: dict[Path, str] = {(): name}
    seen: set[Path] = set()
    for key_path, mark in _keys(root, (), ()):  # also refuses what contains itself
        place = f"{name}:{mark.line + 1}:{mark.column + 1}"
        if key_path in seen:
            raise ConfigError(f'{place}: "{".".join(key_path)}" is set twice; keep one')
        seen.add(key_path)
        places[key_path] = place
    return Layer(_string_keys(values), places)


def _keys(node: yaml.Node | None, path: Path, above: tuple[int, ...]) -> Iterator[tuple[Path, yaml.Mark]]:
    """Every key of every mapping with its mark."""
    if not isinstance(node, yaml.MappingNode):
        return
    if id(node) in above:
        raise ConfigError(f"line {node.start_mark.line + 1}: {'.'.join(path)} contains itself")
    for key, value in node.value:
        here = (*path, str(key.value))
        yield here, key.start_mark
        yield from _keys(value, here, (*above, id(node)))


def _string_keys(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        str(key): _string_keys(value) if isinstance(value, dict) else value for key, value in values.items()
    }


def read_environment(environ: Mapping[str, str]) -> Layer:
    """Layer of variables such as ``DOCRAG_INGEST__LAYOUT=fast``; names without ``__`` are no settings."""
    values: dict[str, Any] = {}
    places: dict[Path, str] = {(): "environment"}
    for name in sorted(environ):
        if name.startswith(ENV_PREFIX) and ENV_SEPARATOR in name:
            path = tuple(name.removeprefix(ENV_PREFIX).lower().split(ENV_SEPARATOR))
            _put(values, places, path, _parse(environ[name], name), name)
    return Layer(values, places)


def variable_of(path: Path) -> str:
    """Environment variable of a setting: ``DOCRAG_INGEST__LAYOUT``."""
    return ENV_PREFIX + ENV_SEPARATOR.join(part.upper() for part in path)


def read_overrides(overrides: Sequence[str]) -> Layer:
    """Layer of ``a.b=c`` strings; a later one wins."""
    values: dict[str, Any] = {}
    places: dict[Path, str] = {(): "--set"}
    for text in overrides:
        key, equals, value = text.partition("=")
        path = tuple(part.strip() for part in key.split("."))
        if not equals or not all(path):
            raise ConfigError(f'--set {text}: expected NAME=VALUE, such as "ingest.layout=fast"')
        place = f"--set {key.strip()}"
        _put(values, places, path, _parse(value.strip(), place), place)
    return Layer(values, places)


def _put(values: dict[str, Any], places: dict[Path, str], path: Path, value: object, place: str) -> None:
    """Set one leaf, making the mappings above it; a leaf in the way is replaced."""
    node = values
    for length, key in enumerate(path[:-1], 1):
        child = node.get(key)
        if not isinstance(child, dict):
            child = node[key] = {}
        places[path[:length]] = place
        node = child
    node[path[-1]] = value
    places[path] = place


def _parse(text: str, place: str) -> Any:  # noqa: ANN401 - what a person may write for any setting
    """Lists, mappings and null as YAML has them; all else stays text, and the option's type converts it.

    YAML would make a number of an API key that is all digits, and a boolean of a model named "on".
    """
    if text.lower() not in ("", "null", "~") and not text.startswith(("[", "{")):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{place}: value is not valid YAML: {text}") from error
