"""Which documents a scope means."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from docrag.errors import UsageError
from docrag.types import Document, RegionKind, Scope

_N_SUGGESTIONS = 3
_N_KNOWN = 10
"""Keys or values of metadata that a message lists where none is near."""


class Place(NamedTuple):
    """Where rows are looked for: documents, page ranges and kinds of chunks; None is no restriction."""

    docs: Sequence[Document]
    pages: Sequence[tuple[int, int]] | None = None
    kinds: Sequence[RegionKind] | None = None


def select(documents: Sequence[Document], scope: Scope) -> list[Document]:
    """Return the documents that the scope's `docs` and `metadata` admit, in the order given.

    A pattern is the exact name or alias of a document, or else a glob over names and aliases ("*" also
    matches "/"). Raises `UsageError` with the nearest names for a pattern that matches no document, and with
    the nearest keys or values for metadata that no document has.
    """
    wanted = None if scope.docs is None else {d.doc for p in scope.docs for d in _matching(documents, p)}
    metadata = scope.metadata or {}
    if documents:
        for key, value in metadata.items():
            _check_metadata(documents, key, value)
    return [
        document
        for document in documents
        if (wanted is None or document.doc in wanted)
        and all(document.metadata.get(key) == value for key, value in metadata.items())
    ]


def _matching(documents: Sequence[Document], pattern: str) -> list[Document]:
    exact = [d for d in documents if pattern == d.doc or pattern in d.aliases]
    found = exact or [
        d for d in documents if any(fnmatch.fnmatchcase(name, pattern) for name in (d.doc, *d.aliases))
    ]
    if not found:
        raise UsageError(f'no document named "{pattern}" in the index{_suggestion(documents, pattern)}')
    return found


def _check_metadata(documents: Sequence[Document], key: str, value: str) -> None:
    values = {document.metadata[key] for document in documents if key in document.metadata}
    if not values:
        keys = {key for document in documents for key in document.metadata}
        raise UsageError(f'no document of the index has "{key}" in its metadata; {_nearest(key, keys)}')
    if value not in values:
        raise UsageError(f'no document of the index has {key} "{value}"; {_nearest(value, values)}')


def _nearest(wrong: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(wrong, sorted(known), _N_SUGGESTIONS)
    if near:
        return f"did you mean {' or '.join(near)}?"
    shown = sorted(known)[:_N_KNOWN]
    more = ", …" if len(known) > _N_KNOWN else ""
    return f"known: {', '.join(shown)}{more}" if shown else "no document has any"


def _suggestion(documents: Sequence[Document], pattern: str) -> str:
    names = [name for d in documents for name in (d.doc, *d.aliases)]
    if not names:
        return ", which is empty"
    base_name = PurePosixPath(pattern).name
    same_base = [name for name in names if PurePosixPath(name).name == base_name]
    near = list(dict.fromkeys(same_base + difflib.get_close_matches(pattern, names, _N_SUGGESTIONS)))
    if near:
        return "; the nearest: " + ", ".join(near[:_N_SUGGESTIONS])
    return f'; "docrag ls" lists all {len(documents)}'
