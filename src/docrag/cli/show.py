"""``docrag show``: a page as docrag reads it, regions and words drawn over it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from docrag.cli.options import (
    ConfigOption,
    JsonOption,
    PasswordFileOption,
    PasswordOption,
    QuietOption,
    SetOption,
)
from docrag.cli.output import Output

if TYPE_CHECKING:
    from docrag.types import Page

TEXT_CHARS = 100


def show(
    file: Annotated[Path, typer.Argument(help="A PDF file.")],
    page_no: Annotated[int, typer.Option("-p", "--page", min=1, help="Page number, from 1.")] = 1,
    regions: Annotated[bool, typer.Option("--regions", help="Draw regions only.")] = False,
    words: Annotated[bool, typer.Option("--words", help="Draw words only.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PNG", help="Picture to write.  [default: NAME-pN.png]")
    ] = None,
    dpi: Annotated[int, typer.Option("--dpi", min=36, max=600, help="Resolution of the picture.")] = 144,
    password: PasswordOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw the regions and words of a page, and list them; with neither --regions nor --words, both."""
    from docrag.cli.passwords import read_password
    from docrag.config import load_settings
    from docrag.errors import StorageError, UsageError
    from docrag.ingest.reader import PdfReader
    from docrag.report.draw import draw_page

    output = Output(as_json=as_json, quiet=quiet)
    settings = load_settings(config, overrides=set_ or ())
    if file.is_dir():
        raise UsageError(f"{file}: is a folder, expected a PDF; docrag ls lists those of an index")
    if not file.is_file():
        raise UsageError(f"{file}: no such file; expected a PDF")
    reader = PdfReader(settings.ingest)
    source = reader.open(file, parser=settings.ingest.parser, password=read_password(password, password_file))
    try:
        if page_no > source.n_pages:
            raise UsageError(f"{file}: has {source.n_pages} pages, there is no page {page_no}")
        page = reader.read(source, page_no)
        picture = draw_page(
            source.render(page_no, dpi=dpi),
            page,
            dpi=dpi,
            regions=regions or not words,
            words=words or not regions,
        )
    finally:
        source.close()
    out = out if out is not None else Path(f"{file.stem}-p{page_no}.png")
    try:
        picture.save(out)
    except (OSError, ValueError) as error:
        raise StorageError(f"{out}: the picture cannot be written: {error}") from error
    if as_json:
        output.json({"file": str(file), "parser": source.parser, "image": str(out), **page_values(page)})
    else:
        _print_page(output, page, source.parser)
        output.print(f"picture written to {out}")


def page_values(page: Page) -> dict[str, Any]:
    """A page as JSON values: regions with text and tables, words with boxes."""
    from docrag.report.shapes import box_values

    return {
        "page": page.page_no,
        "page_label": page.label,
        "width_pt": page.width_pt,
        "height_pt": page.height_pt,
        "rotation": page.rotation,
        "text_source": page.text_source,
        "notes": list(page.notes),
        "regions": [
            {
                "order": region.order,
                "kind": region.kind,
                "box": box_values(region.box),
                "text": page.text[region.start : region.end],
                "table": region.table.to_markdown() if region.table else None,
                "caption_order": region.caption_order,
            }
            for region in page.regions
        ],
        "words": [
            {"text": page.word_text(word), "box": box_values(word.box), "is_ocr": word.is_ocr}
            for word in page.words
        ],
    }


def _print_page(output: Output, page: Page, parser: str) -> None:
    from rich.table import Table

    from docrag.report.printable import one_line

    size = f"{page.width_pt:.0f} × {page.height_pt:.0f} pt"
    notes = f", {', '.join(page.notes)}" if page.notes else ""
    label = f" (label {one_line(page.label, limit=20)})" if page.label not in ("", str(page.page_no)) else ""
    output.print(
        f"page {page.page_no}{label}, {size}, rotated {page.rotation}°, {len(page.words)} words from "
        f"{page.text_source}, read by {parser}{notes}"
    )
    table = Table("#", "kind", "box", "text", box=None, pad_edge=False)
    for region in page.regions:
        text = one_line(page.text[region.start : region.end], limit=TEXT_CHARS)
        box = " ".join(f"{value:.0f}" for value in region.box)
        table.add_row(str(region.order), region.kind, box, text)
    output.print(table)
