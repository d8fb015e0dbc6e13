"""Cleaning of extracted text: no control characters, no lone surrogates, no spaces inside a word."""

from __future__ import annotations

import unicodedata

_DROPPED_CATEGORIES = frozenset({"Cc", "Cs"})  # control characters and surrogates
_SOFT_HYPHEN = "\u00ad"
# Zero-width space, word joiner, byte order mark, and the marks that override the direction of text.
# Zero-width (non-)joiners stay: Persian and Indic words are spelled with them.
_INVISIBLE = frozenset(
    "\u00ad\u200b\u2060\ufeff\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def is_tag(char: str) -> bool:
    """Whether a character is one of the tags that spell a second, unseen text (Unicode block Tags)."""
    return "\U000e0000" <= char <= "\U000e007f"


def clean_text(text: str) -> str:
    r"""`text` without control characters and invisible marks, runs of white space as one space.

    A soft hyphen at the end is where a word was broken: it becomes a hyphen; others are dropped.

    Examples
    --------
    >>> clean_text("a\x00b \n c")
    'ab c'
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    if text.endswith(_SOFT_HYPHEN):
        text = text[:-1] + "-"
    kept = "".join(
        " " if c.isspace() else c
        for c in text
        if c.isspace() or not (c in _INVISIBLE or is_tag(c) or unicodedata.category(c) in _DROPPED_CATEGORIES)
    )
    return " ".join(kept.split())
