"""The settings as a JSON Schema, so that an editor completes and checks YAML files.

A file holds only what it changes, upon a preset or the defaults. So nothing is required here that another
layer may say, and an option without its ``kind`` may be of any kind.
"""

from __future__ import annotations

from typing import Any, cast

from docrag.config.sources import PRESET_KEY, presets
from docrag.runs.options import QuestionRow, RunSettings

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def settings_schema() -> dict[str, Any]:
    """Schema of a configuration file: every section, ``preset``, and the ``run`` of a run file."""
    schema = RunSettings.model_json_schema()
    definitions = cast("dict[str, dict[str, Any]]", schema.pop("$defs"))
    preset = {"enum": presets(), "description": "the preset that this file builds upon"}
    return {
        "$schema": DIALECT,
        "title": "docrag configuration",
        "description": "defaults < preset < this file < variables such as DOCRAG_INGEST__LAYOUT < --set",
        "type": "object",
        "additionalProperties": False,
        "properties": {PRESET_KEY: preset, **_relaxed(schema)["properties"]},
        "$defs": {
            name: _with_kind(_relaxed(body, keep_required=name == QuestionRow.__name__))
            for name, body in sorted(definitions.items())
        },
    }


def _with_kind(definition: dict[str, Any]) -> dict[str, Any]:
    """Describe ``kind``, which tells alternatives apart, by the first sentence about what it stands for."""
    kind: dict[str, Any] | None = definition.get("properties", {}).get("kind")
    if kind is not None:
        meant = str(definition.get("description", "")).partition("\n\n")[0]
        kind.setdefault("description", " ".join(meant.split()))
    return definition


def _relaxed(node: Any, *, keep_required: bool = False) -> Any:  # noqa: ANN401 - any JSON
    """`node` for files that are merged with others, without the titles that pydantic makes of names."""
    if isinstance(node, list):
        return [_relaxed(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    relaxed: dict[str, Any] = {}
    for key, value in cast("dict[str, Any]", node).items():
        if key in ("properties", "patternProperties"):
            relaxed[key] = {name: _relaxed(inner) for name, inner in value.items()}
        elif key in ("default", "enum", "const"):
            relaxed[key] = value
        elif key == "oneOf":
            relaxed["anyOf"] = _relaxed(value)
        elif key == "required":
            relaxed |= {key: value} if keep_required else {}
        elif key not in ("title", "discriminator"):
            relaxed[key] = _relaxed(value)
    if relaxed.get("format") == "password":
        note = "a secret: write ${NAME} to take it from a variable of the environment"
        relaxed["description"] = "; ".join(filter(None, (relaxed.get("description"), note)))
    if relaxed.get("type") == "object" and "properties" in relaxed:
        relaxed["type"] = ["object", "null"]  # a section with nothing below it
    return relaxed
