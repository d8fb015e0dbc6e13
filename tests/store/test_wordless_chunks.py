"""Chunks without text are units to look at; retrieval by words neither finds nor counts them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.store.pages import ENCODER, chunk_vectors, embed, make_document, make_page

from docrag.geometry import Box
from docrag.store.reader import IndexReader
from docrag.store.writer import IndexWriter
from docrag.types import Chunk, Page, Scope, Scored, Unit, UnitRef

BOX = Box(50, 300, 400, 500)
WORDS = ["tide gauge", "harbour wall"]


def with_picture(page: Page) -> Page:
    end = len(page.text)
    picture = Chunk(len(page.chunks) + 1, "picture", "", end, end, (BOX,), ())
    return replace(page, chunks=(*page.chunks, picture))


def written(index: Path, pages: list[Page]) -> None:
    vectors = chunk_vectors(pages)
    with IndexWriter(index, owner="test", text_encoder=ENCODER) as writer:
        draft = writer.draft("0" * 32, fingerprint="f1")
        draft.add(pages, vectors)
        writer.commit(draft, make_document("a.pdf", "0" * 32, len(pages)))
        writer.finish()


def found(index: Path, unit: Unit) -> tuple[list[Scored], list[Scored]]:
    with IndexReader(index) as reader:
        by_words = reader.search_text("tide", scope=Scope(), unit=unit, k=10)
        by_vector = reader.search_vector(embed(["tide"])[0], scope=Scope(), k=10)
    return by_words, by_vector


def test_they_change_no_ranking_by_words(tmp_path: Path):
    plain = [make_page(n, *WORDS) for n in (1, 2, 3)]
    written(tmp_path / "without", plain)
    written(tmp_path / "with", [with_picture(page) for page in plain])
    for unit in ("page", "region"):
        assert found(tmp_path / "with", unit) == found(tmp_path / "without", unit)


def test_they_are_there_to_be_shown_and_chosen_by_kind(tmp_path: Path):
    written(tmp_path, [with_picture(make_page(1, *WORDS))])
    with IndexReader(tmp_path) as reader:
        assert reader.chunk_kinds("0" * 32)[1, 3] == "picture"
        chunk = reader.chunk(UnitRef("a.pdf", 1, 3, "0" * 32))
        assert (chunk.text, chunk.box) == ("", BOX)


def test_an_index_of_pictures_alone_finds_nothing_by_words(tmp_path: Path):
    written(tmp_path, [with_picture(make_page(1))])
    assert found(tmp_path, "region") == ([], [])
