"""The data model: documents, pages, regions, chunks, queries, hits, evidence, citations and answers.

Everything here is a frozen value that can be pickled. ``page_no`` is 1-based. Boxes follow
`docrag.geometry`. Text positions are character offsets into `Page.text`, the one text of a page: words,
regions and chunks are spans of it, so a quote found in the text has boxes, and a chunk has a place.

One module, though a long one. These values hold one another, from the boxes of a word to the hits of an
answer, and `docrag.types` is where users import them from, and what pickles, signatures and tracebacks call
them. Two modules would have to be put together again here, under names that are not where things are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from docrag.geometry import Box, union_box

Unit = Literal["page", "region"]
TextSource = Literal["text-layer", "ocr", "mixed", "none"]
RegionKind = Literal[
    "text",
    "section-header",
    "list-item",
    "table",
    "picture",
    "formula",
    "caption",
    "footnote",
    "page-header",
    "page-footer",
]
Support = Literal["full", "partial", "none"]

NOT_ANSWERABLE = "Not answerable"
"""The canonical text of an abstention."""


class Reason(StrEnum):
    """Why a file or a page was not indexed."""

    NOT_PDF = "not_pdf"
    EMPTY_FILE = "empty_file"
    ENCRYPTED = "encrypted"
    ZERO_PAGES = "zero_pages"
    XREF_UNRECOVERABLE = "xref_unrecoverable"
    PAGE_UNREADABLE = "page_unreadable"
    PAGE_TOO_LARGE = "page_too_large"
    IMAGE_TOO_LARGE = "image_too_large"
    TOO_MANY_PAGES = "too_many_pages"
    CPU_LIMIT = "cpu_limit"
    WALL_LIMIT = "wall_limit"
    MEMORY_LIMIT = "memory_limit"
    PARSER_CRASH = "parser_crash"
    UNSUPPORTED_FILTER = "unsupported_filter"
    OCR_FAILED = "ocr_failed"
    IO_ERROR = "io_error"
    CHANGED_WHILE_READING = "changed_while_reading"
    DISK_FULL = "disk_full"
    DUPLICATE_OF = "duplicate_of"
    UNSAFE_NAME = "unsafe_name"


class Abstention(StrEnum):
    """Why an answer was withheld."""

    NOT_IN_DOCUMENTS = "not_in_documents"
    UNREADABLE_PAGES = "unreadable_pages"
    INDEX_INCOMPLETE = "index_incomplete"
    BUDGET_SPENT = "budget_spent"


class PageRef(NamedTuple):
    """The only key of a page."""

    doc_id: str
    page_no: int


class UnitRef(NamedTuple):
    """A thing that can be ranked: a whole page (``chunk_no == 0``) or one of its chunks (1-based).

    Units sort in the tie-break order of every ranking: document name, page, chunk.
    """

    doc: str
    page_no: int
    chunk_no: int
    doc_id: str

    @property
    def page(self) -> PageRef:
        """Key of the page that the unit is, or lies on."""
        return PageRef(self.doc_id, self.page_no)

    @property
    def as_page(self) -> UnitRef:
        """The whole page that this unit is, or lies on."""
        return self._replace(chunk_no=0)


class Word(NamedTuple):
    """One word: its span in `Page.text`, its box, its line (0-based on the page), and where it came from."""

    start: int
    end: int
    box: Box
    line_no: int
    is_ocr: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table as rows of cell texts; `cell_boxes` has the same shape, None where a cell has no box.

    A cell that spans several grid places stands in its first place; the others are empty strings.
    """

    rows: tuple[tuple[str, ...], ...]
    cell_boxes: tuple[tuple[Box | None, ...], ...]
    n_header_rows: int = 1

    def to_markdown(self) -> str:
        """GitHub-flavoured Markdown; several header rows are joined with spaces, column by column."""
        if not self.rows:
            return ""
        n_header = min(self.n_header_rows, len(self.rows))
        n_columns = max(len(row) for row in self.rows)

        def line(cells: list[str]) -> str:
            cells = cells + [""] * (n_columns - len(cells))
            return "| " + " | ".join(" ".join(c.replace("|", "\\|").split()) for c in cells) + " |"

        header = [
            " ".join(row[i] for row in self.rows[:n_header] if i < len(row) and row[i])
            for i in range(n_columns)
        ]
        body = [line(list(row)) for row in self.rows[n_header:]]
        return "\n".join([line(header), "|" + " --- |" * n_columns, *body])


