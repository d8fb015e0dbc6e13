"""Visual retrieval: late interaction between the words of a question and the patches of pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from docrag.geometry import Box
from docrag.late_interaction.maxsim import MaxSim
from docrag.late_interaction.similarity import heat, hot_boxes, similarity_maps, snapped
from docrag.late_interaction.view import Selection, VectorView
from docrag.protocols import Corpus, PageEmbedder, QueryVectors, VectorIndex
from docrag.retrieve.visual.candidates import Candidates, Exact
from docrag.retrieve.visual.cost import QUICK_S, exact_scan_s
from docrag.retrieve.visual.kinds import of_kinds
from docrag.retrieve.visual.ranking import best_units, exact_scores
from docrag.types import Query, RegionKind, Scored, Unit, UnitRef, ranked

RegionMode = Literal["direct", "cascade"]

QUERY_CACHE = 64
"""Encoded questions kept: a search and its explanation encode once."""


MAX_BOXES = 3
"""Boxes shown for a page; the coolest patches beyond them would cover half of it."""

_FIGURES: frozenset[RegionKind] = frozenset({"table", "picture", "formula"})


@dataclass(frozen=True, slots=True)
class Similarity:
    """Words of a question, and the similarity of each to every patch, ``(n_words, n_rows, n_columns)``."""

    tokens: tuple[str, ...]
    maps: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shortlisting:
    """Which stage chose `n_scored` of `n_units` to be scored exactly, and its share of the exact best."""

    stage: str
    n_units: int
    n_scored: int
    recall: float


class VisualRetriever:
    """MaxSim over page images, or over crops of regions.

    Parameters
    ----------
    candidates
        Finds what to score exactly once more than `exact_below` units are in the scope; None scores all.
    exact_below
        Up to so many units everything is scored exactly; None: as long as that takes about half a second,
        and never where `candidates` miss nothing.
    n_candidates
        How many are scored exactly otherwise, or ``k`` if that is more, unless `candidates` miss nothing.
    regions
        "direct" ranks the crops of all pages; "cascade" those of the best `n_cascade_pages` pages only.
    """

    def __init__(
        self,
        corpus: Corpus,
        index: VectorIndex,
        embedder: PageEmbedder,
        kernel: MaxSim,
        *,
        candidates: Candidates | None = None,
        exact_below: int | None = None,
        n_candidates: int = 200,
        regions: RegionMode = "direct",
        n_cascade_pages: int = 50,
        name: str = "visual",
    ) -> None:
        self.name = name
        self._corpus = corpus
        self._index = index
        self._kernel = kernel
        self._candidates: Candidates = candidates or Exact()
        self._exact_below = exact_below
        self._n_candidates = n_candidates
        self._regions: RegionMode = regions
        self._n_cascade_pages = n_cascade_pages

        def encode(text: str) -> QueryVectors:
            return embedder.embed_queries([text])[0]

        self.encode = lru_cache(maxsize=QUERY_CACHE)(encode)

    def retrieve(self, query: Query, *, k: int) -> list[Scored]:
        """At most `k` units, best first; units without vectors are absent.

        Where only regions have vectors, a page scores as its best region.
        """
        if not query.text.strip():
            return []
        view = self._index.view()
        vectors = self.encode(query.text.strip()).vectors
        select = partial(self._selected, view, query)

        if query.unit == "page":
            return self._pages(view, vectors, select, k=k)
        regions = select("region")
        if self._regions == "cascade":
            regions = _on_pages(regions, view, self._pages(view, vectors, select, k=self._n_cascade_pages))
        return self._rank(view, vectors, regions, k=k)

    def similarity(self, text: str, unit: UnitRef) -> Similarity | None:
        """How similar every word of a question is to every patch of a unit; None when that is not known."""
        found = self._index.view().find(unit)
        grid = None if found is None else found[0].grids[found[1]]
        if found is None or grid is None or not text.strip():
            return None
        query = self.encode(text.strip())
        maps = similarity_maps(query.vectors, found[0].vectors.vectors(found[1]), grid)
        return Similarity(query.tokens, maps)

    def locate(self, query: Query, unit: UnitRef) -> tuple[Box, ...]:
        """Boxes of the patches that matched on a page, or of the figures and tables they lie in."""
        similarity = self.similarity(query.text, unit.as_page)
        if similarity is None:
            return ()
        page = self._corpus.page(unit.page)
        boxes = hot_boxes(heat(similarity.maps), page.width_pt, page.height_pt)
        regions = [region.box for region in page.regions if region.kind in _FIGURES]
        return tuple(snapped(boxes, regions))[:MAX_BOXES]

    def _pages(
        self,
        view: VectorView,
        vectors: NDArray[np.float32],
        select: Callable[[Unit], list[Selection]],
        *,
        k: int,
    ) -> list[Scored]:
        found = self._rank(view, vectors, select("page"), k=k)
        if found:
            return found
        regions = self._rank(view, vectors, select("region"), k=None)
        best: dict[UnitRef, float] = {}
        for region in regions:
            page = region.unit.as_page
            best[page] = max(region.score, best.get(page, region.score))
        return ranked([Scored(page, score) for page, score in best.items()])[:k]

    def _rank(
        self, view: VectorView, vectors: NDArray[np.float32], selections: list[Selection], *, k: int | None
    ) -> list[Scored]:
        """Rank the selected rows; None for `k` keeps all of them, scored exactly."""
        n_units = sum(len(rows) for _, rows in selections)
        if k is not None and not self._scores_all(selections, k=k):
            n = self._n_shortlisted(k)
            selections = self._candidates.shortlist(vectors, view, selections, n=n)
        scores = exact_scores(self._kernel, vectors, selections)
        return best_units(view, selections, scores, k=n_units if k is None else k)

    def _scores_all(self, selections: Sequence[Selection], *, k: int) -> bool:
        """Whether everything selected is scored exactly."""
        n_units = sum(len(rows) for _, rows in selections)
        if n_units <= self._n_shortlisted(k) or self._candidates.name == Exact.name:
            return True
        if self._exact_below is not None:
            return n_units <= self._exact_below
        # What misses nothing loses nothing to an exact scan, and is there because it is quicker.
        return not self._candidates.misses_nothing and exact_scan_s(self._kernel, selections) <= QUICK_S

    def _n_shortlisted(self, k: int) -> int:
        """Units to ask the candidate stage for: more than `k` only where it may miss some."""
        return k if self._candidates.misses_nothing else max(self._n_candidates, k)

    def shortlisting(self, query: Query, *, k: int = 10, depth: int | None = None) -> Shortlisting | None:
        """How the units of a query are chosen, against an exact scan, which this makes; None without any.

        `depth` is how many units the search asks for, which may be more than the `k` that are compared. In
        a cascade, units chosen are regions of the best pages.
        """
        view = self._index.view()
        select = partial(self._selected, view, query)
        everything = select(query.unit)
        n_units = sum(len(rows) for _, rows in everything)
        if not n_units or not query.text.strip():
            return None
        depth = max(k, depth or k)
        is_cascade = query.unit == "region" and self._regions == "cascade"
        if not is_cascade and self._scores_all(everything, k=depth):
            return Shortlisting(Exact.name, n_units, n_units, 1.0)
        vectors = self.encode(query.text.strip()).vectors
        chosen, stage = everything, Exact.name
        if is_cascade:
            chosen = _on_pages(chosen, view, self._pages(view, vectors, select, k=self._n_cascade_pages))
            stage = f"regions of the best {self._n_cascade_pages} pages"
        if not self._scores_all(chosen, k=depth):
            chosen = self._candidates.shortlist(vectors, view, chosen, n=self._n_shortlisted(depth))
            stage = f"{stage}, {self._candidates.name}" if is_cascade else self._candidates.name
        exact = best_units(view, everything, exact_scores(self._kernel, vectors, everything), k=k)
        found = best_units(view, chosen, exact_scores(self._kernel, vectors, chosen), k=k)
        shared = {scored.unit for scored in exact} & {scored.unit for scored in found}
        n_scored = sum(len(rows) for _, rows in chosen)
        return Shortlisting(stage, n_units, n_scored, len(shared) / max(len(exact), 1))

    def _selected(self, view: VectorView, query: Query, unit: Unit) -> list[Selection]:
        """Rows of all units that the query's scope admits."""
        selections = view.select(self._corpus.select(query.scope), query.scope.pages, unit)
        kinds = query.scope.kinds
        return selections if kinds is None else of_kinds(selections, view, self._corpus, kinds)


def _on_pages(selections: Sequence[Selection], view: VectorView, pages: Sequence[Scored]) -> list[Selection]:
    """Keep the rows of regions on the given pages."""
    wanted = {(unit.doc_id, unit.page_no) for unit, _ in pages}
    found: list[Selection] = []
    for part, rows in selections:
        keep = [
            (view.documents[int(part.doc_indices[row])].doc_id, int(part.page_nos[row])) in wanted
            for row in rows
        ]
        if any(keep):
            found.append(Selection(part, rows[keep]))
    return found


def coverage(view: VectorView, corpus: Corpus) -> tuple[int, int]:
    """How many indexed pages have vectors, and how many there are."""
    n_pages = sum(document.n_pages_indexed for document in corpus.documents())
    return len(view.pages()), n_pages
