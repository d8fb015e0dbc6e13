"""``docrag run``: everything a run file asks for, into one folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docrag.cli.index import EXIT_INTERRUPTED, EXIT_SOME_FAILED, run_index, run_visual_pass, summary
from docrag.cli.options import JsonOption, QuietOption, SetOption
from docrag.cli.output import Output

if TYPE_CHECKING:
    from docrag.evaluation.run import Progress
    from docrag.runs.run import RunResult

PLAIN_INTERVAL_S = 10.0
"""Seconds between two lines of progress where there is no terminal."""


def run(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="Settings, and a run: section.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of the results.  [default: run.out, or runs/NAME]"),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over.")] = False,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Index documents, ask a list of questions, measure and report: all that a run file says.

    Run again after an interruption: what is done is kept, what failed is tried again.
    """
    from docrag.config import load_run
    from docrag.pipeline import DocRAG
    from docrag.runs.plan import make_plan
    from docrag.runs.run import run_questions

    output = Output(as_json=as_json, quiet=quiet)
    loaded = load_run(config, overrides=set_ or ())
    plan = make_plan(config, loaded.settings.run, loaded.masked(), out=out)
    with DocRAG.open(*plan.documents, index=plan.index_dir, settings=loaded.settings) as rag:
        report = run_index(rag, list(plan.documents), output)
        run_visual_pass(rag, output)
        output.note(f"{rag.index_dir}: {summary(report)}")
        try:
            with question_progress(output) as on_progress:
                result = run_questions(
                    rag,
                    plan.questions,
                    name=plan.name,
                    config=plan.config,
                    options=loaded.settings.run,
                    out=plan.out,
                    fresh=fresh,
                    on_progress=on_progress,
                )
        except KeyboardInterrupt:
            output.warn("interrupted; running the same command again goes on where this stopped")
            raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        output.json(result.to_json() | {"index": report.to_json()["totals"]})
    else:
        _print(output, result)
    if result.n_failed or report.n_failed_files:
        raise typer.Exit(EXIT_SOME_FAILED)


def _print(output: Output, result: RunResult) -> None:
    from docrag.cli.progress import counted

    n_answered = result.n_questions - result.n_abstained - result.n_failed
    resumed = f"; {result.n_resumed} from before" if result.n_resumed else ""
    output.print(
        f"{counted(result.n_questions, 'question')}: {n_answered} answered, {result.n_abstained} abstained, "
        f"{result.n_failed} failed{resumed}"
    )
    for report in result.reports:
        output.print(f"\n{report.to_text()}")
    output.print(f"\n{result.folder}/report.html")


@contextmanager
def question_progress(
    output: Output, *, clock: Callable[[], float] = time.monotonic
) -> Generator[Callable[[Progress], None]]:
    """Yield the function that takes progress: a bar on a terminal, a line every so often elsewhere."""
    if output.quiet:
        yield lambda _progress: None
        return
    if output.stderr.is_terminal:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("questions"), BarColumn(bar_width=24), TextColumn("{task.fields[counts]}"))
        with Bar(*columns, console=output.stderr, transient=True) as bar:
            task = bar.add_task("", total=None, counts="")

            def show(progress: Progress) -> None:
                bar.update(
                    task, total=progress.n_total, completed=progress.n_done, counts=progress_text(progress)
                )

            yield show
        return
    next_s = clock() + PLAIN_INTERVAL_S

    def print_line(progress: Progress) -> None:
        nonlocal next_s
        if clock() >= next_s or progress.n_done == progress.n_total:
            next_s = clock() + PLAIN_INTERVAL_S
            output.note(progress_text(progress))

    yield print_line


def progress_text(progress: Progress) -> str:
    """``12/40 questions, 9 s left, 1 failed``."""
    from docrag.cli.progress import duration

    left = f", {duration(progress.eta_s)} left" if progress.eta_s else ""
    failed = f", {progress.n_failed} failed" if progress.n_failed else ""
    return f"{progress.n_done}/{progress.n_total} questions{left}{failed}"
