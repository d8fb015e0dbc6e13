"""What a typed line means."""

from __future__ import annotations

import pytest

from docrag.cli.chat.lines import COMMANDS, Ask, Command, documents_named, read_line
from docrag.errors import UsageError

KNOWN = ["annual report 2024.pdf", "annual-2025.pdf", "old/annual-2025-draft.pdf", "old/notes.pdf"]


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("What is it?", Ask("What is it?", None)),
        ("  @notes What is it? ", Ask("What is it?", ("notes",))),
        ('@"annual report 2024.pdf" and @notes', Ask("and", ("annual report 2024.pdf", "notes"))),
        ("@all", Ask("", ("all",))),
        ("write to someone@example.org", Ask("write to someone@example.org", None)),
        ("/pages 3-9", Command("pages", "3-9")),
        ("/OPEN  2 out.png", Command("open", "2 out.png")),
        ("/exit", Command("quit", "")),
        ("/?", Command("help", "")),
    ],
)
def test_lines_are_commands_or_questions(line: str, meant: Command | Ask):
    assert read_line(line) == meant


def test_an_unknown_command_names_the_nearest():
    with pytest.raises(UsageError, match="no command /opne; did you mean /open"):
        read_line("/opne 2")
    with pytest.raises(UsageError, match="/help lists"):
        read_line("/xyzzyxyzzy")


@pytest.mark.parametrize(
    ("name", "docs"),
    [
        ("old/notes.pdf", ("old/notes.pdf",)),
        ("NOTES.pdf", ("old/notes.pdf",)),
        ("notes", ("old/notes.pdf",)),
        ("annual-2025", ("annual-2025.pdf",)),  # the stem wins over a part of another name
        ("2025", ("annual-2025.pdf", "old/annual-2025-draft.pdf")),
        ("notes?", ("old/notes.pdf",)),
        ("all", None),
        ("", None),
    ],
)
def test_names_after_the_at_sign_fit_documents(name: str, docs: tuple[str, ...] | None):
    assert documents_named([name], KNOWN) == docs


def test_several_names_add_up_once_each():
    assert documents_named(["notes", "2024", "notes.pdf"], KNOWN) == (
        "old/notes.pdf",
        "annual report 2024.pdf",
    )


@pytest.mark.parametrize("name", ["anual-2025.pdf", "...", "zzz"])
def test_a_name_that_fits_nothing_is_an_error(name: str):
    with pytest.raises(UsageError, match="no document fits"):
        documents_named(["notes", name], KNOWN)


def test_the_nearest_names_are_given():
    with pytest.raises(UsageError, match=r"the nearest: .*annual-2025\.pdf"):
        documents_named(["anual-2025.pdf"], KNOWN)


def test_every_command_says_what_it_does():
    assert all(does and not does.endswith(".") for does in COMMANDS.values())
