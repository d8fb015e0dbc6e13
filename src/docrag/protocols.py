"""The seams: what a stage may ask of another. Stage packages meet only here and in `docrag.types`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from docrag.chat.events import SILENCE, Listener
from docrag.chat.messages import ImagePart
from docrag.geometry import Box
from docrag.late_interaction.view import VectorView
from docrag.types import (
    Answer,
    Chunk,
    Document,
    Fused,
    OutlineEntry,
    Page,
    PageRef,
    Query,
    RegionKind,
    Scope,
    Scored,
    Unit,
    UnitRef,
)

RgbImage = NDArray[np.uint8]
"""An RGB image, ``(height_px, width_px, 3) uint8``."""


# ── ingest ────────────────────────────────────────────────────────────────────────────────────────────


class RawWord(NamedTuple):
    """A word as the parser gives it. `block_no` and `line_no` group words; `font_size_pt` is 0 if unknown."""

    text: str
    box: Box
    block_no: int
    line_no: int
    font_size_pt: float
    is_bold: bool


@dataclass(frozen=True, slots=True)
class RawPage:
    """What a parser says about a page, before layout and OCR. All boxes are on the page as displayed.

    `images` are boxes of raster images, `drawings` boxes of vector paths (rules, bars, frames).
    `n_unmapped` counts characters without a Unicode value. `hidden` names kinds of text that the page holds
    and people do not see.
    """

    page_no: int
    label: str
    width_pt: float
    height_pt: float
    rotation: int
    words: tuple[RawWord, ...]
    images: tuple[Box, ...]
    drawings: tuple[Box, ...]
    n_unmapped: int = 0
    hidden: tuple[str, ...] = ()


class PageSource(Protocol):
    """An open document. Page numbers are 1-based; errors are `docrag.errors.IngestError` with a reason.

    `notes` names what was noticed about the file: "damaged" when the parser had to put it together again.
    """

    parser: str
    n_pages: int
    title: str
    outline: Sequence[OutlineEntry]
    metadata: Mapping[str, str]
    notes: Sequence[str]

    def read(self, page_no: int) -> RawPage:
        """Words, images and drawings of one page."""
        ...

    def render(self, page_no: int, *, dpi: float, clip: Box | None = None) -> RgbImage:
        """The page, or the part of it inside `clip`, as an RGB image."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class LayoutBox(NamedTuple):
    """A region a layout detector found; `score` is its confidence, 1.0 where the detector has none."""

    kind: RegionKind
    box: Box
    score: float


class LayoutDetector(Protocol):
    """Finds layout regions; several may overlap, none need cover every word."""

    def detect(self, page: RawPage, source: PageSource) -> list[LayoutBox]:
        """Regions of the page in reading order, as far as the detector knows one."""
        ...


class OcrWord(NamedTuple):
    """A recognised word; `box` is in pixels of the image, `confidence` 0 to 1."""

    text: str
    box: Box
    line_no: int
    confidence: float


class Ocr(Protocol):
    """Reads words in an image."""

    def read(self, image: RgbImage) -> list[OcrWord]:
        """Words in reading order, line by line; an empty list when there are none."""
        ...


# ── embeddings ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """What makes vectors comparable; stored in the index, and a difference is an error."""

    name: str
    revision: str
    dim: int
    pooling: str


class TextEmbedder(Protocol):
    """One L2-normalised vector per text."""

    identity: EncoderIdentity

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(n_texts, dim) float32``, rows of unit length."""
        ...

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(n_texts, dim) float32``, rows of unit length."""
        ...


class ImageVectors(NamedTuple):
    """Vectors of one image, ``(n_vectors, dim) float32``, rows of unit length, padding dropped.

    `grid` ``(n_rows, n_columns) int`` says which vector stands for which patch of the image, which it divides
    evenly; −1 where none does. None when the encoder cannot tell, as for a single vector.
    """

    vectors: NDArray[np.float32]
    grid: NDArray[np.int32] | None


class QueryVectors(NamedTuple):
    """Vectors of one query, ``(n_vectors, dim) float32``, rows of unit length, and the token behind each."""

    vectors: NDArray[np.float32]
    tokens: tuple[str, ...]


