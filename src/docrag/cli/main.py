"""``docrag``: assembles the commands, and turns every error into one clear line and an exit code.

Exit codes: 0 all done, 1 usage or configuration, 2 done but some files failed or were refused, 3 nothing
could be done, 130 interrupted, 141 nobody reads the output any more.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from docrag.cli import ask, config, doctor, evaluate, index, ls, replay, search, show
from docrag.cli import run as run_file
from docrag.cli.chat.command import chat
from docrag.cli.output import to_json
from docrag.errors import DocragError
from docrag.report.printable import printable

EXIT_USAGE = 1
EXIT_NOTHING_DONE = 3
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
"""128 + SIGPIPE, what shells see of a Unix tool whose reader has gone."""

DEBUG_VARIABLE = "DOCRAG_DEBUG"


def _help_of(command: Callable[..., None]) -> str:
    """The docstring, each paragraph in one line: typer keeps line ends, whatever the width."""
    return "\n\n".join(" ".join(part.split()) for part in (command.__doc__ or "").split("\n\n"))


app = typer.Typer(
    name="docrag",
    help="Ask folders of PDFs, and see where on which page the answer stands.",
    epilog="Start with: docrag ask 'What was the revenue in 2023?' FOLDER",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# In the order in which one meets them, which is that of the help.
for _name, _command in (
    ("ask", ask.ask),
    ("chat", chat),
    ("search", search.search),
    ("index", index.index),
    ("show", show.show),
    ("ls", ls.ls),
    ("run", run_file.run),
    ("replay", replay.replay),
    ("eval", evaluate.evaluate),
    ("doctor", doctor.doctor),
):
    app.command(_name, help=_help_of(_command))(_command)
app.add_typer(config.app, name="config")


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"docrag {version('docrag')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar=DEBUG_VARIABLE, help="Show tracebacks of errors.")
    ] = False,
) -> None:
    if debug:
        import logging

        os.environ[DEBUG_VARIABLE] = "1"
        logging.basicConfig(stream=sys.stderr, level=logging.DEBUG)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(run(arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line; return the exit code."""
    try:
        code = app(args=list(arguments), prog_name="docrag", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        what = " ".join(error.format_message().split()).rstrip(".")
        if not what:  # a bare group has printed its help
            return EXIT_USAGE
        context: typer.Context | None = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "docrag"
        return _fail(arguments, "UsageError", f"{what}; see {command} --help", EXIT_USAGE)
    except DocragError as error:
        _raise_for_debugging()
        return _fail(arguments, type(error).__name__, str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("docrag: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _without_a_reader()
    except SystemExit as error:
        # typer and rich both exit with 1 then, which is wrong usage here.
        if isinstance(error.__context__, BrokenPipeError):
            return _without_a_reader()
        raise
    except OSError as error:
        _raise_for_debugging()
        return _fail(arguments, "OSError", _explain(error), EXIT_NOTHING_DONE)
    except Exception as error:  # the last boundary: what nobody foresaw must not look like a crash
        _raise_for_debugging()
        message = (
            f"internal error: {type(error).__name__}: {error}; run again with docrag --debug … and report it"
        )
        return _fail(arguments, "InternalError", message, EXIT_NOTHING_DONE)
    return code if isinstance(code, int) else 0


def _without_a_reader() -> int:
    # A second attempt to write, at exit, would fail the same way.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_BROKEN_PIPE


def _explain(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"no space left on the disk ({error.filename or 'temporary files'}); free some and run again"
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror or error}"


def _raise_for_debugging() -> None:
    if os.environ.get(DEBUG_VARIABLE):
        raise


def _fail(arguments: Sequence[str], kind: str, message: str, code: int) -> int:
    for line in message.splitlines() or [kind]:
        print(f"docrag: {printable(line)}", file=sys.stderr)
    if "--json" in arguments:
        print(to_json({"error": {"kind": kind, "message": message, "exit_code": code}}))
    return code
