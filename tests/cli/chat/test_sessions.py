"""Conversations on disk, and as files to read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docrag.cli.chat.transcript import transcript_json, transcript_markdown
from docrag.errors import StorageError, UsageError
from docrag.pipeline.chat_sessions import ChatTurn, new_session, resume_session, sessions
from docrag.types import Scope

SCOPE = Scope(docs=("a.pdf",), pages=((2, 5),), metadata={"author": "K"}, kinds=("table",))
CITATION = {"n": 1, "doc": "a_b.pdf", "page": 3, "quote": "see [here](http://x) <b>"}


def turn(question: str, *, scope: Scope = SCOPE, answer: str = "5 *million*") -> ChatTurn:
    return ChatTurn(question, question + " indeed", scope, {"answer": answer, "citations": [CITATION]})


def test_a_session_is_taken_up_as_it_was_left(tmp_path: Path):
    session = new_session(tmp_path)
    session.add(turn("one", scope=Scope()))
    session.add(turn("two"))
    again = resume_session(tmp_path, None)
    assert again.turns == session.turns
    assert (again.session_id, again.scope) == (session.session_id, SCOPE)
    again.add(turn("three"))
    assert [t.question for t in resume_session(tmp_path, None).turns] == ["one", "two", "three"]


def test_nothing_is_written_before_the_first_turn(tmp_path: Path):
    new_session(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="no conversation to take up; begin one with: docrag chat"):
        resume_session(tmp_path, None)


def test_the_latest_comes_first_and_names_may_be_cut_short(tmp_path: Path):
    for now_s in (0.0, 86400.0):
        new_session(tmp_path, now_s=now_s).add(turn("q"))
    late, early = (session.session_id for session in sessions(tmp_path))
    assert late > early
    assert resume_session(tmp_path, None).session_id == late
    assert resume_session(tmp_path, early[:8]).session_id == early
    with pytest.raises(UsageError, match="several conversations begin with 19"):
        resume_session(tmp_path, "19")
    with pytest.raises(UsageError, match=f"no conversation begins with 2033: {late}"):
        resume_session(tmp_path, "2033")


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_line_cut_short_loses_that_turn_alone(tmp_path: Path, cut: int):
    session = new_session(tmp_path)
    session.add(turn("one"))
    whole = session.path.read_bytes()
    session.add(turn("two"))
    session.path.write_bytes(session.path.read_bytes()[: len(whole) + cut])
    assert [t.question for t in resume_session(tmp_path, None).turns] == ["one"]


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_turn_added_after_a_line_that_was_cut_short_is_kept(tmp_path: Path, cut: int):
    session = new_session(tmp_path)
    session.add(turn("one"))
    whole = session.path.read_bytes()
    session.add(turn("two"))
    session.path.write_bytes(session.path.read_bytes()[: len(whole) + cut])
    resume_session(tmp_path, None).add(turn("three"))
    assert [t.question for t in resume_session(tmp_path, None).turns] == ["one", "three"]


def test_turns_that_could_not_be_written_stay_and_are_written_later(tmp_path: Path):
    (tmp_path / "chats").write_text("a file where the folder should be")
    session = new_session(tmp_path)
    for question in ("one", "two"):
        with pytest.raises(StorageError):
            session.add(turn(question))
    assert [t.question for t in session.turns] == ["one", "two"]
    (tmp_path / "chats").unlink()
    session.add(turn("three"))
    assert [t.question for t in resume_session(tmp_path, None).turns] == ["one", "two", "three"]


def test_a_lone_surrogate_in_a_question_is_no_reason_to_lose_the_turn(tmp_path: Path):
    session = new_session(tmp_path)
    session.add(turn("caf\udce9"))  # what a shell hands over that is no UTF-8
    session.add(turn("two"))
    assert [t.question for t in resume_session(tmp_path, None).turns] == ["caf\udce9", "two"]


@pytest.mark.parametrize(
    "text", ["", "no json", '{"format": 99}\n{}', "[1]", '{"format": 1}\n{"question": 1}']
)
def test_other_files_are_no_sessions(tmp_path: Path, text: str):
    (tmp_path / "chats").mkdir()
    (tmp_path / "chats" / "x.jsonl").write_text(text)
    assert sessions(tmp_path) == []


def test_a_transcript_reads_well_and_runs_nothing(tmp_path: Path):
    session = new_session(tmp_path)
    session.add(turn("What # is\nit?"))
    text = transcript_markdown(session)
    assert "## What \\# is it?" in text
    assert "*Understood as: What \\# is it? indeed*" in text
    assert "5 \\*million\\*" in text
    assert "- [1] a\\_b.pdf, page 3: “see \\[here\\](http://x) \\<b\\>”" in text


def test_a_transcript_in_json_holds_every_turn(tmp_path: Path):
    session = new_session(tmp_path)
    session.add(turn("one"))
    values = json.loads(transcript_json(session))
    assert values["session"] == session.session_id
    assert values["turns"] == [
        {"question": "one", "asked": "one indeed", "answer": dict(session.turns[0].answer)}
    ]
