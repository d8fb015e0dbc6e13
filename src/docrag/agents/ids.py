"""Evidence ids as models write them."""

from __future__ import annotations

from typing import Any, cast


def ids_of(value: object) -> list[str]:
    """Return ids as texts: a single one outside a list, and numbers without their E, are habits of models.

    >>> ids_of([1, "E2", "3"]), ids_of(None), ids_of("E4")
    (['E1', 'E2', 'E3'], [], ['E4'])
    """
    if value is None:
        return []
    given = cast(list[Any], value) if isinstance(value, list) else [value]
    return [f"E{item}" if isinstance(item, int) or str(item).isdecimal() else str(item) for item in given]
