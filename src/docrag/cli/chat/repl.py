"""The loop of a conversation: reads lines, asks, and obeys commands; an error ends no conversation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from docrag.cli.chat.lines import COMMANDS, Ask, Command, documents_named, read_line
from docrag.cli.chat.screen import AnswerScreen
from docrag.cli.output import Output
from docrag.cli.steps import steps_shown
from docrag.errors import DocragError, UsageError
from docrag.report.printable import one_line, printable

if TYPE_CHECKING:
    from docrag.cli.chat.terminal_images import Protocol
    from docrag.pipeline.chat_sessions import ChatSession, ChatTurn
    from docrag.pipeline.docrag import DocRAG
    from docrag.retrieve.query.follow_up import FollowUpRewriter
    from docrag.types import Answer, Scope

PROMPT = "> "
SHORT_CHARS = 100
N_EXPLAINED = 10
"""Pages that /why shows."""


class Repl:
    """One conversation in a terminal, or with lines from a pipe.

    `read` returns the next line typed; EOFError ends the conversation. Ctrl-C calls off the answer that is
    being made, and at the prompt drops the line. `keep_trace` is given every answer and where it looked.
    `fixed` is the scope of the command line, which narrowing
    starts from and /new goes back to.
    """

    def __init__(
        self,
        rag: DocRAG,
        session: ChatSession,
        output: Output,
        *,
        read: Callable[[str], str],
        rewriter: FollowUpRewriter,
        keep_trace: Callable[[Answer, Scope], None],
        fixed: Scope,
        new_session: Callable[[], ChatSession],
        images: Protocol = "none",
        password: str | None = None,
    ) -> None:
        self.session = session
        self._rag = rag
        self._output = output
        self._read = read
        self._rewriter = rewriter
        self._keep_trace = keep_trace
        self._fixed = fixed
        self._new_session = new_session
        self._images: Protocol = images
        self._password = password
        self._last: Answer | None = None
        self._commands: dict[str, Callable[[str], None]] = {
            "help": self._help,
            "pages": self._pages,
            "scope": self._scope,
            "docs": self._docs,
            "why": self._why,
            "open": self._open,
            "save": self._save,
            "history": self._history,
            "new": self._new,
        }

    def run(self) -> None:
        """Talk until the end of input, or /quit."""
        while True:
            try:
                line = self._read(PROMPT)
            except EOFError:
                return
            except KeyboardInterrupt:
                self._output.note("\n(Ctrl-D or /quit ends the conversation)")
                continue
            if not line.strip():
                continue
            try:
                typed = read_line(line)
                if isinstance(typed, Command) and typed.name == "quit":
                    return
                self._do(typed)
            except KeyboardInterrupt:
                self._output.note("\nstopped")
            except DocragError as error:
                self._output.warn(str(error))

    def _do(self, typed: Command | Ask) -> None:
        if isinstance(typed, Command):
            self._commands[typed.name](typed.argument)
        else:
            self._ask(typed)

    # ── questions ────────────────────────────────────────────────────────────────────────────────────

    def _ask(self, typed: Ask) -> None:
        from docrag.chat.events import AnswerEvent
        from docrag.pipeline.chat_sessions import ChatTurn
        from docrag.report.shapes import answer_values
        from docrag.retrieve.query.follow_up import Turn

        if typed.docs is not None:
            known = [document.doc for document in self._rag.corpus.select(self._fixed)]
            docs = documents_named(typed.docs, known)
            self.session.scope = replace(
                self.session.scope, docs=docs if docs is not None else self._fixed.docs
            )
            self._scope("")
        if not typed.question:
            return
        turns = [Turn(turn.asked, turn.answer_text) for turn in self.session.turns]
        with steps_shown(self._output) as listener:
            follow_up = self._rewriter.rewrite(turns, typed.question, listener=listener)
        if follow_up.warning:
            self._output.warn(follow_up.warning)
        if follow_up.question != typed.question:
            self._output.note(f"understood as: {follow_up.question}")
        scope = self.session.scope
        screen = AnswerScreen(self._output)
        events = self._rag.stream(follow_up.question, scope=scope)
        try:
            for event in events:
                screen.show(event)
                if isinstance(event, AnswerEvent):
                    self._last = event.answer
                    values = answer_values(event.answer)
                    try:
                        self.session.add(ChatTurn(typed.question, follow_up.question, scope, values))
                    finally:
                        self._keep_trace(event.answer, scope)
        finally:
            screen.close()
            events.close()

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────

    def _help(self, _argument: str) -> None:
        from rich.table import Table

        table = Table(box=None, show_header=False, pad_edge=False)
        for name, does in COMMANDS.items():
            table.add_row(f"/{name}", does)
        table.add_row("@NAME", "in a question: look only at this document from now on; @all lifts it")
        table.add_row("Ctrl-C", "stops an answer, not the conversation")
        self._output.print(table)

    def _pages(self, argument: str) -> None:
        from docrag.cli.scope import read_pages

        pages = read_pages(argument) if argument else self._fixed.pages
        self.session.scope = replace(self.session.scope, pages=pages)
        self._scope("")

    def _scope(self, _argument: str) -> None:
        self._output.note(f"looking at {scope_text(self.session.scope)}")

    def _docs(self, argument: str) -> None:
        documents = self._rag.corpus.select(self._fixed)
        shown = [d for d in documents if argument.casefold() in d.doc.casefold()]
        for document in shown:
            self._output.print(printable(f"{document.doc}  ({document.n_pages} pages)"))
        if not shown:
            self._output.note(f'no document of {len(documents)} has "{argument}" in its name')

    def _why(self, _argument: str) -> None:
        from docrag.cli.search import cuts_table, first_cuts, sources_table, steps_table
        from docrag.runs.traces import FOLDER, TraceStore

        turn = self._turn()
        self._output.note(f"searched for: {turn.asked}\nin {scope_text(turn.scope)}")
        result = self._rag.search(turn.asked, k=N_EXPLAINED, scope=turn.scope)
        self._output.print(sources_table(result.hits))
        if result.cuts:
            self._output.print(cuts_table(first_cuts(result.cuts, N_EXPLAINED)))
        steps = self._last.trace if self._last is not None else result.steps
        self._output.print(steps_table(steps))
        trace_id = str(turn.answer.get("trace_id", ""))
        if trace_id and TraceStore(self._rag.index_dir / FOLDER).find(trace_id):
            self._output.note(
                f"ask again as it was asked: docrag replay {trace_id[:12]} --index {self._rag.index_dir}"
            )

    def _open(self, argument: str) -> None:
        from docrag.geometry import Box

        number, _, target = argument.partition(" ")
        citations = self._turn().citations
        if not number.isdigit() or not 1 <= int(number) <= len(citations):
            has = f"citations 1 to {len(citations)}" if citations else "no citations"
            raise UsageError(f"/open {argument}: the last answer has {has}; for example /open 1")
        citation = citations[int(number) - 1]
        doc, page_no = str(citation["doc"]), int(citation["page"])
        path = (
            Path(target.strip()).expanduser() if target.strip() else Path(f"{Path(doc).stem}-p{page_no}.png")
        )
        boxes = tuple(Box(*box) for box in citation["boxes"])
        self._rag.write_page(str(citation["doc_id"]), page_no, path, boxes=boxes, password=self._password)
        where = "" if boxes else " (no box is known: the whole page)"
        self._output.print(printable(f"{doc}, page {page_no}: {path.absolute()}{where}"))
        if self._images != "none":
            from docrag.cli.chat.terminal_images import escape_sequence

            self._output.stdout.file.write(escape_sequence(path.read_bytes(), self._images))
            self._output.stdout.file.flush()

    def _save(self, argument: str) -> None:
        from docrag.cli.chat.transcript import transcript_json, transcript_markdown
        from docrag.errors import StorageError

        self._turn()
        path = Path(argument).expanduser() if argument else Path(f"chat-{self.session.session_id}.md")
        if path.suffix.lower() in (".html", ".htm"):
            if self._last is None:
                raise UsageError("/save: only an answer of this run can be written with its pages; ask again")
            self._rag.write_report(self._last, path, password=self._password)
            self._output.print(printable(f"the last answer: {path.absolute()}"))
            return
        writers = {".md": transcript_markdown, ".json": transcript_json}
        write = writers.get(path.suffix.lower())
        if write is None:
            raise UsageError(f"/save {argument}: expected a file that ends in .md, .json or .html")
        try:
            path.write_text(write(self.session), "utf-8")
        except OSError as error:
            raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error
        self._output.print(printable(f"{len(self.session.turns)} turns: {path.absolute()}"))

    def _history(self, _argument: str) -> None:
        for n, turn in enumerate(self.session.turns, 1):
            answer = one_line(turn.answer_text, limit=SHORT_CHARS)
            self._output.print(printable(f"{n}. {turn.question}\n   {answer}"))
        if not self.session.turns:
            self._output.note("nothing was asked yet")

    def _new(self, _argument: str) -> None:
        self.session = self._new_session()
        self.session.scope = self._fixed
        self._last = None
        self._output.note(f"a new conversation, looking at {scope_text(self._fixed)}")

    def _turn(self) -> ChatTurn:
        if not self.session.turns:
            raise UsageError("nothing was asked yet")
        return self.session.turns[-1]


def scope_text(scope: Scope) -> str:
    """A scope in words."""
    docs = "all documents" if scope.docs is None else ", ".join(scope.docs) or "no document"
    pages = "" if scope.pages is None else f", pages {', '.join(_range_text(r) for r in scope.pages)}"
    meta = "" if not scope.metadata else f", where {', '.join(f'{k}={v}' for k, v in scope.metadata.items())}"
    return docs + pages + meta


def _range_text(pages: tuple[int, int]) -> str:
    from docrag.cli.scope import LAST_PAGE

    first, last = pages
    if last >= LAST_PAGE:
        return f"{first}-"
    return str(first) if first == last else f"{first}-{last}"


def keyboard(history: Path | None, words: Callable[[], Sequence[str]]) -> Callable[[str], str]:
    """Return `input` with editing, completion of `words` by the tabulator, and lines kept in `history`.

    Where the platform has no readline, it is plain `input`.
    """
    try:
        import readline
    except ImportError:
        return input
    if history is not None:
        with suppress(OSError):
            readline.read_history_file(history)
    readline.set_history_length(1000)
    readline.set_completer_delims(" \t\n")

    def complete(text: str, state: int) -> str | None:
        fitting = [word for word in words() if text and word.casefold().startswith(text.casefold())]
        return fitting[state] if state < len(fitting) else None

    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")

    def read(prompt: str) -> str:
        line = input(prompt)
        if history is not None and line.strip():
            with suppress(OSError):
                history.parent.mkdir(parents=True, exist_ok=True)
                readline.write_history_file(history)
                os.chmod(history, 0o600)
        return line

    return read
