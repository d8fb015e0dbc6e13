"""Trees of settings: their leaves, and single values by path; a number in a path is a place in a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from docrag.config.origins import Path


def leaves(tree: object, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that holds no mapping, with its path; lists of plain values are values."""
    if isinstance(tree, Mapping) and tree:
        for key, value in cast("Mapping[str, object]", tree).items():
            yield from leaves(value, (*at, key))
    elif isinstance(tree, list | tuple) and any(isinstance(item, Mapping) for item in tree):
        for place, value in enumerate(cast("list[object]", tree)):
            yield from leaves(value, (*at, str(place)))
    else:
        yield at, tree


def value_at(tree: object, path: Path) -> object:
    """What stands at `path` of mappings, lists and option classes; None where nothing does."""
    for key in path:
        if isinstance(tree, Mapping):
            tree = cast("Mapping[str, object]", tree).get(key)
        elif isinstance(tree, list | tuple):
            items = cast("list[object]", tree)
            tree = items[int(key)] if key.isdigit() and int(key) < len(items) else None
        else:
            tree = getattr(tree, key, None)
    return tree


def put(tree: Any, path: Path, value: object) -> None:  # noqa: ANN401 - nested mappings and lists
    """Set what stands at `path`, which is there already; a tuple on the way cannot be changed."""
    *above, last = path
    for key in above:
        tree = tree[int(key)] if isinstance(tree, list) else tree[key]
    if isinstance(tree, list):
        cast("list[object]", tree)[int(last)] = value
    else:
        tree[last] = value
