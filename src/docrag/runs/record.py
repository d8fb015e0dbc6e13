"""The record of one answer: what was asked of what, with which settings, and every step to the answer.

Times and random ids are kept apart, so that the same question to the same index with a deterministic model
gives the same record.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from docrag.errors import UsageError
from docrag.report.shapes import answer_values, json_values
from docrag.types import Answer, RegionKind, Scope

FORMAT = 1
ID_CHARS = 32


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """A trace as it is kept. `settings` are masked; `index` is `docrag.runs.state.index_state`.

    `steps` and `answer` are as ``ask --json --explain`` prints them, without times and ids.
    """

    trace_id: str
    question: str
    scope: Scope
    settings: Mapping[str, Any]
    index: Mapping[str, Any]
    versions: Mapping[str, str]
    steps: tuple[Mapping[str, Any], ...]
    answer: Mapping[str, Any]
    asked_at: str = ""

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"format": FORMAT, **values, "scope": scope_values(self.scope), "steps": list(self.steps)}

    @classmethod
    def of_json(cls, values: Mapping[str, Any], *, place: str) -> TraceRecord:
        """Read what `to_json` gave; raises UsageError naming `place` for anything else."""
        if values.get("format") != FORMAT:
            raise UsageError(
                f"{place}: a trace of format {values.get('format')}, this docrag reads format {FORMAT}"
            )
        try:
            fields: dict[str, Any] = {field.name: values[field.name] for field in dataclasses.fields(cls)}
            fields |= {"scope": read_scope_values(fields["scope"]), "steps": tuple(fields["steps"])}
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise UsageError(f"{place}: is no trace of docrag's: {error!r} is missing or wrong") from error


def scope_values(scope: Scope) -> dict[str, Any]:
    """A scope as JSON values, without what does not restrict it."""
    values = {field.name: getattr(scope, field.name) for field in dataclasses.fields(scope)}
    return {name: json_values(value) for name, value in values.items() if value is not None}


def read_scope_values(values: Mapping[str, Any]) -> Scope:
    """Read what `scope_values` gave; null restricts nothing, as an absent key."""
    docs, pages, kinds = (values.get(name) for name in ("docs", "pages", "kinds"))
    return Scope(
        docs=tuple(docs) if docs is not None else None,
        pages=tuple((first, last) for first, last in pages) if pages is not None else None,
        metadata=values.get("metadata"),
        kinds=tuple(cast("list[RegionKind]", kinds)) if kinds is not None else None,
    )


def plain_answer(answer: Answer) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Values of an answer and its steps without times and ids, and these by themselves.

    Times are the ``elapsed_s`` of everything, and every detail of a step whose name ends in ``_s``.
    """
    values = answer_values(answer)
    del values["trace_id"]
    times: dict[str, Any] = {"elapsed_s": values["usage"].pop("elapsed_s"), "steps": []}
    steps: list[dict[str, Any]] = []
    for step in answer.trace:
        detail, detail_times = _split(json_values(step.detail))
        steps.append({"name": step.name, "detail": detail})
        times["steps"].append({"name": step.name, "elapsed_s": round(step.elapsed_s, 4), **detail_times})
    return values, steps, times


def content_id(*values: object) -> str:
    """Trace id that depends on nothing but what was asked and answered."""
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_CHARS]


def _split(detail: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A detail without the times in it, at any depth, and those at its top."""
    times = {key: value for key, value in detail.items() if key.endswith("_s")}
    return cast("dict[str, Any]", _without_times(detail)), times


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return {key: _without_times(inner) for key, inner in items if not key.endswith("_s")}
    if isinstance(value, list):
        return [_without_times(inner) for inner in cast("list[object]", value)]
    return value
