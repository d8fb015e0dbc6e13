"""The command ``docrag chat``."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docrag.cli.options import (
    ConfigOption,
    DocOption,
    IndexOption,
    JsonOption,
    MetaOption,
    NoTraceOption,
    PagesOption,
    PasswordFileOption,
    PasswordOption,
    QuietOption,
    SetOption,
)
from docrag.cli.output import Output

if TYPE_CHECKING:
    from docrag.pipeline.chat_sessions import ChatSession
    from docrag.pipeline.docrag import DocRAG
    from docrag.types import Answer, Scope

TYPED_FILE = "typed"
"""File of the lines typed, beside the sessions."""


class Images(StrEnum):
    """How pictures are shown."""

    AUTO = "auto"
    KITTY = "kitty"
    ITERM = "iterm"
    NONE = "none"


def chat(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Folders or files, indexed first if needed."),
    ] = None,
    index_dir: IndexOption = None,
    doc: DocOption = None,
    pages: PagesOption = None,
    meta: MetaOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Take up the last conversation.")] = False,
    session_name: Annotated[
        str | None,
        typer.Option("--session", metavar="NAME", help="Take up this one; the beginning of its name does."),
    ] = None,
    list_sessions: Annotated[bool, typer.Option("--list", help="List the conversations so far.")] = False,
    images: Annotated[
        Images, typer.Option("--images", help="Show pages by this terminal's protocol, or only as files.")
    ] = Images.AUTO,
    no_trace: NoTraceOption = False,
    password: PasswordOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Talk with a folder of documents; /help lists the commands.

    With PATHs, these are indexed first where something changed, and only they are asked. Lines may come from
    a pipe, too; with --json the conversation is printed at its end. Conversations stay in the index, and the
    trace of every answer, for docrag replay.
    """
    from docrag.cli.ask import bring_up_to_date, try_to_keep_trace
    from docrag.cli.chat.repl import Repl, keyboard, scope_text
    from docrag.cli.chat.terminal_images import protocol_of
    from docrag.cli.chat.transcript import transcript_values
    from docrag.cli.passwords import read_password
    from docrag.cli.scope import read_scope
    from docrag.config import load
    from docrag.pipeline import DocRAG
    from docrag.pipeline.chat_sessions import FOLDER, new_session, resume_session

    output = Output(as_json=as_json, quiet=quiet)
    password = read_password(password, password_file)
    fixed = read_scope(doc, pages, meta)
    loaded = load(config, overrides=set_ or ())
    is_terminal = sys.stdin.isatty()
    code = 0
    with DocRAG.open(*paths or (), index=index_dir, settings=loaded.settings) as rag:
        if list_sessions:
            _print_sessions(rag, output)
            return
        if paths:
            code = bring_up_to_date(rag, paths, output, password=password)
            fixed = rag.within(paths, fixed)
        n_documents = len(rag.corpus.select(fixed))
        session = new_session(rag.index_dir)
        session.scope = fixed
        if resume or session_name is not None:
            session = resume_session(rag.index_dir, session_name)
            output.note(f"conversation {session.session_id}, {len(session.turns)} turns so far")
        output.note(
            f"{n_documents} documents, looking at {scope_text(session.scope)}; /help lists the commands"
        )

        def words() -> list[str]:
            from docrag.cli.chat.lines import COMMANDS

            return [*(f"/{name}" for name in COMMANDS), *(f"@{d.doc}" for d in rag.documents())]

        def keep_trace(answer: Answer, scope: Scope) -> None:
            if not no_trace:
                try_to_keep_trace(rag, answer, scope, loaded.masked(), output)

        shown = protocol_of(os.environ, is_terminal=sys.stdout.isatty())
        repl = Repl(
            rag,
            session,
            output,
            read=keyboard(rag.index_dir / FOLDER / TYPED_FILE, words) if is_terminal else _from_pipe,
            rewriter=rag.follow_ups(),
            keep_trace=keep_trace,
            fixed=fixed,
            new_session=lambda: new_session(rag.index_dir),
            images=shown if images is Images.AUTO else images.value,
            password=password,
        )
        repl.run()
        if as_json:
            output.json(transcript_values(repl.session))
        elif repl.session.turns:
            output.note(f"take it up again with: docrag chat --session {repl.session.session_id}")
    raise typer.Exit(code)


def _from_pipe(_prompt: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _print_sessions(rag: DocRAG, output: Output) -> None:
    from docrag.pipeline.chat_sessions import sessions

    found = sessions(rag.index_dir)
    if output.as_json:
        output.json([_session_values(session) for session in found])
        return
    for session in found:
        first = session.turns[0].question
        output.print(f"{session.session_id}  {len(session.turns)} turns  {first}")
    if not found:
        output.note(f"{rag.index_dir}: no conversations yet")


def _session_values(session: ChatSession) -> dict[str, object]:
    return {
        "session": session.session_id,
        "started_at": session.started_at,
        "turns": len(session.turns),
        "first_question": session.turns[0].question,
    }
