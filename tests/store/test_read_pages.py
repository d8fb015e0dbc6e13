"""Many pages are read at once: the same ones as one by one, in the order asked for, whatever is in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.store.pages import ENCODER, make_page, put

from docrag.store import snapshot
from docrag.store.reader import IndexReader
from docrag.store.writer import IndexWriter
from docrag.types import PageRef

IDS = ("a" * 32, "b" * 32)
N_PAGES = 5
REFS = [PageRef(doc_id, page_no) for doc_id in IDS for page_no in range(1, N_PAGES + 1)]


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("read") / "index"
    with IndexWriter(path, owner="the test", text_encoder=ENCODER) as writer:
        for doc_id in IDS:
            pages = [make_page(n, f"{doc_id[0]} {n} words") for n in range(1, N_PAGES + 1)]
            put(writer, f"{doc_id[0]}.pdf", doc_id, pages)
        writer.finish(keep_drafts=())
    return path


def text_of(ref: PageRef) -> str:
    return f"{ref.doc_id[0]} {ref.page_no} words"


def test_pages_come_in_the_order_asked_for_each_once(index):
    with IndexReader(index) as reader:
        asked = [REFS[7], REFS[2], REFS[7], REFS[9], REFS[0]]
        pages = reader.read_pages(asked)
        assert list(pages) == [REFS[7], REFS[2], REFS[9], REFS[0]]
        assert all(page.text == text_of(ref) for ref, page in pages.items())
        assert all(page.page_no == ref.page_no for ref, page in pages.items())


def test_what_is_in_memory_is_not_read_again(index):
    with IndexReader(index) as reader:
        one = reader.page(REFS[3])
        pages = reader.read_pages(REFS)
        assert pages[REFS[3]] is one
        assert reader.page(REFS[8]) is pages[REFS[8]]
        reader.close()
        assert reader.page(REFS[3]) is not one
        assert reader.page(REFS[3]) == one


def test_no_pages_are_no_pages(index):
    with IndexReader(index) as reader:
        assert reader.read_pages([]) == {}


def test_a_page_that_is_missing_is_named_and_the_others_can_still_be_read(index):
    with IndexReader(index) as reader:
        with pytest.raises(KeyError, match=r"a\.pdf has pages 1 to 5, not page 6"):
            reader.read_pages([REFS[0], PageRef(IDS[0], 6)])
        with pytest.raises(KeyError, match="no document"):
            reader.read_pages([PageRef("c" * 32, 1)])
        assert list(reader.read_pages([REFS[0]])) == [REFS[0]]


def test_more_pages_than_are_kept_in_memory_are_all_returned(index, monkeypatch):
    monkeypatch.setattr(snapshot, "PAGE_CACHE", 3)
    with IndexReader(index) as reader:
        first = reader.read_pages(REFS)
        assert list(first) == REFS
        again = reader.read_pages(REFS[-3:])
        assert all(again[ref] is first[ref] for ref in REFS[-3:])  # the ones read last were kept
        assert reader.page(REFS[0]) is not first[REFS[0]]


def test_several_threads_read_at_once(index):
    with IndexReader(index) as reader, ThreadPoolExecutor(8) as pool:
        for pages in pool.map(lambda n: reader.read_pages(REFS[n % 7 :]), range(40)):
            assert all(page.text == text_of(ref) for ref, page in pages.items())
