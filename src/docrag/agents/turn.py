"""One turn of the planner as the model writes it, and what may follow it."""

from __future__ import annotations

import json
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from docrag.agents.tools.tool import Tool
from docrag.answer.reply import CitedReply


class AnswerArguments(CitedReply):
    """The end of the loop: an answer with its citations, or that there is none."""

    tool: Literal["answer"] = "answer"


class Turn(BaseModel):
    """What the model thinks, what it wants to find out, and what it does; `action` is typed by its tool."""

    model_config = ConfigDict(frozen=True)

    thought: str = ""
    sub_question: str = ""
    action: BaseModel
    answer_so_far: CitedReply | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_action(cls, value: object) -> object:
        """Take an object that is nothing but an action for a turn: a habit of small models."""
        if isinstance(value, dict) and "action" not in value and "tool" in value:
            return {"action": cast(dict[str, Any], value)}
        return value


def turn_of(tools: Sequence[Tool[Any]]) -> type[Turn]:
    """Return the model of a turn that may use these tools, and answer, and nothing else."""
    kinds: list[Any] = [AnswerArguments, *(tool.arguments for tool in tools)]
    action: Any = Annotated[reduce(operator.or_, kinds), Field(discriminator="tool")]
    make: Any = create_model
    return cast(type[Turn], make("Turn", __base__=Turn, action=(action, ...)))


def schema_of(turn: type[Turn]) -> dict[str, Any]:
    """Return the JSON Schema of a turn as models write it: every field is there, the name of the tool too.

    Choices are "anyOf": servers that enforce schemas know it, and few know "oneOf" or "discriminator".
    """
    return cast(dict[str, Any], _enforceable(turn.model_json_schema(mode="serialization")))


def _enforceable(node: object) -> object:
    if isinstance(node, list):
        return [_enforceable(item) for item in cast(list[object], node)]
    if not isinstance(node, dict):
        return node
    fields = cast(dict[str, object], node)
    if "discriminator" in fields and "oneOf" in fields:
        fields = {name: value for name, value in fields.items() if name != "discriminator"}
        fields["anyOf"] = fields.pop("oneOf")
    if isinstance(fields.get("properties"), dict):
        fields = {**fields, "required": list(cast(dict[str, object], fields["properties"]))}
    return {name: _enforceable(value) for name, value in fields.items()}


def described(tools: Sequence[Tool[Any]]) -> str:
    """Describe tools for the prompt, one per line: an example of the object, and what it is for."""
    lines: list[str] = []
    for tool in tools:
        fields = tool.arguments.model_json_schema()["properties"]
        arguments = {name: f"<{_kind(field)}>" for name, field in fields.items() if name != "tool"}
        lines.append(f"{json.dumps({'tool': tool.name, **arguments})}: {tool.purpose}")
    return "\n".join(lines)


def _kind(field: dict[str, Any]) -> str:
    """What to write for an argument: its description where it has one, else its type."""
    kinds = [field.get("type", ""), *(choice.get("type", "") for choice in field.get("anyOf", ()))]
    named = str(field.get("description") or next((kind for kind in kinds if kind), "value"))
    return named + (", optional" if "default" in field else "")


@dataclass(frozen=True, slots=True)
class Progress:
    """Calls made so far, and how often the model asked for what is not there: in a row, and in all."""

    calls: frozenset[str] = frozenset()
    n_invalid_in_row: int = 0
    n_invalid: int = 0

    def with_call(self, action: BaseModel) -> Progress:
        """Count a call whose form is right."""
        return replace(self, calls=self.calls | {key_of(action)})

    def with_result(self, *, is_invalid: bool) -> Progress:
        """Count how a turn ended."""
        if not is_invalid:
            return replace(self, n_invalid_in_row=0)
        return replace(self, n_invalid_in_row=self.n_invalid_in_row + 1, n_invalid=self.n_invalid + 1)

    def repeats(self, action: BaseModel) -> bool:
        """Whether the same call was made before."""
        return key_of(action) in self.calls


def key_of(action: BaseModel) -> str:
    """Return what makes two calls the same: tool and arguments, white space and case of texts aside."""

    def plain(value: object) -> object:
        if isinstance(value, str):
            return " ".join(value.casefold().split())
        return value

    fields = {name: plain(value) for name, value in action.model_dump(mode="json").items()}
    return json.dumps(fields, sort_keys=True)
