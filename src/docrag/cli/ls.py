"""``docrag ls``: the documents of an index."""

from __future__ import annotations

from docrag.cli.options import ConfigOption, IndexOption, JsonOption, QuietOption, SetOption
from docrag.cli.output import Output


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
    from docrag.report.printable import one_line
    from docrag.report.shapes import document_values

    output = Output(as_json=as_json, quiet=quiet)
    with DocRAG.open(index=index_dir, settings=load_settings(config, overrides=set_ or ())) as rag:
        documents = rag.documents()
    if as_json:
        output.json({"documents": [document_values(document) for document in documents]})
        return
    from rich.table import Table

    table = Table("document", "pages", "failed", "parser", "title", box=None, pad_edge=False)
    for document in documents:
        table.add_row(
            one_line(document.doc, limit=80),
            str(document.n_pages),
            str(len(document.failures) or ""),
            document.parser,
            one_line(document.title, limit=60),
        )
    output.print(table)
    n_pages = sum(document.n_pages_indexed for document in documents)
    output.note(f"{counted(len(documents), 'document')}, {counted(n_pages, 'page')}")
