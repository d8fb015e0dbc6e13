"""``docrag chat``, with lines from a pipe and at a terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image
from tests.cli.cli_support import FAST, write_reports
from tests.cli.conftest import CommandLine, Result

REVENUE = "What was the revenue in 2023?"


@pytest.fixture
def talk(docrag: CommandLine, reports: Path, monkeypatch: pytest.MonkeyPatch):
    def say(*lines: str, options: tuple[str, ...] = ()) -> Result:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(line + "\n" for line in lines)))
        return docrag("chat", "--index", reports / ".docrag", *FAST, *options)

    return say


def test_questions_are_answered_with_their_places(talk):
    result = talk(REVENUE)
    assert result.code == 0
    assert "4.2 million" in result.out
    assert "[1] report.pdf, page 1" in result.out
    assert "docrag chat --session" in result.err


def test_a_follow_up_is_completed_from_the_question_before(talk):
    result = talk(REVENUE, "And in 2022?")
    assert "understood as: What was the revenue in 2022?" in result.err
    assert "3.9 million" in result.out


def test_that_a_model_reads_the_conversation_is_said_while_it_does(talk):
    reply = 'models.default.replies=["{\\"question\\": \\"What was the revenue in 2022?\\"}"]'
    options = ("--set", "models.default.kind=scripted", "--set", reply)
    said = talk(REVENUE, "And the year before?", options=options)
    assert said.err.index("… reading the conversation") < said.err.index(
        "understood as: What was the revenue"
    )
    assert "3.9 million" in said.out


def test_every_answer_of_a_conversation_can_be_asked_again(talk, docrag: CommandLine, reports: Path):
    said = talk(REVENUE, "And in 2022?", "/why", options=("--json",))
    last = json.loads(said.out[said.out.index("{\n") :])["turns"][1]["answer"]
    command = re.search(r"docrag (replay \w+ --index \S+)", said.err)
    assert command is not None
    again = docrag(*command[1].split(), "--json").json
    assert (again["trace_id"], again["question"]) == (last["trace_id"], "What was the revenue in 2022?")
    assert (again["same"], again["answer"]) == (True, last["answer"])
    assert len(list((reports / ".docrag" / "traces").glob("*.json"))) == 2


def test_a_conversation_without_traces_keeps_none(talk, reports: Path):
    said = talk(REVENUE, "/why", options=("--no-trace",))
    assert "4.2 million" in said.out
    assert "docrag replay" not in said.err
    assert not (reports / ".docrag" / "traces").exists()


def test_a_trace_that_cannot_be_written_is_said_and_the_conversation_goes_on(talk, reports: Path):
    (reports / ".docrag" / "traces").write_text("in the way")
    said = talk(REVENUE, "And in 2022?")
    assert said.err.count("no trace is kept") == 2
    assert "3.9 million" in said.out


def test_an_at_sign_narrows_from_then_on_and_all_lifts_it(talk):
    result = talk(f"@notes {REVENUE}", "@all " + REVENUE)
    assert "looking at sub/notes.pdf" in result.err
    first, _, second = result.out.partition("Not answerable")
    assert "4.2" not in first
    assert "4.2 million" in second


def test_pages_narrow_and_widen_again(talk):
    result = talk("/pages 2-", REVENUE, "/pages", REVENUE)
    assert "looking at all documents, pages 2-" in result.err
    assert "Not answerable" in result.out
    assert "4.2 million" in result.out


def test_what_the_command_line_fixed_stays_fixed(talk):
    result = talk(f"@report {REVENUE}", "/pages", "/docs", options=("--doc", "sub/*"))
    assert 'no document fits "@report"' in result.err
    assert "report.pdf" not in result.out
    assert "sub/notes.pdf" in result.out


def test_why_shows_ranks_scores_and_steps(talk):
    result = talk("/why", REVENUE, "/why")
    assert "nothing was asked yet" in result.err
    assert f"searched for: {REVENUE}" in result.err
    assert "bm25" in result.out
    assert "verify citations" in result.out


def test_open_writes_the_cited_page_with_its_boxes(talk, tmp_path: Path):
    result = talk("/open 1", REVENUE, "/open 2", "/open 1", "/open 1 other.png")
    assert "nothing was asked yet" in result.err
    assert "/open 2: the last answer has citations 1 to 1" in result.err
    assert "report-p1.png" in result.out
    with Image.open(tmp_path / "report-p1.png") as picture, Image.open(tmp_path / "other.png") as other:
        assert picture.size == other.size
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    assert (245, 158, 11) in colours  # the frame around the quote


def test_a_terminal_that_shows_pictures_gets_the_page(talk):
    result = talk(REVENUE, "/open 1", options=("--images", "kitty"))
    assert "\x1b_Ga=T,f=100" in result.out


def test_save_writes_the_conversation(talk, tmp_path: Path):
    result = talk(
        "/save", REVENUE, "/save a.md", "/save b.json", "/save c.html", "/save d.txt", "/save no/e.md"
    )
    assert "nothing was asked yet" in result.err
    assert REVENUE in (tmp_path / "a.md").read_text()
    assert len(json.loads((tmp_path / "b.json").read_text())["turns"]) == 1
    assert "<html" in (tmp_path / "c.html").read_text()
    assert "expected a file that ends in .md, .json or .html" in result.err
    assert "no/e.md: cannot be written" in result.err
    assert not (tmp_path / "d.txt").exists()


def test_a_session_is_resumed_with_its_scope_and_history(talk):
    talk(f"@report {REVENUE}")
    result = talk("And in 2022?", "/history", "/scope", options=("--resume",))
    assert "1 turns so far" in result.err
    assert "understood as: What was the revenue in 2022?" in result.err
    assert f"1. {REVENUE}" in result.out
    assert "looking at report.pdf" in result.err


def test_new_begins_another_conversation(talk):
    result = talk(f"@report {REVENUE}", "/new", "And in 2022?", "/history")
    assert "a new conversation, looking at all documents" in result.err
    assert "understood as" not in result.err
    listed = talk(options=("--list",))
    assert len(listed.out.splitlines()) == 2


def test_json_prints_the_conversation_at_its_end(talk):
    result = talk(REVENUE, "And in 2022?", options=("--json",))
    assert [t["asked"] for t in result.json["turns"]] == [REVENUE, "What was the revenue in 2022?"]
    assert result.json["turns"][0]["answer"]["citations"][0]["page"] == 1
    assert json.loads(talk(options=("--list", "--json")).out)[0]["turns"] == 2


def test_mistakes_end_no_conversation(talk):
    result = talk("/nonsense", "/pages x", "@nobody what?", "", "   ", "/quit", "never read")
    assert result.code == 0
    for said in ("no command /nonsense", "--pages x", 'no document fits "@nobody"'):
        assert said in result.err


def test_help_lists_every_command(talk):
    from docrag.cli.chat.lines import COMMANDS

    out = talk("/help").out
    assert all(f"/{name}" in out for name in COMMANDS)


def test_without_an_index_it_says_how_to_make_one(docrag: CommandLine):
    result = docrag("chat")
    assert result.code == 3
    assert "docrag index FOLDER" in result.err


def test_resuming_nothing_is_an_error(talk):
    result = talk(options=("--resume",))
    assert result.code == 1
    assert "no conversation to take up" in result.err


# ── at a terminal ────────────────────────────────────────────────────────────────────────────────────────


class Terminal:
    """A process at a pseudo-terminal."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self._seen = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str, *, timeout_s: float = 60.0) -> str:
        """Read until `pattern` appears; return what came before and with it."""
        deadline = time.monotonic() + timeout_s
        while (match := re.search(pattern, self._seen, re.DOTALL)) is None:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"waited {timeout_s} s for {pattern!r}; seen so far:\n{self._seen}"
            self._seen += os.read(self._master, 65536).decode("utf-8", "replace")
        read, self._seen = self._seen[: match.end()], self._seen[match.end() :]
        return read


