"""`DocRAG` finds its index, keeps it in line with its folder, and searches it with its settings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.pdfs import text_pdf

import docrag
from docrag import DocRAG, Settings, load_settings
from docrag.errors import DocragError, EncoderMismatch, IndexFormatError, IndexMissing, UsageError
from docrag.pipeline import location
from docrag.pipeline.parts import Parts
from docrag.types import Query, Scope

FAST = load_settings(
    overrides=["ingest.layout=fast", "ingest.ocr=never", "ingest.n_workers=1", "embed.kind=none"], environ={}
)
PAGES = (
    ["Annual report", "Revenue in 2023 was 4.2 million euros."],
    ["Staff", "The chief executive is Maria Lindqvist."],
)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    (folder / "sub").mkdir()
    text_pdf(folder / "report.pdf", pages=PAGES)
    text_pdf(folder / "sub" / "notes.pdf", pages=[["Cooking", "Boil the pasta for nine minutes."]])
    with DocRAG.open(folder, settings=FAST) as rag:
        report = rag.index()
    assert [file.status for file in report.files] == ["indexed", "indexed"]
    return folder


@pytest.fixture
def folder(indexed, tmp_path) -> Path:
    return shutil.copytree(indexed, tmp_path / "reports")


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("nothing", ["", "  ", "\t\n", "\u00a0\u3000"])
def test_nothing_cannot_be_asked(folder, nothing):
    with DocRAG.open(folder, settings=FAST) as rag:
        with pytest.raises(UsageError, match="the question is empty; expected some words"):
            rag.ask(nothing)
        with pytest.raises(UsageError, match="the query is empty; expected some words"):
            rag.search(nothing)
        with pytest.raises(UsageError, match="the question is empty"):
            list(rag.stream(nothing))


def test_that_nothing_was_asked_is_said_before_an_index_is_looked_for(tmp_path):
    with DocRAG.open(tmp_path, settings=FAST) as rag:
        for ask in (rag.ask, rag.search):
            with pytest.raises(UsageError, match="is empty"):
                ask(" ")


# ── what stays loaded ────────────────────────────────────────────────────────────────────────────────────


def test_closing_closes_the_connections_of_rerankers(folder):
    step = '{"kind": "vllm-score", "model": "tiny", "show": "text", "max_retries": 0}'
    settings = load_settings(overrides=["embed.kind=none", f"retrieval.rerank.steps=[{step}]"], environ={})
    parts = Parts(folder / ".docrag", settings)
    before = parts.stage()
    parts.forget()
    after = parts.stage()
    parts.close()
    for stage in (before, after):
        assert "the model was closed" in stage.search(Query("revenue"), k=2).warnings[0]


# ── where the index is ───────────────────────────────────────────────────────────────────────────────────


def test_the_index_of_a_folder_is_inside_it(tmp_path):
    (tmp_path / "a.pdf").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.pdf").touch()
    assert DocRAG.open(tmp_path).index_dir == tmp_path / ".docrag"
    assert DocRAG.open(tmp_path / "a.pdf").index_dir == tmp_path / ".docrag"
    assert DocRAG.open(tmp_path / "a.pdf", tmp_path / "sub").index_dir == tmp_path / ".docrag"
    assert DocRAG.open(tmp_path / "sub" / "b.pdf").index_dir == tmp_path / "sub" / ".docrag"


def test_without_a_path_the_index_is_that_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert DocRAG.open().index_dir == Path(".docrag")


def test_an_index_folder_can_be_opened_itself(folder):
    with DocRAG.open(folder / ".docrag", settings=FAST) as rag:
        assert rag.index_dir == folder / ".docrag"
        assert rag.folder == folder
        assert [document.doc for document in rag.documents()] == ["report.pdf", "sub/notes.pdf"]


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(UsageError, match="nowhere does not exist"):
        DocRAG.open(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("settings", "got", "example"),
    [
        ("fast", "got 'fast'", "docrag.load_settings('fast')"),
        ({"ingest": {"ocr": "never"}}, "got dict", "docrag.load_settings(NAME)"),
    ],
)
def test_settings_that_are_none_say_how_to_get_some(folder, settings, got, example):
    with pytest.raises(UsageError, match="settings: expected docrag") as caught:
        DocRAG.open(folder, settings=settings)
    assert got in str(caught.value)
    assert example in str(caught.value)


def test_an_index_inside_its_folder_moves_with_it_and_one_outside_does_not(tmp_path):
    inside, outside = tmp_path / "a" / "idx", tmp_path / "idx"
    inside.mkdir(parents=True)
    outside.mkdir()
    for index in (inside, outside):
        location.record_folder(index, tmp_path / "a")
        assert location.folder_of(index) == tmp_path / "a"
    (tmp_path / "a").rename(tmp_path / "b")
    assert location.folder_of(tmp_path / "b" / "idx") == tmp_path / "b"
    assert location.folder_of(outside) == tmp_path / "a"


def test_a_damaged_record_of_the_folder_is_an_error(tmp_path):
    (tmp_path / location.FOLDER_FILE).write_text("[1]")
    with pytest.raises(IndexFormatError, match=r"folder\.json"):
        location.folder_of(tmp_path)


# ── indexing ─────────────────────────────────────────────────────────────────────────────────────────────


def test_indexing_again_shows_what_is_new_at_once(folder):
    with DocRAG.open(folder, settings=FAST) as rag:
        assert len(rag.documents()) == 2
        text_pdf(folder / "new.pdf", pages=[["A new page about zebras."]])
        rag.index()
        assert len(rag.documents()) == 3
        assert rag.search("zebras").hits[0].doc == "new.pdf"


def test_indexing_one_file_leaves_the_others_in_the_index(folder):
    with DocRAG.open(folder, settings=FAST) as rag:
        report = rag.index([folder / "report.pdf"])
        assert [file.doc for file in report.files] == ["report.pdf"]
        assert len(rag.documents()) == 2


def test_a_folder_without_pdfs_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(DocragError, match="no PDF found"):
        DocRAG.open(tmp_path, settings=FAST).index()
    assert os.listdir(tmp_path) == []


def test_an_index_emptied_of_its_files_becomes_empty(folder):
    (folder / "report.pdf").unlink()
    (folder / "sub" / "notes.pdf").unlink()
    with DocRAG.open(folder, settings=FAST) as rag:
        assert {file.status for file in rag.index().files} == {"removed"}
        assert list(rag.documents()) == []
        assert rag.search("revenue").hits == ()


# ── searching ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_right_page_is_found_within_the_scope(folder):
    with DocRAG.open(folder, settings=FAST) as rag:
        hit = rag.search("chief executive", k=1).hits[0]
        assert (hit.doc, hit.page_no) == ("report.pdf", 2)
        region = rag.search("chief executive", k=1, unit="region").hits[0]
        assert "Lindqvist" in region.snippet
        assert region.box is not None
        scope = Scope(docs=("report.pdf",), pages=((1, 1),))
        assert {h.page_no for h in rag.search("chief executive", scope=scope).hits} <= {1}
        with pytest.raises(UsageError, match=r"reprot\.pdf"):
            rag.search("chief", scope=Scope(docs=("reprot.pdf",)))


def test_a_query_that_is_no_unicode_is_searched_all_the_same(folder):
    with DocRAG.open(folder, settings=FAST) as rag:
        assert rag.search("pasta \udce9", k=1).hits[0].doc == "sub/notes.pdf"
        assert rag.ask("pasta \udce9").question == "pasta ?"


def test_paths_narrow_the_scope_to_what_lies_below_them(folder):
    with DocRAG.open(folder, settings=FAST) as rag:
        assert rag.within([folder]) == Scope()
        assert rag.within([folder / "sub"]) == Scope(docs=("sub/notes.pdf",))
        named = Scope(docs=("report.pdf",))
        assert rag.within([folder / "sub"], named) == named


def test_an_index_without_vectors_is_not_searched_with_an_encoder(folder):
    settings = Settings(ingest=FAST.ingest)  # the default encoder
    with DocRAG.open(folder, settings=settings) as rag, pytest.raises(EncoderMismatch):
        rag.search("revenue")


def test_several_threads_get_the_same_hits(folder):
    with DocRAG.open(folder, settings=FAST) as rag, ThreadPoolExecutor(8) as pool:
        queries = ["revenue", "chief executive", "pasta", "euros"] * 8
        alone = {query: rag.search(query).hits for query in queries}
        together = pool.map(lambda query: (query, rag.search(query).hits), queries)
        assert all(hits == alone[query] for query, hits in together)


def test_without_an_index_the_next_step_is_named(tmp_path):
    with pytest.raises(IndexMissing, match="docrag index FOLDER"):
        DocRAG.open(tmp_path).documents()


def test_a_closed_object_opens_again(folder):
    rag = DocRAG.open(folder, settings=FAST)
    first = rag.search("pasta").hits
    rag.close()
    assert rag.search("pasta").hits == first


# ── the public names ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", docrag.__all__)
def test_every_public_name_is_there(name):
    assert getattr(docrag, name).__name__.lower() in (name.lower(), "load_settings")
    assert name in dir(docrag)


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="nonsense"):
        docrag.nonsense  # noqa: B018 - the look-up is the test


def test_importing_docrag_imports_no_part_of_it():
    code = "import sys, docrag; print([m for m in sys.modules if m.startswith('docrag.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
