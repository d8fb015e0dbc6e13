"""A conversation as a file: Markdown to read, JSON to work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docrag.cli.output import to_json
from docrag.report.printable import printable

if TYPE_CHECKING:
    from docrag.pipeline.chat_sessions import ChatSession


def transcript_values(session: ChatSession) -> dict[str, Any]:
    """The conversation as JSON values; every answer as ``docrag ask --json`` gives it."""
    return {
        "session": session.session_id,
        "started_at": session.started_at,
        "turns": [
            {"question": turn.question, "asked": turn.asked, "answer": dict(turn.answer)}
            for turn in session.turns
        ],
    }


def transcript_json(session: ChatSession) -> str:
    """The conversation as one JSON document."""
    return to_json(transcript_values(session)) + "\n"


def transcript_markdown(session: ChatSession) -> str:
    """Questions as headings, answers below them, citations as a list."""
    lines = [f"# Conversation of {session.started_at}", ""]
    for turn in session.turns:
        lines += [f"## {_plain(turn.question)}", ""]
        if turn.asked != turn.question:
            lines += [f"*Understood as: {_plain(turn.asked)}*", ""]
        lines += [_plain(turn.answer_text), ""]
        for citation in turn.citations:
            where = f"{citation['doc']}, page {citation['page']}"
            quote = f": “{_plain(str(citation['quote']))}”" if citation["quote"] else ""
            lines.append(f"- [{citation['n']}] {_plain(where)}{quote}")
        lines += [""] if turn.citations else []
    return "\n".join(lines)


def _plain(text: str) -> str:
    """One line in which nothing is markup: documents' words must not become links, pictures or HTML."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#!|" else c for c in " ".join(printable(text).split()))