class PageEmbedder(Protocol):
    """Late-interaction or single-vector encoder of page and region images.

    A single-vector model has ``n_vectors == 1``. Equal input gives equal vectors, whatever else is in the
    batch. `processor` is a digest of everything that turns an image or a text into model input.
    """

    identity: EncoderIdentity
    processor: str

    def embed_queries(self, texts: Sequence[str]) -> list[QueryVectors]:
        """Vectors of every query."""
        ...

    def embed_images(self, images: Sequence[RgbImage]) -> list[ImageVectors]:
        """Vectors of every image."""
        ...


# ── the index, as retrieval and answering see it ─────────────────────────────────────────────────────


class Corpus(Protocol):
    """A committed state of an index, read only."""

    def documents(self) -> Sequence[Document]:
        """All committed documents, sorted by name."""
        ...

    def select(self, scope: Scope) -> Sequence[Document]:
        """Documents that the scope's `docs` and `metadata` admit, sorted by name."""
        ...

    def page(self, ref: PageRef) -> Page:
        """A page with its words, regions and chunks; KeyError when it is not in the index."""
        ...

    def read_pages(self, refs: Iterable[PageRef]) -> Mapping[PageRef, Page]:
        """Several pages at the price of one, each once; KeyError when one is not in the index."""
        ...

    def chunk(self, unit: UnitRef) -> Chunk:
        """A chunk of a page; KeyError when it is not in the index."""
        ...

    def page_labels(self, doc_id: str) -> Mapping[int, str]:
        """Printed label by page number, for every indexed page of a document."""
        ...

    def chunk_kinds(self, doc_id: str) -> Mapping[tuple[int, int], RegionKind]:
        """Kind of every chunk of a document, by page number and chunk number."""
        ...

    def search_text(self, text: str, *, unit: Unit, scope: Scope, k: int) -> list[Scored]:
        """BM25 over pages or chunks, best first; units that share no term with the query are absent.

        ``scope.kinds`` restricts chunks; whole pages have no kind and are never restricted by it.
        """
        ...

    def search_vector(self, vector: NDArray[np.float32], *, scope: Scope, k: int) -> list[Scored]:
        """Cosine similarity of `vector` ``(dim,)`` to every chunk in the scope, best first."""
        ...


class VectorIndex(Protocol):
    """The page and region vectors of an index, as of one committed state."""

    def view(self) -> VectorView:
        """What is visible now; the same object until the index is refreshed."""
        ...


class PagePictures(Protocol):
    """Pictures of pages and of places on them, encoded for a chat model.

    Equal arguments give equal bytes, so that a server's prefix cache works.
    """

    def picture(self, ref: PageRef, *, dpi: float, clip: Box | None = None) -> ImagePart:
        """The page, or the part of it inside `clip`; raises `docrag.errors.IngestError` when it cannot."""
        ...


# ── retrieval and answers ────────────────────────────────────────────────────────────────────────────


class Retriever(Protocol):
    """Ranks pages or chunks for a query."""

    name: str

    def retrieve(self, query: Query, *, k: int) -> list[Scored]:
        """At most `k` units of ``query.unit`` within ``query.scope``, best first, ties in unit order."""
        ...


class Fusion(Protocol):
    """Makes one ranking of several. A unit absent from a ranking is absent, never scored 0."""

    def fuse(self, rankings: Mapping[str, Sequence[Scored]]) -> list[Fused]:
        """All units of all rankings, best first, ties in unit order, every source's rank and score kept."""
        ...


class Kept(NamedTuple):
    """How many of the first units of a ranking stay, and why the others do not."""

    n: int
    reason: str


class Cutoff(Protocol):
    """Says how much of a ranking is worth keeping."""

    def keep(self, scores: NDArray[np.float64]) -> Kept:
        """Length of the prefix to keep, at most ``len(scores)``; `scores` ``(n_units,)`` never rise."""
        ...


class Reranker(Protocol):
    """Reorders the head of a ranking."""

    def rerank(self, query: Query, candidates: Sequence[Fused]) -> list[Fused]:
        """Return the same units in a new order with new scores; sources are kept."""
        ...


class Answerer(Protocol):
    """Answers a question from an index: a single pass and an agent alike."""

    def answer(self, query: Query, *, listener: Listener = SILENCE) -> Answer:
        """Answer with verified citations, or abstain with a reason.

        `listener` hears steps and tokens as they come, and may call the run off, which raises
        `docrag.errors.Cancelled`. The `AnswerEvent` is its caller's to send.
        """
        ...
