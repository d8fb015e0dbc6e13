"""Prompt files: declared variables, one-pass substitution, a hash for the trace.

A file ``NAME.md`` begins with a YAML header between two lines ``---`` that declares ``description`` and
``variables``; then come the sections ``# system`` and ``# user``. ``{{ name }}`` stands for a variable.
Substitution is one pass: braces inside a value stay what they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from docrag import resources
from docrag.errors import ConfigError

_HEADER = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)
_SECTION = re.compile(r"^# (system|user)[ \t]*$", re.MULTILINE)
_VARIABLE = re.compile(r"\{\{ *(\w+) *\}\}")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt with its variables filled in."""

    system: str
    user: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt template; `digest` is the first 16 hexadecimal digits of the sha256 of its file."""

    name: str
    description: str
    variables: frozenset[str]
    system: str
    user: str
    digest: str

    def render(self, **values: str) -> Rendered:
        """Fill in every variable; raises ValueError when one is missing or unknown."""
        if values.keys() != self.variables:
            raise ValueError(
                f"prompt {self.name} got {sorted(values)}, expected its variables {sorted(self.variables)}"
            )

        def fill(template: str) -> str:
            return _VARIABLE.sub(lambda match: values[match[1]], template).strip()

        return Rendered(fill(self.system), fill(self.user))


def parse_prompt(name: str, text: str, *, source: str) -> Prompt:
    """Read a prompt file's text; raises `docrag.errors.ConfigError` naming `source` when it is malformed."""
    import yaml

    match = _HEADER.match(text.replace("\r\n", "\n"))
    if match is None:
        raise ConfigError(f"{source}: expected a header between two lines ---, then # system and # user")
    try:
        header: Any = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: the header is no YAML: {error}") from error
    if not isinstance(header, dict) or set(cast(dict[str, Any], header)) != {"description", "variables"}:
        raise ConfigError(f"{source}: the header must have description and variables, and nothing else")
    fields = cast(dict[str, Any], header)
    pieces = _SECTION.split(match[2])
    sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    if pieces[0].strip() or len(pieces) != 2 * len(sections) + 1 or "user" not in sections:
        raise ConfigError(f"{source}: expected one section # user and at most one # system")
    variables: Any = fields["variables"] or []
    if not isinstance(variables, list):
        raise ConfigError(f"{source}: variables is a {type(variables).__name__}, expected a list of names")
    declared = frozenset(str(variable) for variable in cast(list[Any], variables))
    used = frozenset(_VARIABLE.findall(match[2]))
    if used != declared:
        raise ConfigError(
            f"{source}: declares the variables {sorted(declared)} but uses {sorted(used)}; they must agree"
        )
    return Prompt(
        name,
        str(fields["description"]),
        declared,
        sections.get("system", ""),
        sections["user"],
        hashlib.sha256(text.encode("utf-8")).hexdigest()[:16],
    )


class Prompts:
    """The prompts of a run: the packaged ones, and files given in their place.

    `overrides` maps prompt names to files. Raises `docrag.errors.ConfigError` for an unknown name, a missing
    or malformed file, or one whose variables are not those of the prompt it replaces.
    """

    def __init__(self, overrides: Mapping[str, Path] | None = None) -> None:
        known = [name for name in resources.names("prompts", ".md") if name != "README"]
        self._overrides = dict(overrides or {})
        unknown = sorted(self._overrides.keys() - set(known))
        if unknown:
            raise ConfigError(f"there is no prompt {', '.join(unknown)}; prompts: {', '.join(known)}")
        self._loaded: dict[str, Prompt] = {}
        for name in self._overrides:
            self.get(name)

    def get(self, name: str) -> Prompt:
        """Return a prompt by its name."""
        prompt = self._loaded.get(name)
        if prompt is None:
            prompt = self._read(name, resources.folder("prompts") / f"{name}.md")
            override = self._overrides.get(name)
            if override is not None:
                given = self._read(name, override)
                if given.variables != prompt.variables:
                    raise ConfigError(
                        f"{override}: has the variables {sorted(given.variables)}, expected those of the"
                        f" prompt {name}: {sorted(prompt.variables)}"
                    )
                prompt = given
            self._loaded[name] = prompt
        return prompt

    def _read(self, name: str, path: Path) -> Prompt:
        try:
            text = path.read_text("utf-8-sig")  # editors on Windows put a byte order mark first
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: the prompt {name} cannot be read: {error}") from error
        return parse_prompt(name, text, source=str(path))
