"""JSON that has not ended: what can be read of it so far, and the sentences in it as they arrive."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
MAX_DEPTH = 32
"""Deeper nesting is no reply to anything that is asked for here."""

Path = tuple[str | int, ...]
"""Keys and positions from the outermost object to a value."""


class JsonStrings:
    """Reads JSON piece by piece and tells every value of it as it comes, whatever the pieces are.

    Text before the first brace is skipped. Line breaks inside strings, which JSON forbids and models write,
    are taken as they are. What is no JSON any more ends the reading; `is_broken` says so.

    Parameters
    ----------
    on_text
        Called with the path of a string value and the next characters of it.
    on_value
        Called with the path and the value of everything that is complete: strings, numbers, true, false,
        null. Objects and lists are told with None when they end.
    """

    def __init__(
        self, on_text: Callable[[Path, str], None], on_value: Callable[[Path, object], None]
    ) -> None:
        self._on_text = on_text
        self._on_value = on_value
        self._stack: list[str] = []  # "{" or "["
        self._path: list[str | int] = []
        self._expects_key = False
        self._in_string = False
        self._escape = ""  # what of an escape has been read, with its backslash
        self._high = ""  # first half of a surrogate pair
        self._string: list[str] = []
        self._word = ""  # a number or a literal
        self._told: list[str] = []
        self.is_done = False
        self.is_broken = False

    def feed(self, piece: str) -> None:
        """Read the next piece."""
        for char in piece:
            if self.is_done or self.is_broken:
                break
            if self._in_string:
                self._string_char(char)
            else:
                self._outside(char)
        self._flush()

    # ── inside a string ──────────────────────────────────────────────────────────────────────────────

    def _string_char(self, char: str) -> None:
        if self._escape:
            self._escape += char
            if self._escape[1] != "u":
                self._put(_ESCAPES.get(char, char))
                self._escape = ""
            elif len(self._escape) == 6:
                try:
                    self._unit(chr(int(self._escape[2:], 16)))
                except ValueError:
                    self.is_broken = True
                self._escape = ""
        elif char == "\\":
            self._escape = char
        elif char == '"':
            self._end_string()
        else:
            self._put(char)

    def _unit(self, char: str) -> None:
        """Join the halves of a surrogate pair; a half alone becomes a replacement character."""
        if "\ud800" <= char <= "\udbff":
            self._put("")
            self._high = char
        elif self._high and "\udc00" <= char <= "\udfff":
            joined = 0x10000 + ((ord(self._high) - 0xD800) << 10) + (ord(char) - 0xDC00)
            self._high = ""
            self._put(chr(joined))
        else:
            self._put("\N{REPLACEMENT CHARACTER}" if "\ud800" <= char <= "\udfff" else char)

    def _put(self, text: str) -> None:
        if self._high:
            text, self._high = "\N{REPLACEMENT CHARACTER}" + text, ""
        self._string.append(text)
        if not self._expects_key:
            self._told.append(text)

    def _flush(self) -> None:
        text = "".join(self._told)
        self._told = []
        if text:
            self._on_text(tuple(self._path), text)

    def _end_string(self) -> None:
        self._put("")
        self._in_string = False
        value = "".join(self._string)
        self._string = []
        if self._expects_key:
            self._path[-1] = value
            self._expects_key = False
        else:
            self._flush()
            self._on_value(tuple(self._path), value)

    # ── between strings ──────────────────────────────────────────────────────────────────────────────

    def _outside(self, char: str) -> None:
        if not self._stack:
            if char == "{":
                self._open(char)
            return
        if char in '{["' or char in "]},:" or char.isspace():
            self._end_word()
        if char == '"':
            self._in_string = True
        elif char in "{[":
            self._open(char)
        elif char in "]}":
            self._close(char)
        elif char == ",":
            self._next()
        elif char != ":" and not char.isspace():
            self._word += char

    def _open(self, char: str) -> None:
        if len(self._stack) >= MAX_DEPTH or self._expects_key:
            self.is_broken = True
            return
        self._stack.append(char)
        self._path.append("" if char == "{" else 0)
        self._expects_key = char == "{"

    def _close(self, char: str) -> None:
        if (self._stack[-1] == "{") != (char == "}"):
            self.is_broken = True
            return
        self._stack.pop()
        self._path.pop()
        self._expects_key = False
        self._on_value(tuple(self._path), None)
        self.is_done = not self._stack

    def _next(self) -> None:
        if self._stack[-1] == "{":
            self._expects_key = True
            self._path[-1] = ""
        else:
            self._path[-1] = int(self._path[-1]) + 1

    def _end_word(self) -> None:
        if not self._word:
            return
        word, self._word = self._word, ""
        try:
            value = json.loads(word)
        except (json.JSONDecodeError, RecursionError):
            self.is_broken = True
            return
        self._on_value(tuple(self._path), value)


def read_truncated(text: str) -> dict[str, Any]:
    """What can be read of the first object in `text`, however it ends; empty when there is none.

    A string that was cut is kept as far as it goes.

    Examples
    --------
    >>> read_truncated('{"a": [{"b": "tex')
    {'a': [{'b': 'tex'}]}
    """
    root: dict[str, Any] = {}
    cut: dict[Path, str] = {}

    def tell(path: Path, piece: str) -> None:
        cut[path] = cut.get(path, "") + piece

    def keep(path: Path, value: object) -> None:
        if value is not None:
            _set(root, path, value)
        cut.pop(path, None)

    reader = JsonStrings(tell, keep)
    reader.feed(text)
    for path, value in cut.items():
        _set(root, path, value)
    return root


def _set(root: dict[str, Any], path: Path, value: object) -> None:
    """Put a value in its place; lists and objects on the way are made."""
    node: Any = root
    for step, after in zip(path, (*path[1:], None), strict=True):
        new: Any = value if after is None else [] if isinstance(after, int) else {}
        if isinstance(step, int):
            node += [None] * (step + 1 - len(node))
        known = node[step] if isinstance(step, int) else node.get(step)
        if after is None or type(known) is not type(new):
            node[step] = new
        node = node[step]
