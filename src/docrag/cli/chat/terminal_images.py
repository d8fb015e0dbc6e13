"""Pictures in the terminal, for those that can show them: kitty's graphics protocol, and iTerm2's."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Literal

Protocol = Literal["kitty", "iterm", "none"]

KITTY_CHUNK = 4096
"""Longest piece of base64 that the protocol allows in one escape sequence."""

WIDTH_CELLS = 72
"""Width of a picture in columns of text."""


def protocol_of(environment: Mapping[str, str], *, is_terminal: bool) -> Protocol:
    """How this terminal shows pictures, by the variables that terminals set; "none" where unknown.

    A multiplexer passes neither protocol on by default, so inside one it is "none".
    """
    if not is_terminal or "TMUX" in environment or environment.get("TERM", "").startswith("screen"):
        return "none"
    program = environment.get("TERM_PROGRAM", "")
    if "KITTY_WINDOW_ID" in environment or "kitty" in environment.get("TERM", "") or program == "ghostty":
        return "kitty"
    return "iterm" if program in ("iTerm.app", "WezTerm") else "none"


def escape_sequence(png: bytes, protocol: Literal["kitty", "iterm"]) -> str:
    """What to print so that the terminal shows the picture."""
    data = base64.b64encode(png).decode("ascii")
    if protocol == "iterm":
        return f"\x1b]1337;File=inline=1;size={len(png)};width={WIDTH_CELLS}:{data}\x07\n"
    pieces = [data[at : at + KITTY_CHUNK] for at in range(0, len(data), KITTY_CHUNK)]
    sequences = [
        f"\x1b_G{f'a=T,f=100,c={WIDTH_CELLS},' if n == 0 else ''}m={int(n < len(pieces) - 1)};{piece}\x1b\\"
        for n, piece in enumerate(pieces)
    ]
    return "".join(sequences) + "\n"
