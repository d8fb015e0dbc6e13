"""Options that several commands share, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE|PRESET", help="YAML file, or a preset such as local or fast."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change one setting, such as ingest.layout=fast."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document; progress on stderr.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
IndexOption = Annotated[
    Path | None,
    typer.Option("--index", metavar="DIR", help="Folder of the index.  [default: FOLDER/.docrag]"),
]
DocOption = Annotated[
    list[str] | None,
    typer.Option("--doc", metavar="NAME", help="Only this document, or those matching *; repeatable."),
]
MetaOption = Annotated[
    list[str] | None,
    typer.Option(
        "--meta",
        metavar="KEY=VALUE",
        help="Only documents whose file says so, such as author=Somebody; repeatable.",
    ),
]
KindOption = Annotated[
    list[str] | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help="Only regions of this kind, such as table or picture, and pages by them; repeatable.",
    ),
]
PagesOption = Annotated[
    str | None, typer.Option("--pages", metavar="3-9", help="Only these pages: 3-9, or 1,4,7-8.")
]
PasswordOption = Annotated[
    str | None,
    typer.Option(
        "--password",
        metavar="TEXT",
        envvar="DOCRAG_PASSWORD",
        show_envvar=True,
        help='Opens encrypted files; "-" asks for it. Never stored or logged.',
    ),
]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="File whose first line is the password."),
]
NoTraceOption = Annotated[
    bool, typer.Option("--no-trace", help="Keep no trace in the index for docrag replay.")
]
ExplainOption = Annotated[bool, typer.Option("--explain", help="Show how the result came about.")]
