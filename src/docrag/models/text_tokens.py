"""Tokens of a text: by the model's own tokenizer where its file is at hand, else an estimate upwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docrag.errors import ConfigError

_PIECE = re.compile(r"(?P<word> ?[A-Za-z]+)|(?P<blanks>[\t ]+)|.", re.DOTALL)


def estimate_tokens(text: str) -> int:
    """Tokens of `text`, rather too many than too few.

    Current tokenizers (byte-level BPE of 100,000 entries and more) make one token of about four Latin
    letters; here it is three. Every digit and sign is one token, a blank where no Latin letter follows, two
    Cyrillic letters, another letter of two bytes (Greek, Arabic, …); one of three bytes (Chinese, Thai, …) is
    one and a half, an emoji three. Never more than the bytes of the text, which is what a tokenizer without
    merges makes.
    """
    n_halves = 0
    for match in _PIECE.finditer(text):
        piece = match[0]
        if match["word"]:
            n_halves += 2 * -(-len(piece.strip()) // 3)
        elif match["blanks"]:
            n_halves += 2 * -(-len(piece) // 4)
        elif "\u0400" <= piece <= "\u052f":
            n_halves += 1
        elif ord(piece) < 0x800:
            n_halves += 2
        else:
            n_halves += 3 if ord(piece) < 0x10000 else 6
    return min(-(-n_halves // 2), len(text.encode("utf-8", "surrogatepass")))


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