@dataclass(frozen=True, slots=True)
class Region:
    """A layout region. ``[start, end)`` is its span in `Page.text`; `order` its 0-based reading order.

    `caption_order` points from a table or picture to its caption region, and from a caption to its target.
    """

    order: int
    kind: RegionKind
    box: Box
    start: int
    end: int
    table: Table | None = None
    caption_order: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A retrievable part of one page: one region, or several short ones in a row; never across a page.

    `text` is what retrievers index: the heading above it, then the text of the span, tables as Markdown.
    ``[start, end)`` is its span in `Page.text`; `region_orders` are the regions it is made of. A picture or
    table forms one chunk with its caption. `boxes` has one box per region.
    """

    chunk_no: int
    kind: RegionKind
    text: str
    start: int
    end: int
    boxes: tuple[Box, ...]
    region_orders: tuple[int, ...]
    heading: str = ""

    @property
    def box(self) -> Box:
        """The box around all of the chunk."""
        return union_box(self.boxes)


@dataclass(frozen=True, slots=True)
class Page:
    """One page as read: size as displayed, text with words and regions, and the chunks made of them.

    `rotation` is the clockwise rotation (0, 90, 180, 270) that displaying applied. `search_text` is the
    normalised text that page retrieval indexes. `notes` names what was noticed, such as "ocr:no_text_layer".
    """

    page_no: int
    label: str
    width_pt: float
    height_pt: float
    rotation: int
    text: str
    search_text: str
    text_source: TextSource
    words: tuple[Word, ...]
    regions: tuple[Region, ...]
    chunks: tuple[Chunk, ...]
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[float, float]:
        """``(width_pt, height_pt)``."""
        return self.width_pt, self.height_pt

    def word_text(self, word: Word) -> str:
        """The characters of a word."""
        return self.text[word.start : word.end]

    def boxes_of(self, start: int, end: int) -> tuple[Box, ...]:
        """Boxes of the words that overlap ``[start, end)``, one per line, in reading order."""
        lines: dict[int, list[Box]] = {}
        for word in self.words:
            if word.start < end and word.end > start:
                lines.setdefault(word.line_no, []).append(word.box)
        return tuple(union_box(boxes) for boxes in lines.values())


class PageFailure(NamedTuple):
    """A page that was declared but could not be read: a row, not a gap."""

    page_no: int
    reason: Reason
    message: str


class OutlineEntry(NamedTuple):
    """One bookmark: nesting level (1-based), title, and the page it points to."""

    level: int
    title: str
    page_no: int


@dataclass(frozen=True, slots=True)
class Document:
    """An indexed file. `doc` is its path relative to the indexed folder, with forward slashes.

    `doc_id` is the first 32 hexadecimal digits of the sha256 of its bytes. `aliases` are other names of
    files with the same bytes. ``n_pages_indexed + len(failures) == n_pages`` always holds. `notes` names what
    was noticed, such as "damaged".
    """

    doc: str
    doc_id: str
    n_pages: int
    n_pages_indexed: int
    failures: tuple[PageFailure, ...]
    size_bytes: int
    mtime_ns: int
    parser: str
    title: str = ""
    outline: tuple[OutlineEntry, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    aliases: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """What a query may see. None means no restriction; an empty tuple means nothing at all.

    `docs` are names, aliases, or glob patterns of documents; `pages` are inclusive ``(first, last)`` ranges
    of 1-based page numbers; `metadata` must equal the document's, key by key. `kinds` are kinds of regions:
    only such regions are seen, and a page only by them.
    """

    docs: tuple[str, ...] | None = None
    pages: tuple[tuple[int, int], ...] | None = None
    metadata: Mapping[str, str] | None = None
    kinds: tuple[RegionKind, ...] | None = None

    def allows_page(self, page_no: int) -> bool:
        """Whether the page range admits this page number."""
        return self.pages is None or any(first <= page_no <= last for first, last in self.pages)


@dataclass(frozen=True, slots=True)
class Query:
    """A question or search, the unit to rank, and the scope to look in.

    A literal one is searched for as it stands: no model routes, splits or rewords it.
    """

    text: str
    unit: Unit = "page"
    scope: Scope = Scope()
    is_literal: bool = False


class Scored(NamedTuple):
    """One place in a ranking. Higher is better; comparable only within one retriever and one query."""

    unit: UnitRef
    score: float


def ranked(scored: list[Scored]) -> list[Scored]:
    """Sort best first; ties break by document name, page number and chunk number."""
    return sorted(scored, key=lambda s: (-s.score, s.unit))


class SourceScore(NamedTuple):
    """Rank (1-based) and raw score that one retriever gave to a hit."""

    rank: int
    score: float


class Fused(NamedTuple):
    """One place in a fused ranking. A retriever that did not return the unit is absent from `sources`."""

    unit: UnitRef
    score: float
    sources: Mapping[str, SourceScore]


@dataclass(frozen=True, slots=True)
class Hit:
    """A result for people: the unit, its score, every retriever's own rank and score, and a snippet.

    `score` is what hits are sorted by. `fused` is the rank and score that fusion gave, before boosts and
    rerankers; None for a unit that only these brought in. For a region hit `kind` and `box` describe the
    region; `snippet_boxes` are where the snippet stands.
    """

    unit: UnitRef
    page_label: str
    score: float
    sources: Mapping[str, SourceScore]
    snippet: str
    snippet_boxes: tuple[Box, ...] = ()
    kind: RegionKind | None = None
    box: Box | None = None
    fused: SourceScore | None = None

    @property
    def doc(self) -> str:
        """Name of the document."""
        return self.unit.doc

    @property
    def page_no(self) -> int:
        """Page number, 1-based."""
        return self.unit.page_no


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an answerer was shown, under an id issued for this run ("E1", "E2", …)."""

    evidence_id: str
    hit: Hit
    text: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A place that supports the answer. `boxes` is empty when only the page is known ("page only").

    `page_size` is ``(width_pt, height_pt)`` of the page as displayed, so that boxes can be normalised.
    `support` says whether `quote` stands on the page: word for word, in part, or not at all.
    """

    n: int
    evidence_id: str
    doc: str
    doc_id: str
    page_no: int
    page_label: str
    boxes: tuple[Box, ...]
    page_size: tuple[float, float]
    quote: str
    support: Support


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer. `citations` are the numbers (`Citation.n`) of what supports it.

    `figures` are those citations whose region is shown as a picture after the sentence.
    """

    text: str
    citations: tuple[int, ...] = ()
    figures: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost. Token and image counts are 0 when no model was called.

    `cost_usd` is the sum of the calls whose cost is known; with `n_unpriced_calls` it is a lower bound.
    """

    elapsed_s: float = 0.0
    n_model_calls: int = 0
    n_input_tokens: int = 0
    n_output_tokens: int = 0
    n_images: int = 0
    cost_usd: float | None = None
    n_unpriced_calls: int = 0


def known_cost_usd(costs: Iterable[float | None], *, n_unpriced_calls: int) -> float | None:
    """Sum of the costs that are known; None when none is.

    None, too, when it is nothing and some calls have no price: "at least nothing" would look like "nothing".

    Examples
    --------
    >>> known_cost_usd([0.25, None], n_unpriced_calls=1)
    0.25
    """
    known = [cost for cost in costs if cost is not None]
    total = math.fsum(known)  # the same in whatever order calls ended
    return total if known and (total or not n_unpriced_calls) else None


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One thing that happened on the way to an answer."""

    name: str
    elapsed_s: float
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Trace:
    """How an answer came about, step by step."""

    trace_id: str
    steps: tuple[TraceStep, ...] = ()

    def __iter__(self) -> Iterator[TraceStep]:
        return iter(self.steps)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its citations, or an abstention with its reason.

    When `abstained`, `text` is `NOT_ANSWERABLE` and `reason` says why. `confidence` is the calibrated
    probability, 0 to 1, that the evidence carries the answer, None when the answerer has no calibration.
    `sentences` says which citations support which sentence, empty where the answerer writes no sentences.
    `is_partial` marks the best supported answer of a run that could not finish; `warnings` says why.
    """

    question: str
    text: str
    abstained: bool
    reason: Abstention | None
    citations: tuple[Citation, ...]
    evidence: tuple[Evidence, ...]
    usage: Usage
    warnings: tuple[str, ...]
    trace: Trace
    confidence: float | None = None
    sentences: tuple[Sentence, ...] = ()
    is_partial: bool = False
