"""``docrag doctor``: what is installed, what is in the index, what is wrong and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from docrag.cli.options import ConfigOption, IndexOption, JsonOption, QuietOption, SetOption
from docrag.cli.output import Output

EXIT_PROBLEMS = 2
STYLES = {"ok": ("✓", "green"), "note": ("·", "yellow"), "problem": ("✗", "bold red")}


def doctor(
    folder: Annotated[Path | None, typer.Argument(help="Folder whose index to look at.")] = None,
    index_dir: IndexOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check installation, index and the models of the configuration; exits with 2 when something is wrong.

    Chat models behind an endpoint are asked three short questions each, encoders one word, for which a vendor
    may charge.
    """
    from docrag.cli.progress import counted
    from docrag.config import load_settings
    from docrag.pipeline import DocRAG
    from docrag.pipeline.health import check_all
    from docrag.report.printable import printable

    output = Output(as_json=as_json, quiet=quiet)
    settings = load_settings(config, overrides=set_ or ())
    rag = DocRAG.open(*[folder] if folder else [], index=index_dir, settings=settings)
    checks = check_all(settings, rag.index_dir)
    n_problems = sum(check.state == "problem" for check in checks)
    if as_json:
        output.json({"checks": [asdict(check) for check in checks], "problems": n_problems})
    else:
        from rich.text import Text

        width = max(len(check.name) for check in checks)
        for check in checks:
            sign, style = STYLES[check.state]
            line = Text(f"{sign} ", style=style)
            line.append(f"{check.name:{width}}  ", style="bold").append(printable(check.detail))
            output.print(line)
            if check.mend and check.state != "ok":
                output.print(Text(f"  {'':{width}}  → {printable(check.mend)}", style="cyan"))
        output.note("all well" if not n_problems else counted(n_problems, "problem"))
    if n_problems:
        raise typer.Exit(EXIT_PROBLEMS)
