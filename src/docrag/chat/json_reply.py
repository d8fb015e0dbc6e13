"""Find the JSON object in what a model says: bare, fenced, or with talk around it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from docrag.errors import ModelFormatError

T = TypeVar("T", bound=BaseModel)

MAX_REPLY_CHARS = 200_000
"""Longer replies are not parsed: no schema here needs more."""

_MAX_STARTS = 64
"""Opening braces tried in one reply; decoding from each is linear, from all would not be."""


def json_objects(text: str) -> Iterator[dict[str, Any]]:
    """Every JSON object in `text` that is not inside another, in order."""
    decoder = json.JSONDecoder(strict=False)  # models put bare line breaks into strings
    at = n_starts = 0
    while n_starts < _MAX_STARTS and (start := text.find("{", at)) >= 0:
        n_starts += 1
        try:
            value, at = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):  # no JSON; or a number, or a depth, that nobody means
            at = start + 1
            continue
        if isinstance(value, dict):
            yield cast(dict[str, Any], value)


def parse_reply(text: str, schema: type[T]) -> T:
    """Return the last object in `text` that follows `schema`.

    The last, since a model that reasons first may quote the format before it uses it. Raises
    `docrag.errors.ModelFormatError`, whose message says what is wrong so that the model can be asked again.
    """
    if len(text) > MAX_REPLY_CHARS:
        raise ModelFormatError(f"the reply has {len(text)} characters, expected at most {MAX_REPLY_CHARS}")
    problem = "there is no JSON object in the reply"
    found: T | None = None
    for value in json_objects(text):
        try:
            found = schema.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(step) for step in first["loc"]) or "the object"
            problem = f"{place}: {first['msg']}"
    if found is None:
        raise ModelFormatError(problem)
    return found
