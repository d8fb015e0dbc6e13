"""``docrag ask``: an answer with the places it stands, or an honest abstention."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from docrag.cli.index import exit_code, run_index, run_visual_pass, summary
from docrag.cli.options import (
    ConfigOption,
    DocOption,
    ExplainOption,
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
from docrag.cli.output import EXIT_NO_REPORT, Output, wrote_report
from docrag.cli.search import place, sources_table, steps_table
from docrag.cli.steps import steps_shown

if TYPE_CHECKING:
    from docrag.pipeline import DocRAG
    from docrag.types import Answer, Scope

QUOTE_CHARS = 400
MAX_NAMED = 5


def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Folders or files, indexed first if needed."),
    ] = None,
    index_dir: IndexOption = None,
    doc: DocOption = None,
    pages: PagesOption = None,
    meta: MetaOption = None,
    explain: ExplainOption = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a report with page crops to this file."),
    ] = None,
    no_trace: NoTraceOption = False,
    password: PasswordOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Answer a question with verified citations, or say why not.

    With PATHs, these are indexed first where something changed, and only they are asked.
    """
    from docrag.cli.passwords import read_password
    from docrag.cli.scope import read_scope
    from docrag.config import load
    from docrag.pipeline import DocRAG
    from docrag.pipeline.wording import readable
    from docrag.report.shapes import answer_values

    question = readable(question)  # before anything is indexed for it
    output = Output(as_json=as_json, quiet=quiet)
    password = read_password(password, password_file)
    scope = read_scope(doc, pages, meta)
    loaded = load(config, overrides=set_ or ())
    code = 0
    with DocRAG.open(*paths or (), index=index_dir, settings=loaded.settings) as rag:
        if paths:
            code = bring_up_to_date(rag, paths, output, password=password)
            scope = rag.within(paths, scope)
        with steps_shown(output) as listener:
            answer = rag.ask(question, scope=scope, listener=listener)
        if not no_trace:
            try_to_keep_trace(rag, answer, scope, loaded.masked(), output)
        if html is not None and not wrote_report(
            output, html, lambda: rag.write_report(answer, html, password=password)
        ):
            code = code or EXIT_NO_REPORT
    if as_json:
        output.json(answer_values(answer, explain=explain))
    else:
        print_answer(output, answer)
        if explain:
            hits = [evidence.hit for evidence in answer.evidence]
            output.print(sources_table(hits), steps_table(answer.trace))
    raise typer.Exit(code)


def try_to_keep_trace(
    rag: DocRAG, answer: Answer, scope: Scope, config: dict[str, Any], output: Output
) -> None:
    """Keep the trace; an index that cannot be written to is asked all the same."""
    from docrag.errors import StorageError
    from docrag.runs.keep import keep_trace

    try:
        keep_trace(rag, answer, scope=scope, config=config)
    except StorageError as error:
        output.note(f"no trace is kept: {error}")


def bring_up_to_date(rag: DocRAG, paths: list[Path], output: Output, *, password: str | None) -> int:
    """Index what changed and return the exit code; when another process writes, leave that to it.

    An index that this process may not write to is asked as it is, with a word on what it lacks.
    """
    from docrag.cli.progress import warning_line
    from docrag.errors import IndexLocked, IndexMissing, StorageRefused
    from docrag.pipeline.indexing import not_taken_in

    try:
        report = run_index(rag, paths, output, password=password)
        run_visual_pass(rag, output, password=password)
    except IndexLocked as error:
        output.warn(f"{error}; asking what is indexed so far")
        return 0
    except StorageRefused as error:
        try:
            missed = not_taken_in(rag.index_dir, paths, rag.documents())
        except IndexMissing:
            raise error from None  # there is nothing to ask yet
        if missed:
            names = ", ".join(missed[:MAX_NAMED]) + (", …" if len(missed) > MAX_NAMED else "")
            output.warn(
                f"{rag.index_dir}: cannot be written to, so what is new, changed or gone is not taken in: "
                f"{names}; asking what was indexed before"
            )
        else:
            output.note(f"{rag.index_dir}: cannot be written to; nothing has changed since it was made")
        return 0
    output.note(f"{rag.index_dir}: {summary(report)}")
    if output.quiet:  # else they were named as they happened
        for file in report.files:
            if line := warning_line(file):
                output.warn(line)
    return exit_code(report)


def print_answer(output: Output, answer: Answer) -> None:
    """Print the answer, its numbered citations with quotes, and what was looked at."""
    from rich.text import Text

    from docrag.report.explain import text_with_marks
    from docrag.report.printable import printable

    output.print(Text(printable(text_with_marks(answer)), style="bold"))
    print_places(output, answer)


def print_places(output: Output, answer: Answer) -> None:
    """Print what stands behind an answer: citations with quotes, why it abstains, what was looked at."""
    from rich.text import Text

    from docrag.report.explain import abstention_text, support_text
    from docrag.report.printable import one_line, printable

    if answer.abstained:
        output.print(Text(abstention_text(answer)))
    for citation in answer.citations:
        where = place(citation.doc, citation.page_no, citation.page_label)
        doubt = f"  ({support})" if (support := support_text(citation)) else ""
        output.print(Text(f"\n[{citation.n}] {printable(where)}{doubt}", style="cyan"))
        if quote := one_line(citation.quote, limit=QUOTE_CHARS):
            output.print(Text(f"    “{quote}”"))
    if answer.evidence:
        confidence = f", confidence {answer.confidence:.2f}" if answer.confidence is not None else ""
        note = f"\nLooked at {looked_at(answer)}  ({answer.usage.elapsed_s:.2f} s{confidence})"
        output.print(Text(printable(note), style="dim"))
    for warning in answer.warnings:
        output.warn(f"warning: {warning}")


def looked_at(answer: Answer) -> str:
    """Pages that were read, best first, by document: ``a.pdf, pages 4, 2; b.pdf, page 1``."""
    pages: dict[str, dict[int, None]] = {}
    for evidence in answer.evidence:
        pages.setdefault(evidence.hit.doc, {})[evidence.hit.page_no] = None
    return "; ".join(
        f"{doc}, page{'s' if len(page_nos) > 1 else ''} {', '.join(map(str, page_nos))}"
        for doc, page_nos in pages.items()
    )
