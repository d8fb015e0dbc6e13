"""``docrag index``: bring an index in line with folders and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docrag.cli.options import (
    ConfigOption,
    IndexOption,
    JsonOption,
    PasswordFileOption,
    PasswordOption,
    QuietOption,
    SetOption,
)
from docrag.cli.output import Output

if TYPE_CHECKING:
    from docrag.ingest.report import IndexReport
    from docrag.pipeline import DocRAG
    from docrag.pipeline.visual_index import VisualReport

EXIT_SOME_FAILED = 2
EXIT_NOTHING_DONE = 3
EXIT_INTERRUPTED = 130


def index(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Folders, or PDF files.")],
    index_dir: IndexOption = None,
    password: PasswordOption = None,
    password_file: PasswordFileOption = None,
    force: Annotated[bool, typer.Option("--force", help="Read every file again.")] = False,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Try again what got no visual vectors; --force does so too."),
    ] = False,
    compact: Annotated[
        bool,
        typer.Option(
            "--compact", help="Merge visual vectors into few files, without those of removed documents."
        ),
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Index PDFs: only what was added, changed, renamed or removed since the last time.

    Safe to interrupt: what is finished stays, and the next run goes on inside the file. With a page encoder
    configured, visual vectors are added to whatever of the index lacks them.
    """
    from docrag.cli.passwords import read_password
    from docrag.cli.progress import warning_line
    from docrag.config import load_settings
    from docrag.errors import UsageError
    from docrag.pipeline import DocRAG

    output = Output(as_json=as_json, quiet=quiet)
    password = read_password(password, password_file)
    settings = load_settings(config, overrides=set_ or ())
    if settings.visual is None and (retry_failed or compact):
        option = "--retry-failed" if retry_failed else "--compact"
        raise UsageError(
            f"{option} is about visual vectors, and no page encoder is configured; name the --config "
            "that the index was made with"
        )
    with DocRAG.open(*paths, index=index_dir, settings=settings) as rag:
        report = run_index(rag, paths, output, password=password, force=force)
        visual = run_visual_pass(
            rag, output, password=password, retry_failed=force or retry_failed, compact=compact
        )
        if as_json:
            output.json(report.to_json() | ({"visual": visual.to_json()} if visual is not None else {}))
        else:
            output.print(summary(report))
            if visual is not None:
                output.print(visual_summary(visual))
            if quiet:  # else they were named as they happened
                for file in report.files:
                    if line := warning_line(file):
                        output.warn(line)
    code = exit_code(report)
    raise typer.Exit(EXIT_SOME_FAILED if not code and visual is not None and visual.is_partial else code)


def run_index(
    rag: DocRAG, paths: list[Path], output: Output, *, password: str | None = None, force: bool = False
) -> IndexReport:
    """Index with progress on stderr; exits with 130 when interrupted.

    Raises `docrag.errors.ConfigError` first when the settings need what this machine does not have.
    """
    from docrag.cli.progress import index_progress
    from docrag.pipeline.needs import check_needs
    from docrag.store import manifest

    check_needs(rag.settings)
    try:
        with index_progress(output) as on_event:
            report = rag.index(paths, password=password, force=force, on_event=on_event)
    except KeyboardInterrupt:
        if manifest.exists(rag.index_dir):
            output.warn("interrupted; the index is good, and running the same command again continues")
        else:
            output.warn("interrupted before anything was stored; run the command again")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if report.n_read_otherwise:
        output.warn(
            f"{report.n_read_otherwise} of these files were read with other ingest settings; "
            "docrag index --force reads them again"
        )
    return report


def run_visual_pass(
    rag: DocRAG,
    output: Output,
    *,
    password: str | None = None,
    retry_failed: bool = False,
    compact: bool = False,
) -> VisualReport | None:
    """Add the visual vectors that the index lacks, with progress on stderr; None when none are configured."""
    from docrag.cli.progress import visual_progress

    if rag.settings.visual is None:
        return None
    try:
        with visual_progress(output) as on_progress:
            report = rag.index_visual(
                password=password, retry_failed=retry_failed, compact=compact, on_progress=on_progress
            )
    except KeyboardInterrupt:
        output.warn("interrupted; the index is good, and running the same command again continues")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    for doc, why in report.skipped.items():
        output.warn(f"{doc}: no visual vectors: {why}")
    for doc, page_no, chunk_no, why in report.failed:
        where = f"page {page_no}" + (f", region {chunk_no}" if chunk_no else "")
        output.warn(f"{doc}, {where}: no visual vectors: {why}")
    if report.failed and not retry_failed:
        output.warn("docrag index --retry-failed tries these again")
    return report


def visual_summary(report: VisualReport) -> str:
    """What the visual pass did, in one line."""
    from docrag.cli.progress import duration

    done = f"visual vectors: {report.n_pages_with_vectors} of {report.n_pages} pages"
    if not report.n_added:
        return done
    rate = report.n_added / report.elapsed_s if report.elapsed_s else 0.0
    return f"{done}; {report.n_added} images encoded in {duration(report.elapsed_s)} ({rate:.1f} images/s)"


def exit_code(report: IndexReport) -> int:
    """0 all done, 2 some files failed, 3 every file was refused."""
    if not report.n_failed_files:
        return 0
    return EXIT_NOTHING_DONE if all(f.status == "refused" for f in report.files) else EXIT_SOME_FAILED


def summary(report: IndexReport) -> str:
    """What a run did, in one line: ``2 indexed, 1 unchanged; 120 pages read in 8 s (15.0 pages/s)``."""
    from docrag.cli.progress import counted, duration

    totals = report.totals()
    statuses = ("indexed", "partial", "refused", "renamed", "removed", "unchanged")
    counts = ", ".join(f"{totals[status]} {status}" for status in statuses if totals[status]) or "no files"
    if not report.n_pages_read:
        return counts
    rate = report.n_pages_read / report.elapsed_s if report.elapsed_s else 0.0
    failed = f", {counted(totals['pages_failed'], 'page')} failed" if totals["pages_failed"] else ""
    return (
        f"{counts}; {counted(report.n_pages_read, 'page')} read in {duration(report.elapsed_s)} "
        f"({rate:.1f} pages/s){failed}"
    )
