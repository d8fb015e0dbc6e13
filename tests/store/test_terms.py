"""Words and pairs of the full-text index, and what searching them promises."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.pages import make_page, put

from docrag.store.reader import IndexReader
from docrag.store.terms import STOP_WORDS, index_terms, pairs, words
from docrag.store.writer import IndexWriter
from docrag.types import Scope


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("The state of the art", ["state", "art"]),
        ("Net-income, 2015: $1,234.50", ["net", "income", "2015", "1", "234", "50"]),
        ("Table3-1", ["table3", "table", "3", "1"]),
        ("iPhone 16GB", ["iphone", "i", "phone", "16gb", "16", "gb"]),
        ("ABC's", ["abc", "s"]),
        ("\ufb01rst ２０", ["first", "20"]),
        ("東京 tower", ["東", "京", "tower"]),
        ('"AND" OR -not:field*', ["field"]),
    ],
)
def test_words_of(text: str, expected: list[str]):
    assert words(text) == expected


def test_pairs_bridge_stop_words_and_join_neighbours():
    assert pairs(words("statement of cash flows")) == ["statement_cash", "cash_flows"]
    assert pairs(["alone"]) == []


@given(st.text())
def test_terms_hold_no_blank_no_stop_word_and_one_pair_less_than_words(text: str):
    found = words(text)
    assert not set(found) & STOP_WORDS
    assert not any(set(word) & set(" \t\n_") for word in found)
    assert len(index_terms(text).split()) == (2 * len(found) - 1 if found else 0)


@pytest.fixture
def reader(tmp_path: Path) -> IndexReader:
    with IndexWriter(tmp_path / "index", owner="test", text_encoder=None) as writer:
        texts = [
            "net income grew",
            "income of the net maker",
            "reporting is fun",
            "nothing here",
            "Überblick 東京都",
        ]
        put(writer, "a.pdf", "d" * 32, [make_page(i + 1, t) for i, t in enumerate(texts)], with_vectors=False)
        writer.finish()
    return IndexReader(tmp_path / "index")


def found(reader: IndexReader, text: str) -> list[int]:
    return [hit.unit.page_no for hit in reader.search_text(text, unit="page", scope=Scope(), k=5)]


def test_words_that_stand_together_rank_above_the_same_words_apart(reader: IndexReader):
    assert found(reader, "net income") == [1, 2]


def test_word_forms_and_accents_match(reader: IndexReader):
    assert found(reader, "reports") == [3]
    assert found(reader, "uberblick") == [5]


def test_part_of_a_run_of_ideographs_is_found(reader: IndexReader):
    assert found(reader, "京都") == [5]


@pytest.mark.parametrize("text", ["", "the of", "!?", "zebra", "\x00"])
def test_a_query_that_matches_nothing_finds_nothing(reader: IndexReader, text: str):
    assert found(reader, text) == []
