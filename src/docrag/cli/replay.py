"""``docrag replay``: ask a question again as its trace says, and show what differs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docrag.cli.options import IndexOption, JsonOption, QuietOption, SetOption
from docrag.cli.output import Output

if TYPE_CHECKING:
    from docrag.runs.replay import Replay

EXIT_DIFFERENT = 2


def replay(
    trace_id: Annotated[str, typer.Argument(help="Id of the trace, or how it begins.")],
    index_dir: IndexOption = None,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", metavar="DIR", help="Folder of a run.  [default: those in ./runs]"),
    ] = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Ask a question again with the settings and index of its trace; show step by step what differs.

    Traces are those of docrag ask, docrag chat and Python's keep_trace, kept in the index, and of docrag run,
    in its folder. Exits with 2 when something differs. With --set, shows what another setting changes.
    """
    from docrag.config import load_recorded
    from docrag.pipeline import DocRAG
    from docrag.pipeline.location import DEFAULT_NAME
    from docrag.runs.replay import find_trace, run_folders
    from docrag.runs.replay import replay as ask_again

    output = Output(as_json=as_json, quiet=quiet)
    runs = run if run is not None else run_folders(Path())
    indexes = [index_dir] if index_dir is not None else [] if run is not None else [Path(DEFAULT_NAME)]
    found = find_trace(trace_id, index_dirs=indexes, run_dirs=runs)
    name = f"trace {found.record.trace_id[:12]}"
    loaded = load_recorded(found.record.settings, name=name, overrides=set_ or ())
    output.note(f"{name} of {found.place}, asked of {found.index_dir}")
    with DocRAG.open(index=found.index_dir, settings=loaded.settings) as rag:
        result = ask_again(rag, found.record, config=loaded.masked())
    if as_json:
        output.json(result.to_json())
    else:
        print_replay(output, result)
    raise typer.Exit(0 if result.is_same else EXIT_DIFFERENT)


def print_replay(output: Output, result: Replay) -> None:
    """Print what has changed around the question, then step by step, then the answer."""
    from rich.text import Text

    from docrag.report.printable import one_line, printable

    output.print(Text(printable(result.record.question), style="bold"))
    for what, found in (
        ("the index has changed since", result.index),
        ("versions differ", result.versions),
        ("settings differ", result.settings),
    ):
        if found:
            output.print(Text(f"{what}: {one_line('; '.join(found), limit=600)}", style="yellow"))
    if not result.index:
        output.print("the index is the same")
    for step in result.steps:
        output.print(Text(f"  {step.name}: {step.what}", style="" if step.what == "same" else "yellow"))
        for detail in step.details:
            output.print(Text(f"    {one_line(detail, limit=300)}"))
    if not result.answer:
        output.print(Text(f"same answer: {printable(result.text)}"))
        return
    output.print(Text("the answer differs:", style="yellow"))
    for detail in result.answer:
        output.print(Text(f"    {one_line(detail, limit=300)}"))
