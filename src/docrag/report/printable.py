"""Text of documents, made safe to show."""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("\n\t")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs"})
"""Controls (terminal escapes among them), invisible formats such as direction overrides, lone surrogates."""


def printable(text: str) -> str:
    """`text` with a replacement character for each that could command a terminal or disguise what it says."""
    return "".join(
        char
        if char in _KEPT or unicodedata.category(char) not in _HIDDEN_CATEGORIES
        else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


def one_line(text: str, *, limit: int) -> str:
    """`printable` text on one line, cut to `limit` characters with an ellipsis."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
