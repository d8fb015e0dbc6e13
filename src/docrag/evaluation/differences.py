"""What differs between two trees of JSON values, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

MAX_SHOWN = 8
_MAX_VALUE_CHARS = 60
_NOTHING = object()


def differences(was: Any, now: Any, *, name: str = "") -> list[str]:  # noqa: ANN401 - any JSON
    """Every leaf that differs, as ``a.b: old → new``; one that is missing on a side is called absent."""
    old, new = dict(_leaves(was, name)), dict(_leaves(now, name))
    return [
        f"{key}: {_shown(old.get(key, _NOTHING))} → {_shown(new.get(key, _NOTHING))}"
        for key in {**old, **new}
        if old.get(key, _NOTHING) != new.get(key, _NOTHING)
    ]


def summarised(found: list[str], *, limit: int = MAX_SHOWN) -> str:
    """The first differences in one line, and how many more there are."""
    more = len(found) - limit
    return "; ".join(found[:limit]) + (f"; and {more} more" if more > 0 else "")


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any JSON
    if isinstance(value, dict) and value:
        for key, inner in cast("dict[str, Any]", value).items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value:
        for i, inner in enumerate(cast("list[Any]", value), 1):
            yield from _leaves(inner, f"{name}[{i}]")
    else:
        yield name, value


def _shown(value: object) -> str:
    if value is _NOTHING:
        return "absent"
    text = repr(value)
    return text if len(text) <= _MAX_VALUE_CHARS else f"{text[:_MAX_VALUE_CHARS]}…"
