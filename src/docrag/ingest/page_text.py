"""The one text of a page: regions in reading order, their lines, and every word a span of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from docrag.geometry import Box
from docrag.ingest.lines import Line, rows_of
from docrag.protocols import RawWord
from docrag.types import Region, RegionKind, Table, Word


@dataclass(frozen=True, slots=True)
class RegionDraft:
    """A region with its lines, before the page's text exists."""

    kind: RegionKind
    box: Box
    lines: tuple[Line, ...]
    table: Table | None = None


def compose(
    drafts: Sequence[RegionDraft],
    words: Sequence[RawWord],
    *,
    captions: Mapping[int, int],
    n_text_lines: int,
) -> tuple[str, tuple[Word, ...], tuple[Region, ...]]:
    r"""Page text, words and regions of `drafts`, which are in reading order.

    Lines end with "\n", regions with "\n\n". `captions` maps a caption's index to its
    target's. Words with a `line_no` of `n_text_lines` or more are OCR.
    """
    parts: list[str] = []
    out_words: list[Word] = []
    regions: list[Region] = []
    partner = {**captions, **{target: caption for caption, target in captions.items()}}
    position = row_no = 0
    for draft in drafts:
        if parts and draft.lines:
            parts.append("\n\n")
            position += 2
        start = position
        for row_index, row in enumerate(rows_of(draft.lines)):
            for word_index, index in enumerate(i for line in row for i in line.words):
                if word_index or row_index:
                    parts.append(" " if word_index else "\n")
                    position += 1
                word = words[index]
                end = position + len(word.text)
                out_words.append(Word(position, end, word.box, row_no, word.line_no >= n_text_lines))
                parts.append(word.text)
                position = end
            row_no += 1
        regions.append(
            Region(
                order=len(regions),
                kind=draft.kind,
                box=draft.box,
                start=start,
                end=position,
                table=draft.table,
                caption_order=partner.get(len(regions)),
            )
        )
    return "".join(parts), tuple(out_words), tuple(regions)
