"""Tokens of a text: by the model's own tokenizer where its file is at hand, else an estimate upwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docrag.errors import ConfigError

_ONE_TOKEN = re.compile(r" ?[A-Za-z]{1,3}|[\t ]{1,4}")


def estimate_tokens(text: str) -> int:
    """Tokens of `text`, rather too many than too few.

    Current tokenizers (byte-level BPE of 100,000 entries and more) make one token of about four Latin
    letters; here it is three. Every digit and sign is one token, up to four blanks where no Latin letter
    follows, two Cyrillic letters, another letter of two bytes (Greek, Arabic, …); one of three bytes
    (Chinese, Thai, …) is one and a half, an emoji three. Never more than the bytes of the text, which is
    what a tokenizer without merges makes.
    """
    rest, n_tokens = _ONE_TOKEN.subn("", text)  # in C: a prompt is counted before every call
    if rest.isascii():
        return n_tokens + len(rest)
    n_halves = sum(_halves(char) for char in rest)
    return min(n_tokens + -(-n_halves // 2), len(text.encode("utf-8", "surrogatepass")))


def _halves(char: str) -> int:
    """Half tokens of a character."""
    if "\u0400" <= char <= "\u052f":
        return 1
    if ord(char) < 0x800:
        return 2
    return 3 if ord(char) < 0x10000 else 6


def tokenizer_counter(path: Path) -> Callable[[str], int]:
    """Return a function that counts with a ``tokenizer.json``, or one in the folder `path`.

    Raises `docrag.errors.ConfigError` when there is none or it cannot be read.
    """
    from tokenizers import Tokenizer

    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        tokenizer: Any = Tokenizer.from_str(file.read_text("utf-8"))
    except Exception as error:  # the library raises nothing more special than this
        raise ConfigError(
            f"{file}: cannot be used as a tokenizer ({error}); expected a tokenizer.json"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        encodable = text.encode("utf-8", "replace").decode("utf-8")  # it refuses lone surrogates
        return len(tokenizer.encode(encodable, add_special_tokens=False).ids)

    return count
