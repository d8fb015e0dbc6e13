"""What a query may see, from the options of a command."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import get_args

from docrag.errors import UsageError
from docrag.types import RegionKind, Scope

_RANGE = re.compile(r"\s*(\d+)\s*(?:(-)\s*(\d+)?\s*)?")

LAST_PAGE = 10**9
"""Stands for the end of every document in ``7-``."""


def read_scope(
    docs: Sequence[str] | None,
    pages: str | None,
    metadata: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
) -> Scope:
    """Scope of ``--doc``, ``--pages``, ``--meta``, ``--kind``; no restriction where an option is absent."""
    return Scope(
        docs=tuple(docs) if docs else None,
        pages=read_pages(pages) if pages is not None else None,
        metadata=read_metadata(metadata) if metadata else None,
        kinds=read_kinds(kinds) if kinds else None,
    )


def read_kinds(names: Sequence[str]) -> tuple[RegionKind, ...]:
    """Kinds of regions by name; raise UsageError, with the names there are, for any other."""
    known: dict[str, RegionKind] = {kind: kind for kind in get_args(RegionKind)}
    for name in names:
        if name not in known:
            raise UsageError(f"--kind {name}: expected one of {', '.join(known)}")
    return tuple(dict.fromkeys(known[name] for name in names))


def read_metadata(pairs: Sequence[str]) -> dict[str, str]:
    """Keys and values of ``author=Somebody``; raise UsageError for anything else, or a key named twice."""
    metadata: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip().lower()
        if not (key and equals):
            raise UsageError(f"--meta {pair}: expected KEY=VALUE, such as author=Somebody")
        if metadata.setdefault(key, value.strip()) != value.strip():
            raise UsageError(f"--meta {pair}: {key} cannot be {metadata[key]!r} too; name each key once")
    return metadata


def read_pages(text: str) -> tuple[tuple[int, int], ...]:
    """Page ranges of ``3-9``, ``5``, ``7-`` or ``1,4,7-8``; raise UsageError for anything else."""
    ranges: list[tuple[int, int]] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise UsageError(f"--pages {text}: expected page numbers such as 3-9 or 1,4,7-8")
        first = int(match[1])
        last = int(match[3]) if match[3] else (LAST_PAGE if match[2] else first)
        if not 1 <= first <= last:
            raise UsageError(f"--pages {text}: {part.strip()} is no range; pages count from 1")
        ranges.append((first, last))
    return tuple(ranges)
