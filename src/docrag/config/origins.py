"""Layers of settings, merged so that every value remembers where it came from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]
"""Where a value stands in the tree: ``("ingest", "layout")``."""

DEFAULT = "default"
"""Origin of values that nothing but the option's class says."""

DISCRIMINATOR = "kind"
"""The key that chooses one member of a union of option classes."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Nested settings of one source. `places` says, for messages, where each key stands in it.

    `places` has an entry for mappings as well as for their leaves, and at ``()`` the source's own name.
    """

    values: Mapping[str, Any]
    places: Mapping[Path, str] = field(default_factory=dict[Path, str])


def place_of(places: Mapping[Path, str], path: Path) -> str:
    """Place of `path`, or of the nearest key above it that has one."""
    for length in range(len(path), -1, -1):
        if path[:length] in places:
            return places[path[:length]]
    return DEFAULT


def merge(layers: Sequence[Layer], *, whole: Collection[Path] = ()) -> tuple[dict[str, Any], dict[Path, str]]:
    """Values of all layers, later ones first in rank, and the place each stated key came from.

    Mappings merge key by key, everything else is replaced whole. A mapping that names another `kind` than
    the one below replaces it whole: options of one kind mean nothing to another. So does the first one that
    is stated at a path of `whole`, such as weights by name: a default's names need not be those that are
    meant. A mapping key with nothing after it (YAML's null) leaves the mapping below as it was.
    """
    values: dict[str, Any] = {}
    places: dict[Path, str] = {}
    for layer in layers:
        _merge_into(values, places, layer, layer.values, (), whole)
    return values, places


def _merge_into(
    target: dict[str, Any],
    places: dict[Path, str],
    layer: Layer,
    new: Mapping[str, Any],
    at: Path,
    whole: Collection[Path],
) -> None:
    for key, value in new.items():
        path = (*at, key)
        below = target.get(key)
        if isinstance(below, dict) and value is None:
            continue
        if isinstance(value, Mapping):
            if (
                not isinstance(below, dict)
                or value.get(DISCRIMINATOR, below.get(DISCRIMINATOR)) != below.get(DISCRIMINATOR)
                or (path in whole and path not in places)  # nobody but the default has stated it
            ):
                below = target[key] = {}
                _forget(places, path)
            _merge_into(below, places, layer, value, path, whole)
        else:
            target[key] = value
            _forget(places, path)
        place = place_of(layer.places, path)
        if not isinstance(value, Mapping) or path in layer.places or (path in whole and place != DEFAULT):
            places[path] = place


def _forget(places: dict[Path, str], path: Path) -> None:
    for known in [p for p in places if p[: len(path)] == path]:
        del places[known]
