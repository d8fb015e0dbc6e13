"""What a typed line means: a command, a question, and the documents it narrows the conversation to."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from docrag.errors import UsageError

COMMANDS: dict[str, str] = {
    "help": "show these lines",
    "pages": "/pages 3-9 looks only at these pages; /pages alone at all again",
    "scope": "say what is looked at",
    "docs": "list the documents; /docs WORD those whose name holds it",
    "why": "explain how the last answer was found",
    "open": "/open 2 writes the page of citation 2, boxes drawn, and shows it where the terminal can",
    "save": "/save FILE writes the conversation: .md, .html or .json",
    "history": "show the questions so far",
    "new": "forget the conversation and begin another; scope included",
    "quit": "end; so do Ctrl-D and /exit",
}
"""Every command, and what it does."""

_ALIASES = {"exit": "quit", "q": "quit", "h": "help", "?": "help"}
_AT = re.compile(r'(?:^|(?<=\s))@(?:"([^"]*)"|(\S*))')

ALL = "all"
"""``@all`` lifts the restriction to documents."""


@dataclass(frozen=True, slots=True)
class Command:
    """A line that begins with a slash."""

    name: str
    argument: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A question; `docs` are the names after ``@`` in it, None when there is none."""

    question: str
    docs: tuple[str, ...] | None


def read_line(line: str) -> Command | Ask:
    """Read a line; raises `docrag.errors.UsageError`, with the nearest names, for an unknown command."""
    text = line.strip()
    if text.startswith("/"):
        word, _, argument = text[1:].partition(" ")
        name = _ALIASES.get(word.lower(), word.lower())
        if name not in COMMANDS:
            near = difflib.get_close_matches(name, COMMANDS, 1)
            hint = f"; did you mean /{near[0]}?" if near else "; /help lists the commands"
            raise UsageError(f"there is no command /{word}{hint}")
        return Command(name, argument.strip())
    names = tuple(quoted or bare for quoted, bare in _AT.findall(text))
    question = " ".join(_AT.sub(" ", text).split())
    return Ask(question, names or None)


def documents_named(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...] | None:
    """Documents that `names` mean, None for all of them.

    A name is a document's, its file name, or a part of either that fits at least one, whatever the case; a
    trailing full stop, comma or question mark is not part of it. Raises `docrag.errors.UsageError`, with the
    nearest names, for one that fits none.
    """
    found: dict[str, None] = {}
    for name in names:
        if name.lower() in ("", ALL):
            return None
        found.update(dict.fromkeys(_fitting(name, known) or _fitting(name.rstrip(".,;:!?"), known)))
        if not _fitting(name, known) and not _fitting(name.rstrip(".,;:!?"), known):
            near = difflib.get_close_matches(name, known, 3, cutoff=0.4)
            hint = f"; the nearest: {', '.join(near)}" if near else "; /docs lists all"
            raise UsageError(f'no document fits "@{name}"{hint}')
    return tuple(found)


def _fitting(name: str, known: Sequence[str]) -> list[str]:
    """The closest kind of fit wins: the whole name, the file's name, its stem, any part."""
    asked = name.casefold()
    if not asked:
        return []
    fits = (
        [doc for doc in known if doc.casefold() == asked],
        [doc for doc in known if PurePosixPath(doc).name.casefold() == asked],
        [doc for doc in known if PurePosixPath(doc).stem.casefold() == asked],
        [doc for doc in known if asked in doc.casefold()],
    )
    return next((fit for fit in fits if fit), [])
