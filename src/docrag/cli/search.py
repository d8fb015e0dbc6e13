"""``docrag search``: the pages or regions that fit a query best."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docrag.cli.options import (
    ConfigOption,
    DocOption,
    ExplainOption,
    IndexOption,
    JsonOption,
    KindOption,
    MetaOption,
    PagesOption,
    QuietOption,
    SetOption,
)
from docrag.cli.output import EXIT_NO_REPORT, Output, wrote_report
from docrag.cli.steps import steps_shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

    from docrag.retrieve.cutoff.cut import Cut
    from docrag.retrieve.stage import SearchResult
    from docrag.types import Hit, TraceStep, Usage

SNIPPET_CHARS = 240


class UnitName(StrEnum):
    """What is ranked."""

    PAGE = "page"
    REGION = "region"


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    index_dir: IndexOption = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of results.")] = 10,
    doc: DocOption = None,
    pages: PagesOption = None,
    meta: MetaOption = None,
    kind: KindOption = None,
    unit: Annotated[
        UnitName, typer.Option("--unit", help="Rank pages, or regions of pages.")
    ] = UnitName.PAGE,
    explain: ExplainOption = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the pages found, and what matched, to this file."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find the pages or regions that fit a query."""
    from docrag.cli.scope import read_scope
    from docrag.config import load_settings
    from docrag.pipeline import DocRAG
    from docrag.report.shapes import search_values

    output = Output(as_json=as_json, quiet=quiet)
    scope = read_scope(doc, pages, meta, kind)
    settings = load_settings(config, overrides=set_ or ())
    with DocRAG.open(index=index_dir, settings=settings) as rag:
        with steps_shown(output) as listener:
            result = rag.search(query, k=k, unit=unit.value, scope=scope, listener=listener)
        notices = rag.notices()
        steps = [*result.steps, *rag.explain_candidates(result.query, k=k)] if explain else None
        is_written = html is None or wrote_report(output, html, lambda: rag.write_search_report(result, html))
    warnings = [*notices, *result.warnings]
    for warning in warnings:
        output.warn(warning)
    if as_json:
        values = search_values(
            result.query.text,
            result.hits,
            steps=steps,
            cuts=first_cuts(result.cuts, k),
            warnings=warnings,
            usage=result.usage,
        )
        output.json(values)
    else:
        _print_hits(output, result, steps, k=k)
    if not is_written:
        raise typer.Exit(EXIT_NO_REPORT)


def _print_hits(output: Output, result: SearchResult, steps: Sequence[TraceStep] | None, *, k: int) -> None:
    """Print the hits, and with `steps` how they came about."""
    if not result.hits:
        output.print("Nothing found.")
    for rank, hit in enumerate(result.hits, 1):
        print_hit(output, rank, hit)
    if steps is not None:
        tables = [sources_table(result.hits), steps_table(steps)]
        if result.cuts:
            tables.insert(1, cuts_table(first_cuts(result.cuts, k)))
        output.print(*tables)
        if result.usage.n_model_calls:
            output.note(cost_of(result.usage))


def cost_of(usage: Usage) -> str:
    """``12 calls of models: 4,100 tokens in, 12 out, 10 pictures``, and in dollars where that is known."""
    from docrag.report.shapes import cost_text

    dollars = cost_text(usage)
    return (
        f"{usage.n_model_calls} calls of models: {usage.n_input_tokens:,} tokens in, "
        f"{usage.n_output_tokens:,} out, {usage.n_images} pictures{', ' if dollars else ''}{dollars}"
    )


def place(doc: str, page_no: int, page_label: str) -> str:
    """``report.pdf, page 12``, with the printed label where it differs: ``page 12 (label A-4)``."""
    label = f" (label {page_label})" if page_label and page_label != str(page_no) else ""
    return f"{doc}, page {page_no}{label}"


def print_hit(output: Output, rank: int, hit: Hit) -> None:
    """Print a hit: where it is, and the words that made it one."""
    from rich.text import Text

    from docrag.report.printable import one_line, printable

    head = Text(f"{rank:>2}. ", style="dim")
    head.append(printable(place(hit.doc, hit.page_no, hit.page_label)), style="bold")
    head.append(f"  {hit.kind}" if hit.kind else "", style="cyan")
    head.append(f"  {hit.score:.4f}", style="dim")
    output.print(head)
    if snippet := one_line(hit.snippet, limit=SNIPPET_CHARS):
        output.print(Text(f"    {snippet}"))


def sources_table(hits: Sequence[Hit]) -> Table:
    """Every hit's score, and the rank and score that fusion, every retriever and every boost gave to it."""
    from rich.table import Table

    from docrag.report.printable import printable

    names = sorted({name for hit in hits for name in hit.sources})
    table = Table(title="Ranks and scores by retriever", title_justify="left")
    for header in ("#", "where", "score", "fused", *names):
        table.add_column(header, overflow="fold")
    for rank, hit in enumerate(hits, 1):
        cells = [f"{s.rank}: {s.score:.3f}" if s else "–" for s in (hit.fused, *map(hit.sources.get, names))]
        where = printable(place(hit.doc, hit.page_no, hit.page_label))
        table.add_row(str(rank), where, f"{hit.score:.4f}", *cells)
    return table


def first_cuts(cuts: Sequence[Cut], k: int) -> list[Cut]:
    """The first `k` units cut from every ranking: more than a search shows, nobody asks about."""
    n_shown: Counter[str] = Counter()
    shown: list[Cut] = []
    for cut in cuts:
        n_shown[cut.ranking] += 1
        if n_shown[cut.ranking] <= k:
            shown.append(cut)
    return shown


def cuts_table(cuts: Sequence[Cut]) -> Table:
    """What was cut from which ranking, and why."""
    from rich.table import Table

    from docrag.report.printable import printable

    table = Table("ranking", "rank", "where", "score", "why", title="Cut off", title_justify="left")
    for cut in cuts:
        region = f", region {cut.unit.chunk_no}" if cut.unit.chunk_no else ""
        where = printable(place(cut.unit.doc, cut.unit.page_no, "") + region)
        table.add_row(cut.ranking, str(cut.rank), where, f"{cut.score:.4f}", cut.reason)
    return table


def steps_table(steps: Iterable[TraceStep]) -> Table:
    """Name, time and details of every step."""
    from rich.table import Table

    from docrag.report.printable import one_line

    table = Table("step", "ms", "detail", title="Steps", title_justify="left")
    for step in steps:
        detail = ", ".join(f"{name}={value}" for name, value in step.detail.items())
        table.add_row(step.name, f"{step.elapsed_s * 1000:.1f}", one_line(detail, limit=200))
    return table
