"""The schema accepts what docrag accepts, refuses what it refuses, and says what every section is for."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from docrag import resources
from docrag.cli import main
from docrag.config.schema import settings_schema
from docrag.config.sources import presets

TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": int | float,
    "null": type(None),
}  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return settings_schema()


def problems(value: Any, node: dict[str, Any], root: dict[str, Any], at: str = "") -> list[str]:
    """A validator for the keywords that the schema uses; any other is an error."""
    found: list[str] = []
    for key, rule in node.items():
        match key:
            case "$ref":
                found += problems(value, root["$defs"][rule.removeprefix("#/$defs/")], root, at)
            case "anyOf":
                if all(problems(value, option, root, at) for option in rule):
                    found.append(f"{at}: none of {len(rule)} alternatives")
            case "type":
                kinds = [TYPES[name] for name in ([rule] if isinstance(rule, str) else rule)]
                fits = any(isinstance(value, kind) for kind in kinds)
                if not fits or (isinstance(value, bool) and bool not in kinds):
                    found.append(f"{at}: {value!r} is no {rule}")
            case "const" | "enum":
                if value not in ([rule] if key == "const" else rule):
                    found.append(f"{at}: {value!r} is not {rule}")
            case "properties" if isinstance(value, dict):
                for name in value.keys() & rule.keys():
                    found += problems(value[name], rule[name], root, f"{at}.{name}")
            case "additionalProperties" if isinstance(value, dict):
                for name in value.keys() - node.get("properties", {}).keys():
                    if rule is False:
                        found.append(f"{at}.{name}: unknown")
                    elif isinstance(rule, dict):
                        found += problems(value[name], rule, root, f"{at}.{name}")
            case "required" if isinstance(value, dict):
                found += [f"{at}.{name}: missing" for name in rule if name not in value]
            case "items" if isinstance(value, list):
                found += [p for i, item in enumerate(value) for p in problems(item, rule, root, f"{at}[{i}]")]
            case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" if isinstance(
                value, int | float
            ):
                beyond = value < rule if key == "minimum" else value > rule if key == "maximum" else False
                if beyond or (key.startswith("exclusive") and value == rule):
                    found.append(f"{at}: {value} is beyond {key} {rule}")
            case "minLength" | "minItems" if isinstance(value, str | list):
                if len(value) < rule:
                    found.append(f"{at}: too short")
            case "pattern" if isinstance(value, str):
                if not re.search(rule, value):
                    found.append(f"{at}: does not match {rule}")
            case _:
                pass
    return found


KNOWN = {
    "$ref", "anyOf", "type", "const", "enum", "properties", "additionalProperties", "required", "items",
    "prefixItems", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minLength", "maxLength",
    "minItems", "maxItems", "pattern", "default", "description", "format", "writeOnly", "$schema", "title",
    "$defs", "uniqueItems", "propertyNames",
}  # fmt: skip


def keywords(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(keywords, node))
    if not isinstance(node, dict):
        return set()
    found = set(node)
    for key, value in node.items():
        if key in ("properties", "$defs"):
            found |= set().union(*map(keywords, value.values()))
        elif key not in ("default", "enum", "const"):
            found |= keywords(value)
    return found


def test_the_schema_uses_known_keywords_alone_and_its_references_lead_somewhere(schema):
    assert keywords(schema) <= KNOWN
    named = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))
    assert named == set(schema["$defs"])


@pytest.mark.parametrize("name", presets())
def test_every_preset_follows_the_schema(schema, name):
    text = (resources.folder("configs") / f"{name}.yaml").read_text("utf-8")
    assert problems(yaml.safe_load(text), schema, schema) == []


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "preset: fast\nembed:\n  n_threads: 2\n",  # an option without its kind
        "visual: {pool_factor: 3}\n",  # upon a preset that names the encoder
        "ingest:\n",  # a section with nothing below it
        "answer: {kind: custom, factory: 'my.parts:make', options: {a: 1}}\n",
        "embed: {kind: openai, model: m, api_key: '${MY_KEY}'}\n",
        "run: {documents: reports, questions: [one, {question: two, answer: a}]}\n",
        "run: {documents: [a, b.pdf], questions: q.csv, scope: collection}\n",
    ],
)
def test_what_docrag_accepts_follows_the_schema(schema, text):
    assert problems(yaml.safe_load(text), schema, schema) == []


@pytest.mark.parametrize(
    "text",
    [
        "preset: fsat\n",
        "ingets: {}\n",
        "ingest: {layot: fast}\n",
        "ingest: {layout: slow}\n",
        "ingest: {ocr_dpi: fine}\n",
        "embed: {kind: mini}\n",
        "embed: {kind: minilm, max_tokens: 9999}\n",
        "answer: {kind: custom, factory: os.system}\n",
        "run: {questions: [{answer: a}]}\n",
    ],
)
def test_what_docrag_refuses_breaks_the_schema(schema, text):
    assert problems(yaml.safe_load(text), schema, schema)


def test_every_section_and_every_kind_is_described(schema):
    for name, section in schema["properties"].items():
        options = section.get("anyOf", [section])
        references = [option["$ref"] for option in options if "$ref" in option]
        bodies = [schema["$defs"][reference.removeprefix("#/$defs/")] for reference in references]
        assert section.get("description") or (bodies and all(body["description"] for body in bodies)), name


def test_secrets_say_how_they_are_written(schema):
    key = schema["$defs"]["OpenAiEmbeddingsOptions"]["properties"]["api_key"]
    (secret,) = [option for option in key["anyOf"] if option.get("format") == "password"]
    assert "${NAME}" in secret["description"]


def test_the_command_prints_the_schema(capsys, schema):
    assert main.run(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema


def test_every_field_says_what_it_is(schema: dict[str, Any]):
    sections = {"the file": schema, **schema["$defs"]}
    silent = [
        f"{section}.{name}"
        for section, body in sections.items()
        for name, field in body.get("properties", {}).items()
        if len(field.get("description", "").split()) < 2
    ]
    assert not silent, f"give these a description: {', '.join(silent)}"
