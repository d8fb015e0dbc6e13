"""The form of the planner's turns: what it allows, how it is told, and which calls are the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.agents.fakes import said

from docrag.agents.tools.calculate import CalculateArguments, CalculateTool
from docrag.agents.tools.search import SearchArguments
from docrag.agents.tools.zoom import ZoomArguments
from docrag.agents.turn import AnswerArguments, Progress, described, schema_of, turn_of
from docrag.chat.json_reply import parse_reply
from docrag.errors import ModelFormatError

TURN = turn_of([CalculateTool()])


def places_of(node: object, key: str) -> list[object]:
    """Return what stands under a key anywhere in a tree."""
    if isinstance(node, list):
        return [found for item in node for found in places_of(item, key)]
    if isinstance(node, dict):
        here = [node[key]] if key in node else []
        return here + [found for value in node.values() for found in places_of(value, key)]
    return []


def test_the_schema_names_every_tool_and_needs_its_name():
    schema: dict[str, Any] = schema_of(TURN)
    choices = {choice["$ref"].rpartition("/")[2] for choice in schema["properties"]["action"]["anyOf"]}
    assert choices == {"AnswerArguments", "CalculateArguments"}
    for choice in choices:
        assert "tool" in schema["$defs"][choice]["required"]
    assert schema["$defs"]["CalculateArguments"]["properties"]["tool"]["const"] == "calculate"
    assert not places_of(schema, "oneOf")
    assert not places_of(schema, "discriminator")


def test_a_turn_is_typed_by_its_tool():
    turn = parse_reply('{"thought": "sum", "action": {"tool": "calculate", "expression": "1 + 1"}}', TURN)
    assert turn.action == CalculateArguments(expression="1 + 1")
    end = parse_reply(json.dumps({"action": {"tool": "answer", **said("Two.")}}), TURN)
    assert isinstance(end.action, AnswerArguments)
    assert end.action.sentences[0].text == "Two."


@pytest.mark.parametrize(
    ("action", "problem"),
    [
        ({"tool": "search", "query": "x"}, "does not match any of the expected tags: 'answer', 'calculate'"),
        ({"tool": "calculate"}, "expression: Field required"),
        ({"tool": "calculate", "expression": ""}, "at least 1 character"),
        ({"tool": "calculate", "expression": "1", "shell": True}, "Extra inputs are not permitted"),
        ({"expression": "1"}, "Unable to extract tag"),
    ],
)
def test_what_is_wrong_with_an_action_is_said(action: dict[str, object], problem: str):
    with pytest.raises(ModelFormatError, match=problem):
        parse_reply(json.dumps({"action": action}), TURN)


def test_tools_are_described_by_an_example_each():
    example, _, purpose = described([CalculateTool()]).partition(": compute")
    assert json.loads(example)["tool"] == "calculate"
    assert "never compute yourself" in purpose


def test_calls_are_the_same_whatever_their_case_and_spaces():
    progress = Progress().with_call(SearchArguments(query="Rain in  May"))
    assert progress.repeats(SearchArguments(query="rain in may"))
    assert not progress.repeats(SearchArguments(query="rain in June"))
    zoomed = progress.with_call(ZoomArguments(evidence_id="E1", region=1))
    assert zoomed.repeats(ZoomArguments(evidence_id="E1", region=1))
    assert not zoomed.repeats(ZoomArguments(evidence_id="E2", region=1))


def test_invalid_actions_are_counted_in_a_row_and_in_all():
    progress = Progress()
    for is_invalid in (True, False, True, True):
        progress = progress.with_result(is_invalid=is_invalid)
    assert (progress.n_invalid_in_row, progress.n_invalid) == (2, 3)
