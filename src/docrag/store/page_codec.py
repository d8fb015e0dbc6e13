"""A page as one compact blob: columns of integers in JSON, compressed; read only by `IndexReader.page`.

Everything round-trips exactly but boxes, which are rounded to `BOX_UNIT_PT`.
"""

from __future__ import annotations

import itertools
import json
import operator
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from docrag.errors import IndexFormatError
from docrag.geometry import Box
from docrag.types import Chunk, Page, Region, Table, Word

BOX_UNIT_PT = 0.01
"""Boxes are kept to a hundredth of a point, 1/7200 inch: finer than any display or scanner."""

_UNITS_PER_PT = 100
_VERSION = b"\x01"
_ZLIB_LEVEL = 6  # zlib's default; level 9 saved under 1 % on scanned and born-digital pages


def pack_page(page: Page) -> bytes:
    """Return the blob of a page; the first byte is the version of the encoding."""
    starts = [word.start for word in page.words]
    body = {
        "page": [page.page_no, page.label, float(page.width_pt), float(page.height_pt), page.rotation],
        "text_source": page.text_source,
        "notes": list(page.notes),
        "text": page.text,
        "search_text": page.search_text,
        "words": {
            "skips": [start - before for before, start in zip([0, *starts], starts, strict=False)],
            "lengths": [word.end - word.start for word in page.words],
            "boxes": _columns(word.box for word in page.words),
            "lines": [word.line_no for word in page.words],
            "ocr": [int(word.is_ocr) for word in page.words],
        },
        "regions": [
            [r.order, r.kind, _units(r.box), r.start, r.end, r.caption_order, _pack_table(r.table)]
            for r in page.regions
        ],
        "chunks": [
            [c.chunk_no, c.kind, c.text, c.start, c.end, [*map(_units, c.boxes)], c.region_orders, c.heading]
            for c in page.chunks
        ],
    }
    # Text of broken PDFs may hold lone surrogates, which plain UTF-8 refuses.
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return _VERSION + zlib.compress(data, _ZLIB_LEVEL)


def unpack_page(blob: bytes) -> Page:
    """Return the page of a blob; raise `IndexFormatError` for an unknown version or damaged bytes."""
    if blob[:1] != _VERSION:
        raise IndexFormatError(
            f"page blob of encoding {blob[:1].hex() or 'none'}, this docrag reads encoding {_VERSION.hex()}; "
            "upgrade docrag or index the document again"
        )
    try:
        body: Any = json.loads(zlib.decompress(blob[1:]).decode("utf-8", "surrogatepass"))
    except (zlib.error, ValueError) as error:
        raise IndexFormatError(f"page blob is damaged ({error}); index the document again") from error
    page_no, label, width_pt, height_pt, rotation = body["page"]
    return Page(
        page_no=page_no,
        label=label,
        width_pt=width_pt,
        height_pt=height_pt,
        rotation=rotation,
        text=body["text"],
        search_text=body["search_text"],
        text_source=body["text_source"],
        words=_unpack_words(body["words"]),
        regions=tuple(
            Region(order, kind, _box(box), start, end, _unpack_table(table), caption_order)
            for order, kind, box, start, end, caption_order, table in body["regions"]
        ),
        chunks=tuple(
            Chunk(chunk_no, kind, text, start, end, tuple(map(_box, boxes)), tuple(orders), heading)
            for chunk_no, kind, text, start, end, boxes, orders, heading in body["chunks"]
        ),
        notes=tuple(body["notes"]),
    )


def _unpack_words(columns: Mapping[str, Sequence[Any]]) -> tuple[Word, ...]:
    """Words of a page, column by column: most of the time that reading a page takes."""
    lengths, lines, are_ocr = columns["lengths"], columns["lines"], columns["ocr"]
    sides = [[units / _UNITS_PER_PT for units in side] for side in columns["boxes"]]
    starts = list(itertools.accumulate(columns["skips"]))
    if not len(starts) == len(lengths) == len(lines) == len(are_ocr) == len(sides[0]):
        raise IndexFormatError("page blob is damaged (columns of words differ in length); index it again")
    ends = map(operator.add, starts, lengths)
    return tuple(map(Word, starts, ends, map(Box, *sides), lines, map(bool, are_ocr)))


def _pack_table(table: Table | None) -> list[Any] | None:
    if table is None:
        return None
    boxes = [[None if box is None else _units(box) for box in row] for row in table.cell_boxes]
    return [table.rows, boxes, table.n_header_rows]


def _unpack_table(packed: Sequence[Any] | None) -> Table | None:
    if packed is None:
        return None
    rows, boxes, n_header_rows = packed
    return Table(
        tuple(map(tuple, rows)),
        tuple(tuple(None if box is None else _box(box) for box in row) for row in boxes),
        n_header_rows,
    )


def _units(box: Box) -> list[int]:
    return [round(float(v) * _UNITS_PER_PT) for v in box]


def _box(units: Sequence[int]) -> Box:
    x0, y0, x1, y1 = units
    return Box(x0 / _UNITS_PER_PT, y0 / _UNITS_PER_PT, x1 / _UNITS_PER_PT, y1 / _UNITS_PER_PT)


def _columns(boxes: Iterable[Box]) -> list[list[int]]:
    rows = [_units(box) for box in boxes]
    return [[row[i] for row in rows] for i in range(4)]
