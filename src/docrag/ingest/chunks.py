"""Chunks: what retrieval indexes, made of regions in a row; never across a page."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from docrag.geometry import Box, union_box
from docrag.ingest.search_text import joined_lines
from docrag.types import Chunk, Region, RegionKind, Table, Word

# Sentence encoders of the MiniLM kind read 128 to 256 word pieces, about 100 to 190 words; 120-word windows
# did best in the first measurements.
_TARGET_WORDS = 120
_MAX_WORDS = 180
# A heading starts a new chunk unless what stands before it is shorter than this (slides, forms).
_MIN_WORDS = 40
_FURNITURE = frozenset({"page-header", "page-footer"})
_ALONE = frozenset({"table", "picture"})
# What says something to the eye without a word; smaller than a third of an inch it is an icon or a bullet.
_SEEN = frozenset({"table", "picture", "formula"})
_MIN_SEEN_PT = 24.0
_SENTENCE_END = re.compile(r"(?<=[.!?。！？؟])[\"”’)\]]*\s+|(?<=[。！？])[”’）」』]*")
_IDEOGRAPH = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Where a word ends: at white space; where there is none, as in Chinese and Japanese, after two characters.
_WORD_END = re.compile(rf"[{_IDEOGRAPH}]{{1,2}}[^\w\s]*\s*|\s+")


@dataclass
class _Open:
    """Regions collected for the next chunk."""

    heading: str = ""
    regions: list[Region] = field(default_factory=list[Region])
    n_words: int = 0
    n_body: int = 0  # regions other than headings

    def add(self, region: Region, n_words: int) -> None:
        self.regions.append(region)
        self.n_words += n_words
        self.n_body += region.kind != "section-header"


def chunks_of(text: str, words: Sequence[Word], regions: Sequence[Region]) -> tuple[Chunk, ...]:
    """Chunks that together hold every region with text but page headers and footers, each text once.

    A heading opens the chunk of what follows it. Short regions in a row are joined up to about 120 words,
    long ones cut at sentence ends. A table, or a picture, is a chunk of its own with its caption; a long
    table is cut between rows, the header row repeated in each part's text.

    Pictures, tables and formulas without a word or caption, unless they are tiny, come last, each a chunk
    whose text is empty: nothing for retrieval by words, but something to look at.
    """
    maker = _ChunkMaker(text, words, regions)
    return maker.run()


def _word_ends(text: str) -> list[int]:
    """Where the words of `text` end but for the last, after the space that follows."""
    return [match.end() for match in _WORD_END.finditer(text) if match.end() < len(text)]


def _n_words(text: str) -> int:
    return len(_word_ends(text)) + 1 if text else 0


class _ChunkMaker:
    def __init__(self, text: str, words: Sequence[Word], regions: Sequence[Region]) -> None:
        self._text = text
        self._words = words
        self._regions = regions
        self._heading = ""
        self._open = _Open()
        self._chunks: list[Chunk] = []

    def run(self) -> tuple[Chunk, ...]:
        tied = {r.caption_order for r in self._regions if r.kind in _ALONE and r.caption_order is not None}
        for region in self._regions:
            if region.kind in _FURNITURE or region.order in tied:
                continue
            if region.kind in _ALONE:
                self._alone(region)
            elif region.start < region.end:
                self._flow(region)
        self._close()
        for region in self._regions:
            if region.kind in _SEEN and region.start >= region.end and region.caption_order is None:
                self._wordless(region)
        return tuple(self._chunks)

    def _wordless(self, region: Region) -> None:
        if min(region.box.width, region.box.height) >= _MIN_SEEN_PT:
            end = len(self._text)
            self._append(region.kind, "", end, end, (region.box,), (region.order,), "")

    def _span_text(self, start: int, end: int) -> str:
        return joined_lines(self._text[start:end])

    def _flow(self, region: Region) -> None:
        n_words = _n_words(self._text[region.start : region.end])
        if region.kind == "section-header":
            if self._open.n_words >= _MIN_WORDS and self._open.n_body:
                self._close()
            if not self._open.regions:
                self._open.heading = ""
            self._heading = self._span_text(region.start, region.end)
            self._open.add(region, n_words)
            return
        if self._open.n_body and self._open.n_words + n_words > _MAX_WORDS:
            self._close()
        if not self._open.regions:
            self._open.heading = self._heading
        self._open.add(region, n_words)
        if self._open.n_words >= _TARGET_WORDS:
            self._close()

    def _alone(self, region: Region) -> None:
        members = [region]
        if region.caption_order is not None:
            members.append(self._regions[region.caption_order])
        members = [member for member in members if member.start < member.end]
        if not members:
            return
        pending: list[Region] = []
        if self._open.n_body == 0:
            pending = self._open.regions  # headings that nothing has followed yet
            self._open = _Open()
        self._close()
        members = sorted([*pending, *members], key=lambda member: member.order)
        heading = "" if pending else self._heading
        if region.table is not None and region in members:
            self._table(region, region.table, members, heading)
            return
        first = len(self._chunks)
        self._emit(region.kind, members, heading)
        if region not in members:  # without words of its own it stands where its caption's chunk does
            chunk = self._chunks[first]
            boxes, orders = (*chunk.boxes, region.box), (*chunk.region_orders, region.order)
            self._chunks[first] = replace(chunk, boxes=boxes, region_orders=orders)

    def _table(self, region: Region, table: Table, members: list[Region], heading: str) -> None:
        before = [member for member in members if member.order < region.order]
        after = [member for member in members if member.order > region.order]
        captions = "\n".join(self._span_text(m.start, m.end) for m in [*before, *after])
        parts = self._table_parts(region, table)
        for i, (start, end, part) in enumerate(parts):
            first, last = i == 0, i == len(parts) - 1
            spans = [*(before if first else []), region, *(after if last else [])]
            box = region.box if len(parts) == 1 else self._box(start, end) or region.box
            self._append(
                region.kind,
                "\n".join(filter(None, [captions, part.to_markdown()])),
                before[0].start if first and before else start,
                after[-1].end if last and after else end,
                tuple(box if member is region else member.box for member in spans),
                tuple(member.order for member in spans),
                heading,
            )

    def _table_parts(self, region: Region, table: Table) -> list[tuple[int, int, Table]]:
        """The table in parts of about `_MAX_WORDS` words, with their spans; one part when it is short."""
        n_header = min(table.n_header_rows, len(table.rows))
        groups: list[list[int]] = [[]]
        n_words = 0
        for i in range(n_header, len(table.rows)):
            n_row = sum(_n_words(cell) for cell in table.rows[i])
            if groups[-1] and n_words + n_row > _MAX_WORDS:
                groups.append([])
                n_words = 0
            groups[-1].append(i)
            n_words += n_row
        if len(groups) == 1:
            return [(region.start, region.end, table)]
        inside = [w for w in self._words if region.start <= w.start and w.end <= region.end]
        starts = [region.start]
        for group in groups[1:]:
            tops = [box.y0 for box in table.cell_boxes[group[0]] if box is not None]
            top = min(tops, default=region.box.y1)
            begin = next((w.start for w in inside if w.start > starts[-1] and w.box.center[1] > top), None)
            starts.append(begin if begin is not None else starts[-1])
        parts: list[tuple[int, int, Table]] = []
        kept: list[int] = []
        for i, group in enumerate(groups):
            kept += group
            end = starts[i + 1] if i + 1 < len(groups) else region.end
            start = parts[-1][1] if parts else region.start
            end = self._text_end(end) if i + 1 < len(groups) else end
            if end <= start and i + 1 < len(groups):
                continue  # rows without text of their own join the next part
            rows = (*range(n_header), *kept)
            parts.append(
                (
                    start,
                    end,
                    replace(
                        table,
                        rows=tuple(table.rows[r] for r in rows),
                        cell_boxes=tuple(table.cell_boxes[r] for r in rows),
                    ),
                )
            )
            kept = []
        return [(self._text_start(start), end, part) for start, end, part in parts]

    def _text_end(self, position: int) -> int:
        return len(self._text[:position].rstrip())

    def _text_start(self, position: int) -> int:
        rest = self._text[position:]
        return position + len(rest) - len(rest.lstrip())

    def _box(self, start: int, end: int) -> Box | None:
        boxes = [word.box for word in self._words if word.start < end and word.end > start]
        return union_box(boxes) if boxes else None

    def _close(self) -> None:
        regions, heading = self._open.regions, self._open.heading
        self._open = _Open()
        if not regions:
            return
        kinds: set[RegionKind] = {region.kind for region in regions}
        if len(kinds) > 1:
            kinds.discard("section-header")
        kind: RegionKind = "text"
        if len(kinds) == 1:
            kind = kinds.pop()
        self._emit(kind, regions, heading)

    def _emit(self, kind: RegionKind, regions: Sequence[Region], heading: str) -> None:
        """Append the chunk of these regions, in several parts when it is long."""
        start, end = regions[0].start, regions[-1].end
        if not heading:
            heads = [r for r in regions if r.kind == "section-header"]
            heading = self._span_text(heads[0].start, heads[0].end) if heads else ""
        for part_start, part_end in self._parts(start, end):
            members = [r for r in regions if r.start < part_end and r.end > part_start]
            boxes = tuple(
                r.box
                if part_start <= r.start and r.end <= part_end
                else self._box(max(r.start, part_start), min(r.end, part_end)) or r.box
                for r in members
            )
            body = "\n".join(self._span_text(max(r.start, part_start), min(r.end, part_end)) for r in members)
            self._append(kind, body, part_start, part_end, boxes, tuple(r.order for r in members), heading)

    def _parts(self, start: int, end: int) -> list[tuple[int, int]]:
        """Spans of at most about `_MAX_WORDS` words, cut at sentence ends where there are any."""
        breaks = [start + end_of_word for end_of_word in _word_ends(self._text[start:end])]
        n_words = len(breaks) + 1
        if n_words <= _MAX_WORDS:
            return [(start, end)]
        n_parts = -(-n_words // _TARGET_WORDS)
        goal = n_words / n_parts
        cuts = [start + m.end() for m in _SENTENCE_END.finditer(self._text[start:end])]
        spans: list[tuple[int, int]] = []
        here = start
        while True:
            # Word counts are monotonic in position: take the cut whose count is nearest to the goal.
            after = breaks[bisect_right(breaks, here) :]
            if len(after) < _MAX_WORDS:
                break
            low, high = after[int(goal * 0.6)], after[min(_MAX_WORDS, len(after)) - 1]
            want = after[min(int(goal), len(after)) - 1]
            near = [cut for cut in cuts if low <= cut <= high] or [want]
            cut = min(near, key=lambda c: abs(c - want))
            spans.append((here, self._text_end(cut)))
            here = cut
        spans.append((here, end))
        return spans

    def _append(
        self,
        kind: RegionKind,
        body: str,
        start: int,
        end: int,
        boxes: tuple[Box, ...],
        orders: tuple[int, ...],
        heading: str,
    ) -> None:
        text = body if not heading or body.startswith(heading) else f"{heading}\n{body}"
        self._chunks.append(
            Chunk(
                chunk_no=len(self._chunks) + 1,
                kind=kind,
                text=text,
                start=start,
                end=end,
                boxes=boxes,
                region_orders=orders,
                heading=heading,
            )
        )