@contextmanager
def at_terminal(*arguments: str, folder: Path) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "docrag", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=folder,
        start_new_session=True,
        preexec_fn=_own_terminal,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "160", "NO_COLOR": "1"},
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def _own_terminal() -> None:
    """Make the pseudo-terminal the controlling one, so that Ctrl-C becomes a signal."""
    import fcntl
    import signal
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_conversation_at_a_terminal(tmp_path: Path):
    folder = write_reports(tmp_path / "reports")
    with at_terminal("chat", str(folder), *FAST, folder=tmp_path) as terminal:
        terminal.wait_for(r"2 documents, looking at all documents.*> ")
        terminal.type(f"{REVENUE}\n")
        assert "4.2 million" in terminal.wait_for(r"Looked at.*> ")
        terminal.type("And in 2022?\n")
        assert "3.9 million" in terminal.wait_for(r"Looked at.*> ")
        time.sleep(0.5)  # a signal between readline's prompt and its wait is seen with the next key only
        terminal.type("\x03")  # Ctrl-C at the prompt drops the line, no more
        terminal.wait_for(r"ends the conversation.*> ")
        terminal.type("@not\t\n")  # completed to the document's name
        terminal.type("/pages 1\n")
        terminal.wait_for(r"pages 1.*> ")
        terminal.type("\x04")
        terminal.wait_for(r"docrag chat --session \S+")
        assert terminal.process.wait(timeout=20) == 0
    assert (folder / ".docrag" / "chats" / "typed").read_text().count(REVENUE) == 1


