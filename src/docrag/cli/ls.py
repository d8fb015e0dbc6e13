"""``docrag ls``: the documents of an index."""

from __future__ import annotations

from docrag.cli.options import ConfigOption, IndexOption, JsonOption, QuietOption, SetOption
from docrag.cli.output import Output

MAX_NAME_WIDTH = 60


def ls(
    index_dir: IndexOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List the documents of an index."""
    from docrag.cli.progress import counted
    from docrag.config import load_settings
    from docrag.pipeline import DocRAG
    from docrag.report.printable import one_line, printable
    from docrag.report.shapes import document_values

    output = Output(as_json=as_json, quiet=quiet)
    with DocRAG.open(index=index_dir, settings=load_settings(config, overrides=set_ or ())) as rag:
        documents = rag.documents()
    if as_json:
        output.json({"documents": [document_values(document) for document in documents]})
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    longest = max((len(document.doc) for document in documents), default=0)
    # A name cut short is of no use: the title makes room for it, and a very long one is folded.
    table.add_column("document", overflow="fold", min_width=min(longest, MAX_NAME_WIDTH))
    has_notes = any(document.notes for document in documents)
    for header in ("pages", "failed", *(["notes"] if has_notes else []), "parser", "title"):
        table.add_column(header)
    for document in documents:
        table.add_row(
            printable(document.doc),
            str(document.n_pages),
            str(len(document.failures) or ""),
            *([", ".join(document.notes)] if has_notes else []),
            document.parser,
            one_line(document.title, limit=60),
        )
    output.print(table)
    n_pages = sum(document.n_pages_indexed for document in documents)
    n_copies = sum(len(document.aliases) for document in documents)
    copies = ("file is a copy" if n_copies == 1 else "files are copies") + " of one of these, named by --json"
    output.note(
        f"{counted(len(documents), 'document')}, {counted(n_pages, 'page')}"
        + (f"; {n_copies} more {copies}" if n_copies else "")
    )
