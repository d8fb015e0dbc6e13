"""A configuration with a guided query refines over the vectors of a real index."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.visual.colours import ColourEmbedder
from tests.visual.test_visual_pipeline import RETRIEVAL, add, draw_here, options, settings, write_pdf

from docrag.pipeline import visual_index
from docrag.pipeline.assemble import build_retrieval
from docrag.pipeline.docrag import DocRAG
from docrag.pipeline.visual import build_visual_retriever
from docrag.retrieve.options import RetrievalOptions
from docrag.store.reader import IndexReader
from docrag.types import Query


def test_the_visual_query_is_guided_by_the_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(visual_index, "draw_in_workers", draw_here)
    write_pdf(tmp_path / "a.pdf", ["red", "none", "green"])
    with DocRAG.open(tmp_path, settings=settings()) as rag:
        rag.index()
    add(tmp_path, ColourEmbedder(), options())
    guided = RetrievalOptions.model_validate({**RETRIEVAL, "guided_query": {}})
    chosen = settings(options()).model_copy(update={"retrieval": guided})
    with IndexReader(tmp_path / ".docrag") as corpus:
        stage = build_retrieval(
            corpus, None, chosen, visual=lambda: build_visual_retriever(corpus, options(), ColourEmbedder())
        )
        hits = stage.search(Query("red sheet"), k=3).hits
    assert hits[0].page_no == 1
    assert sorted(hit.sources["guided query"].rank for hit in hits) == [1, 2, 3]