# ── an answer that takes too long ────────────────────────────────────────────────────────────────────────


class SlowModel:
    """A chat endpoint that begins its first reply and never ends it; later replies are whole."""

    def __init__(self, reply: str) -> None:
        self.n_calls = 0
        self.left = threading.Event()
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                model.n_calls += 1
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                if model.n_calls == 1:
                    self._send('{"answerable": true, "sentences": [{"text": "Revenue was about ')
                    try:
                        while True:  # until the other side hangs up
                            self.wfile.write(b": wait\n\n")
                            self.wfile.flush()
                            time.sleep(0.05)
                    except OSError:
                        model.left.set()
                        return
                self._send(reply)
                self.wfile.write(b"data: [DONE]\n\n")

            def _send(self, text: str) -> None:
                chunk = {"choices": [{"index": 0, "delta": {"content": text}}]}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def slow_model() -> Iterator[SlowModel]:
    quote = {"id": "E1", "quote": "Revenue in 2023 was 4.2 million euros"}
    sentence = {"text": "Revenue was 4.2 million euros.", "citations": [quote]}
    model = SlowModel(json.dumps({"answerable": True, "sentences": [sentence]}))
    yield model
    model.server.shutdown()
    model.server.server_close()


@pytest.mark.loopback
def test_ctrl_c_stops_an_answer_and_not_the_conversation(slow_model: SlowModel, tmp_path: Path):
    folder = write_reports(tmp_path / "reports")
    model = ["kind=openai", f"base_url={slow_model.url}", "model=slow"]
    options = [*FAST, "--set", "answer.kind=single-pass", "--set", "answer.context.modality=text"]
    for setting in model:
        options += ["--set", f"models.default.{setting}"]
    with at_terminal("chat", str(folder), *options, folder=tmp_path) as terminal:
        terminal.wait_for(r"looking at all documents.*> ")
        terminal.type(f"{REVENUE}\n")
        terminal.wait_for("Revenue was")  # its first words are streamed
        terminal.type("\x03")
        terminal.wait_for(r"stopped.*> ")
        assert slow_model.left.wait(20), "the request goes on after Ctrl-C"
        terminal.type("/history\n")
        assert "nothing was asked yet" in terminal.wait_for(r"asked yet.*> ")
        terminal.type(f"{REVENUE}\n")
        answer = terminal.wait_for(r"Looked at.*> ")
        assert answer.count("Revenue was 4.2 million euros.") == 1  # streamed, and not printed again
        assert "[1] report.pdf, page 1" in answer
        terminal.type("/quit\n")
        assert terminal.process.wait(timeout=20) == 0
