"""Pages with a captioned picture."""

from dataclasses import replace

from tests.answer.conftest import LINE_PT, make_page

from docrag.geometry import Box
from docrag.types import Chunk, Page, Region

PICTURE = Box(72, 300, 400, 500)


def page_with_figure(
    lines, caption: str, *, page_no: int = 1, kind: str = "picture", picture: Box = PICTURE
) -> Page:
    """A page of lines, the last of them the caption of a picture below."""
    page = make_page([*lines, caption], page_no=page_no)
    start = page.text.index(caption)
    end = start + len(caption)
    text, caption_box = page.regions[0], Box(72, 72 + len(lines) * LINE_PT, 400, 82 + len(lines) * LINE_PT)
    regions = (
        replace(text, end=start),
        Region(1, "caption", caption_box, start, end, caption_order=2),
        Region(2, kind, picture, end, end, caption_order=1),
    )
    chunks = (
        Chunk(1, "text", page.text[:start], 0, start, (text.box,), (0,)),
        Chunk(2, kind, caption, start, end, (caption_box, picture), (1, 2)),
    )
    return replace(page, regions=regions, chunks=chunks)
