"""Conversations kept beside the index: a file of JSON lines each, appended turn by turn.

The first line says what the session is, every other one is a turn. A line that a crash cut short is passed
over, so a session is never lost for its last turn.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from docrag.errors import UsageError
from docrag.runs.record import read_scope_values, scope_values
from docrag.store.durable import storage_errors
from docrag.types import Scope

FOLDER = "chats"
"""Folder of the sessions, inside the index."""

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """A question as typed and as asked, where it looked, and the answer as ``ask --json`` gives it."""

    question: str
    asked: str
    scope: Scope
    answer: Mapping[str, Any]

    @property
    def answer_text(self) -> str:
        """Text of the answer."""
        return str(self.answer["answer"])

    @property
    def citations(self) -> Sequence[Mapping[str, Any]]:
        """Citations of the answer, as JSON values."""
        return cast("Sequence[Mapping[str, Any]]", self.answer["citations"])


@dataclass
class ChatSession:
    """One conversation and the file that keeps it; nothing is written before the first turn.

    `scope` is what the next question may see: that of the last turn when a session is taken up again.
    `n_written` of its turns stand in the file.
    """

    path: Path
    started_at: str
    turns: list[ChatTurn] = field(default_factory=list[ChatTurn])
    scope: Scope = field(default_factory=Scope)
    n_written: int = 0

    @property
    def session_id(self) -> str:
        """Name of the session."""
        return self.path.stem

    def add(self, turn: ChatTurn) -> None:
        """Keep a turn, in memory and on disk.

        Raises `docrag.errors.StorageError` when it cannot be written. It is a turn all the same, and is
        written with the next one that can be.
        """
        self.turns.append(turn)
        with storage_errors(self.path, "writing"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                file.seek(0, os.SEEK_END)
                header: list[dict[str, Any]] = [{"format": FORMAT, "started_at": self.started_at}]
                lines = header if not file.tell() else []
                lines += [_turn_values(unwritten) for unwritten in self.turns[self.n_written :]]
                text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
                file.write((b"" if _is_whole(file) else b"\n") + text.encode("utf-8", "backslashreplace"))
            self.n_written = len(self.turns)


def new_session(index_dir: Path, *, now_s: float | None = None) -> ChatSession:
    """Begin a session, named by date and time and a few random digits."""
    now = time.localtime(now_s)
    name = f"{time.strftime('%Y%m%d-%H%M%S', now)}-{secrets.token_hex(2)}"
    return ChatSession(index_dir / FOLDER / f"{name}.jsonl", time.strftime("%Y-%m-%d %H:%M:%S", now))


def sessions(index_dir: Path) -> list[ChatSession]:
    """All sessions of an index, the latest first; a file that is no session is passed over."""
    found: list[ChatSession] = []
    for path in sorted((index_dir / FOLDER).glob("*.jsonl"), reverse=True):
        session = _read(path)
        if session is not None and session.turns:
            found.append(session)
    return found


def resume_session(index_dir: Path, name: str | None) -> ChatSession:
    """Take up the session `name`, or the latest.

    `name` may be the beginning of a name. Raises `docrag.errors.UsageError` when there is none, or several.
    """
    known = sessions(index_dir)
    if not known:
        raise UsageError(f"{index_dir}: there is no conversation to take up; begin one with: docrag chat")
    if name is None:
        return known[0]
    fitting = [session for session in known if session.session_id.startswith(name)]
    if len(fitting) != 1:
        names = ", ".join(session.session_id for session in (fitting or known)[:5])
        raise UsageError(
            f"{'several conversations begin' if fitting else 'no conversation begins'} with {name}: {names}"
        )
    return fitting[0]


def _read(path: Path) -> ChatSession | None:
    with storage_errors(path, "reading"):
        lines = path.read_text("utf-8", errors="replace").splitlines()
    values: list[dict[str, Any]] = []
    for line in lines:
        try:
            value: object = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            values.append(cast(dict[str, Any], value))
    if not values or values[0].get("format") != FORMAT:
        return None
    session = ChatSession(path, str(values[0].get("started_at", "")))
    for value in values[1:]:
        try:
            session.turns.append(_turn_of(value))
        except (KeyError, TypeError, ValueError):
            continue
    if session.turns:
        session.scope = session.turns[-1].scope
    session.n_written = len(session.turns)
    return session


def _is_whole(file: BinaryIO) -> bool:
    """Whether a file is empty or ends with a line break; what is written next begins a line of its own."""
    if not file.tell():
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _turn_values(turn: ChatTurn) -> dict[str, Any]:
    return {
        "question": turn.question,
        "asked": turn.asked,
        "scope": scope_values(turn.scope),
        "answer": dict(turn.answer),
    }


def _turn_of(values: Mapping[str, Any]) -> ChatTurn:
    answer: dict[str, Any] = values["answer"]
    if not isinstance(answer["answer"], str) or not isinstance(answer["citations"], list):
        raise TypeError("the answer is none")
    return ChatTurn(
        str(values["question"]),
        str(values["asked"]),
        read_scope_values(values["scope"]),
        answer,
    )
