"""Document names: paths relative to the indexed folder, written so that every file can be named.

A name is a label. Nothing is ever stored under it; characters that could mislead a reader (line breaks,
direction overrides) and bytes that are no UTF-8 are written as escapes, reversibly.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

ROOT = "."
"""Name of the indexed folder itself."""

_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")
_SURROGATE_OFFSET = 0xDC00
"""PEP 383 holds the undecodable byte b as the lone surrogate U+DC00 + b."""
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of controls, zero-width and direction characters, surrogates and line ends (Unicode TR 36)."""


def escape_name(name: str) -> str:
    r"""Make a file name printable and unambiguous; `unescape_name` gives the original back.

    Examples
    --------
    >>> escape_name("report\n2024.pdf")
    'report\\x0a2024.pdf'
    """
    return "".join(_escape_char(char) for char in name)


def unescape_name(name: str) -> str:
    """The file name that `escape_name` was given."""

    def original(match: re.Match[str]) -> str:
        if match[1]:
            code = int(match[1], 16)
            # Control characters up to U+009F are escaped as \u00XX, so a high \xXX is always a raw byte.
            return chr(code if code < 0x80 else _SURROGATE_OFFSET + code)
        code_point = match[2] or match[3]
        return chr(int(code_point, 16)) if code_point else "\\"

    return _ESCAPE.sub(original, name)


def _escape_char(char: str) -> str:
    code = ord(char)
    if char == "\\":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - _SURROGATE_OFFSET:02x}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if unicodedata.category(char) in _INVISIBLE:
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return char


def document_name(path: Path, root: Path) -> str:
    """Name of a file or folder below `root`, with forward slashes; `ROOT` for the root."""
    return "/".join(escape_name(part) for part in path.relative_to(root).parts) or ROOT


def document_path(doc: str, root: Path) -> Path:
    """Where the file of a document should be."""
    return root.joinpath(*(unescape_name(part) for part in doc.split("/")))
