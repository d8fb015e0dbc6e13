"""Figures after the sentences they illustrate (MRAMG, arXiv 2502.04176): which goes where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from docrag.answer.cited import Cited, renumbered
from docrag.answer.figures import caption_words, content_words, labels_in
from docrag.protocols import Corpus
from docrag.types import Chunk, Citation, Evidence, Hit, Page

FIGURE_KINDS = ("picture", "table")


def figure_hits(corpus: Corpus, hits: Sequence[Hit], *, limit: int) -> list[Hit]:
    """Pictures and tables on the pages of `hits`, page by page in rank order, at most `limit`."""
    found: dict[object, Hit] = {}
    for hit in hits:
        try:
            page = corpus.page(hit.unit.page)
        except KeyError:  # gone from the index since the search
            continue
        for chunk in page.chunks:
            if chunk.kind not in FIGURE_KINDS or not chunk.boxes:
                continue
            unit = hit.unit._replace(chunk_no=chunk.chunk_no)
            found.setdefault(
                unit,
                Hit(
                    unit,
                    page.label,
                    hit.score,
                    hit.sources,
                    caption_of(page, chunk),
                    kind=chunk.kind,
                    box=chunk.box,
                    fused=hit.fused,
                ),
            )
    return list(found.values())[:limit]


def caption_of(page: Page, chunk: Chunk) -> str:
    """Text of a figure's caption; "" for none."""
    own = [region for region in page.regions if region.order in chunk.region_orders]
    return " ".join(" ".join(page.text[r.start : r.end].split()) for r in own if r.kind == "caption")


def placed_by_words(cited: Cited, figures: Sequence[Hit], *, min_overlap: float) -> list[tuple[int, Hit]]:
    """Give every figure to the sentence that speaks of it most, by 0-based number; each figure at most once.

    A sentence speaks of a figure on a page that it cites: wholly when it names its number, else by the share
    of the caption's content words that it has in common with it. Ties go to the earlier sentence.
    """
    by_n = {citation.n: citation for citation in cited.citations}
    scored: list[tuple[float, int, int]] = []
    for i, sentence in enumerate(cited.sentences):
        pages = {(by_n[n].doc_id, by_n[n].page_no) for n in sentence.citations}
        said = " ".join([sentence.text, *(by_n[n].quote for n in sentence.citations)])
        words, named = content_words(said), labels_in(said)
        for j, hit in enumerate(figures):
            if hit.unit.page not in pages:
                continue
            caption = caption_words(hit.snippet)
            share = len(caption & words) / len(caption) if caption else 0.0
            if named & labels_in(hit.snippet):
                share = 1.0
            if share >= min_overlap and share > 0:
                scored.append((-share, i, j))
    places: dict[int, int] = {}
    for _, i, j in sorted(scored):
        places.setdefault(j, i)
    return [(i, figures[j]) for j, i in sorted(places.items(), key=lambda place: (place[1], place[0]))]


def with_figures(
    cited: Cited, places: Sequence[tuple[int, Evidence]], corpus: Corpus, *, max_figures: int
) -> Cited:
    """Add figures to sentences as citations of their regions, in the order of the sentences.

    A figure is shown once. Its citation quotes its caption, which was read from the page; one without a
    caption quotes nothing and has support "none".
    """
    added: list[Citation] = []
    own: dict[int, list[int]] = {}
    shown: set[str] = set()
    for i, evidence in sorted(places, key=lambda place: place[0]):
        if evidence.evidence_id in shown or len(shown) >= max_figures:
            continue
        hit = evidence.hit
        page = corpus.page(hit.unit.page)
        caption = caption_of(page, corpus.chunk(hit.unit))
        shown.add(evidence.evidence_id)
        added.append(
            Citation(
                n=len(cited.citations) + len(added) + 1,
                evidence_id=evidence.evidence_id,
                doc=hit.doc,
                doc_id=hit.unit.doc_id,
                page_no=hit.page_no,
                page_label=page.label,
                boxes=(hit.box,) if hit.box is not None else (),
                page_size=page.size,
                quote=caption,
                support="full" if caption else "none",
            )
        )
        own.setdefault(i, []).append(added[-1].n)
    sentences = tuple(
        replace(s, citations=(*s.citations, *own.get(i, ())), figures=tuple(own.get(i, ())))
        for i, s in enumerate(cited.sentences)
    )
    return renumbered(Cited(sentences, (*cited.citations, *added)))
