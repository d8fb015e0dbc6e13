"""Pictures in terminals that can show them."""

from __future__ import annotations

import base64
import re

import pytest

from docrag.cli.chat.terminal_images import KITTY_CHUNK, escape_sequence, protocol_of


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"KITTY_WINDOW_ID": "1", "TERM": "xterm-256color"}, "kitty"),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM_PROGRAM": "iTerm.app", "TMUX": "/tmp/tmux"}, "none"),
        ({"TERM": "screen-256color", "KITTY_WINDOW_ID": "1"}, "none"),
        ({"TERM": "xterm-256color"}, "none"),
        ({}, "none"),
    ],
)
def test_a_terminal_is_known_by_its_variables(environment: dict[str, str], protocol: str):
    assert protocol_of(environment, is_terminal=True) == protocol
    assert protocol_of(environment, is_terminal=False) == "none"


@pytest.mark.parametrize("size", [1, 3 * KITTY_CHUNK // 4, 3 * KITTY_CHUNK // 4 + 1, 10_000])
def test_kitty_gets_the_picture_in_pieces(size: int):
    png = bytes(n % 251 for n in range(size))
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", escape_sequence(png, "kitty"))
    assert base64.b64decode("".join(data for _, data in pieces)) == png
    assert all(len(data) <= KITTY_CHUNK for _, data in pieces)
    assert ["m=1" in keys for keys, _ in pieces] == [True] * (len(pieces) - 1) + [False]
    assert ["a=T,f=100" in keys for keys, _ in pieces] == [True] + [False] * (len(pieces) - 1)


def test_iterm_gets_it_whole():
    sequence = escape_sequence(b"picture", "iterm")
    match = re.fullmatch(r"\x1b\]1337;File=inline=1;size=7;width=\d+:(.*)\x07\n", sequence)
    assert match is not None
    assert base64.b64decode(match[1]) == b"picture"
