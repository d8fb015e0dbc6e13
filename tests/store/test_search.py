"""Search against oracles: BM25 and cosine over what is committed, after any sequence of edits."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.store.bm25 import bm25
from tests.store.pages import ENCODER, chunk_vectors, embed, make_page, put

from docrag.errors import EncoderMismatch
from docrag.store.fulltext import WORD_REPEATS
from docrag.store.reader import IndexReader
from docrag.store.terms import index_terms, pairs, words
from docrag.store.writer import IndexWriter
from docrag.types import Page, PageFailure, Reason, Scope, Scored, Unit, UnitRef, ranked

# Words that no stemmer, stop list or splitting rule touches.
VOCABULARY = ["kb", "kd", "kf", "kg", "kh", "kj", "kl", "km", "kn", "kp"]
EVERYTHING = Scope()
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # every example writes an index: no shrinking

texts = st.lists(st.sampled_from(VOCABULARY), min_size=0, max_size=12).map(" ".join)
page_texts = st.lists(texts, min_size=1, max_size=3)
documents = st.lists(page_texts, min_size=1, max_size=4)
names = st.sampled_from(["a.pdf", "b.pdf", "c/d.pdf"])
edits = st.one_of(
    st.tuples(st.just("put"), names, documents),
    st.tuples(st.just("put"), names, documents),
    st.tuples(st.just("remove"), names),
    st.tuples(st.just("rename"), names, st.sampled_from(["e.pdf", "f.pdf"])),
    st.tuples(st.just("draft"), documents),
    st.tuples(st.just("reopen")),
    st.tuples(st.just("finish")),
)
Model = dict[str, tuple[str, list[Page]]]


def pages_of(document: Sequence[Sequence[str]]) -> list[Page]:
    return [make_page(n, *parts) for n, parts in enumerate(document, 1)]


def apply(writer: IndexWriter, model: Model, edit: tuple, serial: int) -> None:
    kind, *rest = edit
    doc_id = f"{serial:032x}"
    if kind == "put":
        name, document = rest
        pages = pages_of(document)
        failure = [PageFailure(len(pages) + 1, Reason.CPU_LIMIT, "slow")] if serial % 2 else []
        put(writer, name, doc_id, pages, failures=failure)
        model[name] = (doc_id, pages)
    elif kind == "remove" and rest[0] in model:
        writer.remove(rest[0])
        del model[rest[0]]
    elif kind == "rename" and rest[0] in model and rest[1] not in model:
        writer.rename(*rest)
        model[rest[1]] = model.pop(rest[0])
    elif kind == "draft":
        pages = pages_of(rest[0])
        writer.draft(doc_id, fingerprint="f").add(pages, chunk_vectors(pages), [])
    elif kind == "finish":
        writer.finish(keep_drafts=())


def units(model: Model, unit: Unit) -> dict[UnitRef, str]:
    found: dict[UnitRef, str] = {}
    for name, (doc_id, pages) in model.items():
        for page in pages:
            if unit == "page":
                found[UnitRef(name, page.page_no, 0, doc_id)] = page.search_text
            else:
                found |= {UnitRef(name, page.page_no, c.chunk_no, doc_id): c.text for c in page.chunks}
    return found


def oracle(model: Model, query: str, *, unit: Unit) -> list[Scored]:
    weights = dict.fromkeys(words(query), 1.0) | dict.fromkeys(pairs(words(query)), 1 / WORD_REPEATS)
    texts_of = {key: index_terms(text).split() for key, text in units(model, unit).items()}
    texts_of = {key: terms for key, terms in texts_of.items() if terms}  # LanceDB counts no empty text
    return ranked([Scored(key, score) for key, score in bm25(weights, texts_of).items()])


def in_scope(hits: Sequence[Scored], scope: Scope) -> list[Scored]:
    return [
        hit
        for hit in hits
        if (scope.docs is None or hit.unit.doc in scope.docs) and scope.allows_page(hit.unit.page_no)
    ]


def assert_same_ranking(found: Sequence[Scored], expected: Sequence[Scored], k: int) -> None:
    """Equal scores in order; equal units too, except that near-ties may swap by rounding."""
    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected[:k]], abs=2e-4)
    scores = {hit.unit: hit.score for hit in expected}
    assert [scores[hit.unit] for hit in found] == pytest.approx([hit.score for hit in found], abs=2e-4)
    assert list(found) == ranked(list(found))


@contextmanager
def index_after(script: Sequence[tuple], *, finished: bool) -> Iterator[tuple[Path, Model]]:
    with tempfile.TemporaryDirectory() as folder:
        path, model = Path(folder), Model()
        writer = IndexWriter(path, owner="test", text_encoder=ENCODER)
        try:
            for serial, edit in enumerate(script):
                if edit[0] == "reopen":
                    writer.close()
                    writer = IndexWriter(path, owner="test", text_encoder=ENCODER)
                apply(writer, model, edit, serial)
        finally:
            writer.close()
        if finished:
            with IndexWriter(path, owner="test", text_encoder=ENCODER) as writer:
                writer.finish(keep_drafts=())
        yield path, model


@settings(max_examples=12, deadline=None, phases=PHASES)
@given(
    st.lists(edits, min_size=1, max_size=6),
    st.lists(texts, min_size=3, max_size=3),
    st.sampled_from(["page", "region"]),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_bm25_is_that_of_the_committed_units_after_any_edits(script, queries, unit, pages):
    with index_after(script, finished=True) as (path, model), IndexReader(path) as reader:
        docs = tuple(sorted(model)[:1])
        for query in queries:
            expected = oracle(model, query, unit=unit)
            for scope in (
                EVERYTHING,
                Scope(pages=(pages,)),
                Scope(docs=docs),
                Scope(docs=docs, pages=(pages,)),
            ):
                for k in (3, 1000):
                    hits = reader.search_text(query, unit=unit, scope=scope, k=k)
                    assert_same_ranking(hits, in_scope(expected, scope), k)


@settings(max_examples=8, deadline=None, phases=PHASES)
@given(st.lists(edits, min_size=1, max_size=6), texts, st.sampled_from(["page", "region"]))
def test_an_unfinished_index_finds_exactly_the_committed_units(script, query, unit):
    with index_after(script, finished=False) as (path, model), IndexReader(path) as reader:
        assert [d.doc for d in reader.documents()] == sorted(model)
        expected = {hit.unit for hit in oracle(model, query, unit=unit)}
        hits = reader.search_text(query, unit=unit, scope=EVERYTHING, k=1000)
        assert {hit.unit for hit in hits} == expected
        assert all(np.isfinite(hit.score) for hit in hits)
        for k in (1, 3):
            assert len(reader.search_text(query, unit=unit, scope=EVERYTHING, k=k)) == min(k, len(expected))


@settings(max_examples=8, deadline=None, phases=PHASES)
@given(st.lists(edits, min_size=1, max_size=6), texts, st.tuples(st.integers(1, 4), st.integers(1, 4)))
def test_cosine_is_that_of_the_committed_chunks_after_any_edits(script, query, pages):
    with index_after(script, finished=False) as (path, model), IndexReader(path) as reader:
        vector = embed([query])[0]
        texts_of = {key: text for key, text in units(model, "region").items() if text}
        cosines = embed(list(texts_of.values())).astype(np.float64) @ vector.astype(np.float64)
        expected = ranked([Scored(key, float(c)) for key, c in zip(texts_of, cosines, strict=True)])
        docs = tuple(sorted(model)[1:])
        for scope in (EVERYTHING, Scope(pages=(pages,)), Scope(docs=docs)):
            for k in (1, 4, 1000):
                hits = reader.search_vector(vector * 3, scope=scope, k=k)
                admitted = in_scope(expected, scope)
                assert [h.score for h in hits] == pytest.approx([h.score for h in admitted[:k]], abs=2e-6)
                assert hits == ranked(hits)
                assert len(set(hits)) == min(k, len(admitted))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexReader]:
    path = tmp_path_factory.mktemp("index")
    with IndexWriter(path, owner="test", text_encoder=ENCODER) as writer:
        # The same text many times: only names and numbers can order these.
        for i in (3, 1, 2):
            put(writer, f"{i}.pdf", f"{i:032x}", [make_page(n, "same text") for n in range(1, 41)], batch=40)
        put(writer, "n.pdf", "f" * 32, [make_page(1, "It rose 12.5 percent to $1,234 net-income")])
        writer.finish()
    with IndexReader(path) as opened:
        yield opened


@pytest.mark.parametrize("k", [1, 5, 39, 41, 100, 500])
def test_ties_break_by_name_page_and_chunk_however_few_are_asked_for(reader: IndexReader, k: int):
    expected = [(f"{i}.pdf", page_no) for i in (1, 2, 3) for page_no in range(1, 41)][:k]
    by_text = reader.search_text("same text", unit="page", scope=EVERYTHING, k=k)
    by_chunk = reader.search_text("same", unit="region", scope=EVERYTHING, k=k)
    by_vector = reader.search_vector(embed(["same text"])[0], scope=EVERYTHING, k=k)
    for hits in (by_text, by_chunk, by_vector):
        assert [(hit.unit.doc, hit.unit.page_no) for hit in hits][: len(expected)] == expected
    assert len({hit.score for hit in by_text}) == 1


@pytest.mark.parametrize("query", ["12.5", "$1,234", "1,234", "net-income", "income", "NET", "12.5 %"])
def test_numbers_and_hyphenated_words_are_found(reader: IndexReader, query: str):
    hits = reader.search_text(query, unit="region", scope=EVERYTHING, k=5)
    assert [hit.unit.doc for hit in hits] == ["n.pdf"]


@pytest.mark.parametrize(
    "query",
    [
        '"same',
        "+same -text",
        "same AND text",
        "(same",
        "same*",
        "same~2",
        "text:same",
        "{same}",
        "\\",
        "sa'me text",
    ],
)
def test_nothing_in_a_query_is_an_operator(reader: IndexReader, query: str):
    hits = reader.search_text(query, unit="page", scope=EVERYTHING, k=500)
    assert len(hits) == (120 if words(query) else 0)


def test_a_query_without_terms_finds_nothing_and_unknown_terms_are_harmless(reader: IndexReader):
    for query in ("", "   ", "the of", "?!", "\x00", "zzz qqq"):
        assert reader.search_text(query, unit="page", scope=EVERYTHING, k=5) == []
    assert reader.search_text("same", unit="page", scope=EVERYTHING, k=0) == []
    assert reader.search_text("same", unit="page", scope=Scope(docs=()), k=5) == []
    assert reader.search_text("same", unit="page", scope=Scope(pages=()), k=5) == []
    assert len(reader.search_text("same " + "zzz " * 5000, unit="page", scope=EVERYTHING, k=500)) == 120


def test_a_query_vector_of_another_dimension_is_refused(reader: IndexReader):
    with pytest.raises(EncoderMismatch, match=r"shape \(4,\).*dim 8"):
        reader.search_vector(np.ones(4, np.float32), scope=EVERYTHING, k=3)
    with pytest.raises(ValueError, match="length"):
        reader.search_vector(np.zeros(8, np.float32), scope=EVERYTHING, k=3)


def test_an_index_without_vectors_says_so(tmp_path: Path):
    with IndexWriter(tmp_path, owner="test", text_encoder=None) as writer:
        put(writer, "a.pdf", "aa", [make_page(1, "kb")], with_vectors=False)
    with IndexReader(tmp_path) as plain, pytest.raises(EncoderMismatch, match="holds none"):
        plain.search_vector(np.ones(8, np.float32), scope=EVERYTHING, k=3)


def test_kinds_restrict_chunks_and_never_whole_pages(tmp_path: Path):
    page = make_page(1, "kb kd", "kb kf", "kb kg")
    first, second, third = page.chunks
    page = replace(page, chunks=(first, replace(second, kind="table"), replace(third, kind="picture")))
    with IndexWriter(tmp_path, owner="test", text_encoder=ENCODER) as writer:
        put(writer, "a.pdf", "a" * 32, [page])
    figures = Scope(kinds=("picture", "table"))
    with IndexReader(tmp_path) as reader:
        assert reader.chunk_kinds("a" * 32) == {(1, 1): "text", (1, 2): "table", (1, 3): "picture"}
        found = reader.search_text("kb", unit="region", scope=figures, k=9)
        assert {hit.unit.chunk_no for hit in found} == {2, 3}
        assert [hit.unit.chunk_no for hit in reader.search_text("kb", unit="page", scope=figures, k=9)] == [0]
        by_vector = reader.search_vector(embed(["kb"])[0], scope=Scope(kinds=("table",)), k=9)
        assert [hit.unit.chunk_no for hit in by_vector] == [2]
        nothing = Scope(kinds=())
        assert reader.search_text("kb", unit="region", scope=nothing, k=9) == []
        assert reader.search_vector(embed(["kb"])[0], scope=nothing, k=9) == []
