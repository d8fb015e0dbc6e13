"""Everything that goes wrong is one clear line with a next step, and the right exit code."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from tests.cli.cli_support import FAST, write_reports

from docrag.cli import main
from docrag.errors import IndexLocked
from docrag.store.lock import WriterLock


def test_help_names_every_command(docrag):
    result = docrag("--help")
    assert result.code == 0
    for command in ("index", "ask", "search", "show", "ls", "doctor", "eval", "config"):
        assert command in result.out


def test_help_breaks_its_lines_where_the_terminal_ends(docrag):
    lines = docrag("chat", "--help").out.splitlines()  # on a terminal of 200 columns
    assert any("only they are asked. Lines may come from a pipe" in line for line in lines)


@pytest.mark.parametrize("command", [[], ["config"]])
def test_a_bare_command_prints_its_help(docrag, command):
    result = docrag(*command)
    assert (result.code, result.err) == (1, "")
    assert "Usage: docrag" in result.out


def test_the_version_is_printed(docrag):
    result = docrag("--version")
    assert (result.code, result.out.split()[0]) == (0, "docrag")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serch", "x"], ["serch", "search", "see docrag --help"]),
        (["index"], ["Missing argument", "PATH", "see docrag index --help"]),
        (["eval", "x", "--out", "y"], ["--task", "retrieval", "answers"]),
        (["search", "x", "--unit", "word"], ["--unit", "page", "region"]),
        (["search", "x", "-k", "0"], ["-k"]),
        (["search", "x", "--pages", "9-3"], ["--pages 9-3"]),
        (["index", "nowhere"], ["nowhere does not exist"]),
        (["ask", "q", "nowhere"], ["nowhere does not exist"]),
        (["ask", ""], ["the question is empty", "expected some words"]),
        (["ask", " \t", "nowhere"], ["the question is empty"]),
        (["search", " "], ["the query is empty", "expected some words"]),
        (["show", "nowhere.pdf", "-p", "1"], ["nowhere.pdf", "no such file"]),
        (["show", ".", "-p", "1"], [".: is a folder", "docrag ls"]),
        (["config", "show", "--config", "fsat"], ["fsat", "did you mean fast?"]),
        (["run", "mine.yaml"], ["mine.yaml: no such file", "docrag config presets"]),
        (["config", "show", "--config", "sub/fast"], ["sub/fast: no such file"]),
        (["config", "show", "--set", "ingest.layot=fast"], ['"ingest.layot"', "did you mean layout?"]),
        (["config", "show", "--set", "ingest.layout=fats"], ['"fats"', "did you mean fast?"]),
        (["config", "show", "--set", "embed.kind=openai"], ["embed.model", "required"]),
    ],
)
def test_a_usage_error_is_one_line_and_exits_with_1(docrag, arguments, words):
    result = docrag(*arguments)
    assert result.code == 1
    assert result.out == ""
    assert len(result.err.splitlines()) == 1
    assert all(word in result.err for word in words), result.err


def test_an_error_is_a_json_document_too_when_json_was_asked_for(docrag):
    result = docrag("index", "nowhere", "--json")
    error = result.json["error"]
    assert (result.code, error["exit_code"], error["kind"]) == (1, 1, "UsageError")
    assert "nowhere does not exist" in error["message"]


@pytest.mark.parametrize("command", [["ls"], ["search", "x"], ["ask", "x"]])
def test_without_an_index_the_next_step_is_named(docrag, command):
    result = docrag(*command)
    assert result.code == 3
    assert "no index here; make one with: docrag index FOLDER" in result.err


def test_an_empty_folder_leaves_no_index_behind(docrag, tmp_path):
    (tmp_path / "empty").mkdir()
    result = docrag("index", "empty")
    assert result.code == 3
    assert "empty: no PDF found" in result.err
    assert os.listdir(tmp_path / "empty") == []


def test_an_index_is_not_taken_for_a_folder_of_documents(docrag, reports):
    result = docrag("index", reports / ".docrag", *FAST)
    assert result.code == 1
    assert f"{reports / '.docrag'}: is an index; name the folder of its documents: {reports}" in result.err


def test_an_index_of_another_encoder_is_refused_and_left_alone(docrag, reports):
    before = sorted(path.name for path in (reports / ".docrag").iterdir())
    result = docrag("index", reports)
    assert result.code == 3
    assert "another text encoder" in result.err
    assert sorted(path.name for path in (reports / ".docrag").iterdir()) == before


def test_an_index_of_a_newer_format_is_refused(docrag, reports):
    manifest = reports / ".docrag" / "manifest.json"
    body = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**body, "format": 99}))
    for command in (["ls", "--index", reports / ".docrag"], ["index", reports, *FAST]):
        result = docrag(*command)
        assert result.code == 3
        assert "format 99" in result.err
        assert "upgrade docrag" in result.err


def test_a_locked_index_names_its_holder_and_can_be_read_meanwhile(docrag, reports):
    lock = WriterLock(reports / ".docrag", command="docrag index elsewhere")
    lock.acquire()
    try:
        result = docrag("index", reports, *FAST)
        assert result.code == IndexLocked.exit_code == 3
        assert f"process {os.getpid()}" in result.err
        assert "docrag index elsewhere" in result.err
        assert docrag("ls", "--index", reports / ".docrag").code == 0
    finally:
        lock.release()


@pytest.fixture
def failing(monkeypatch):
    """Make the command `ls` raise an error."""

    def fail_with(error: BaseException):
        def opened(*_args, **_kwargs):
            raise error

        monkeypatch.setattr("docrag.pipeline.DocRAG.open", opened)

    return fail_with


def test_a_full_disk_is_said_plainly(docrag, failing):
    failing(OSError(errno.ENOSPC, "No space left on device", "/somewhere/file"))
    result = docrag("ls")
    assert result.code == 3
    assert result.err == "docrag: no space left on the disk (/somewhere/file); free some and run again\n"


def test_what_nobody_foresaw_is_no_traceback_unless_asked_for(docrag, failing, monkeypatch):
    failing(RuntimeError("odd"))
    result = docrag("ls")
    assert result.code == 3
    assert "internal error: RuntimeError: odd" in result.err
    assert "Traceback" not in result.err
    monkeypatch.setenv(main.DEBUG_VARIABLE, "1")
    with pytest.raises(RuntimeError, match="odd"):
        docrag("ls")


@pytest.mark.skipif(os.name == "nt", reason="a closed pipe is another error there")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_has_closed_the_pipe_ends_a_command_quietly(reports, options):
    command = [sys.executable, "-c", "from docrag.cli.main import main; main()", "ls", "--index"]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*command, reports / ".docrag", *options],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_an_interrupt_exits_with_130(docrag, failing):
    failing(KeyboardInterrupt())
    assert docrag("ls").code == 130


def test_an_interrupted_index_run_says_that_the_index_is_good(docrag, reports, monkeypatch):
    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("docrag.pipeline.indexing.index_paths", interrupted)
    result = docrag("index", reports, *FAST)
    assert result.code == 130
    assert "the index is good, and running the same command again continues" in result.err
    assert docrag("ls", "--index", reports / ".docrag").code == 0


def test_an_index_run_interrupted_before_anything_is_stored_speaks_of_no_index(docrag, tmp_path, monkeypatch):
    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    folder = write_reports(tmp_path / "reports")
    monkeypatch.setattr("docrag.pipeline.indexing.IndexWriter", interrupted)
    result = docrag("index", folder, *FAST)
    assert (result.code, result.err) == (
        130,
        "interrupted before anything was stored; run the command again\n",
    )
    assert "no index here" in docrag("ls", "--index", folder / ".docrag").err


def test_an_index_that_was_moved_with_its_folder_still_knows_it(docrag, reports, tmp_path):
    moved = shutil.move(reports, tmp_path / "moved")
    result = docrag("index", moved, "--json", *FAST)
    assert {file["status"] for file in result.json["files"]} == {"unchanged"}
