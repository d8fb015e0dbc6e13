"""Text of documents inside a prompt: fenced by a marker that no document can know, and never instructions."""

from __future__ import annotations

import secrets
from collections.abc import Callable


def random_marker() -> str:
    """Return a marker for one run: 64 random bits in hexadecimal."""
    return secrets.token_hex(8)


MakeMarker = Callable[[], str]
"""Makes the marker of a run; a fixed one makes prompts repeatable, at the price that it can be guessed."""


def fenced(text: str, marker: str, *, label: str) -> str:
    """`text` between an opening and a closing line that carry `marker`, which is taken out of the text.

    `label` is what the prompt calls it, such as an evidence id with document and page.
    """
    inside = text
    while marker in inside:  # taking one out can make another
        inside = inside.replace(marker, "")
    name = " ".join(label.split()).replace(marker, "")
    return f"<<<{marker} {name}\n{inside}\n{marker}>>>"
