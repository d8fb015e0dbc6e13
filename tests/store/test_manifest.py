"""What an index says about itself, and what is refused because of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from tests.store.pages import ENCODER, make_page, put

from docrag.errors import EncoderMismatch, IndexFormatError, IndexMissing, UsageError
from docrag.store import manifest
from docrag.store.reader import IndexReader
from docrag.store.writer import IndexWriter


def files(index: Path) -> dict[str, bytes]:
    return {str(p.relative_to(index)): p.read_bytes() for p in sorted(index.rglob("*")) if p.is_file()}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    path = tmp_path / "index"
    with IndexWriter(path, owner="test", text_encoder=ENCODER) as writer:
        put(writer, "a.pdf", "aa", [make_page(1, "one cat")])
    return path


def change(index: Path, **entries: object) -> None:
    path = index / manifest.FILE_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path):
    written = dataclasses.replace(manifest.Manifest.new(ENCODER, {"stem": True}), tidy_at={"pages": 3})
    manifest.write(tmp_path, written)
    assert manifest.read(tmp_path) == written
    assert manifest.read(tmp_path).format == manifest.FORMAT


def test_a_folder_without_an_index_is_missing_and_the_message_says_how_to_make_one(tmp_path: Path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(IndexMissing, match="docrag index FOLDER"):
            IndexReader(path)
    assert not (tmp_path / "none").exists()


def test_a_newer_format_is_refused_untouched_by_reader_and_writer(index: Path):
    change(index, format=manifest.FORMAT + 1, docrag="9.9")
    before = files(index)
    with pytest.raises(IndexFormatError, match=r"written by docrag 9\.9.*upgrade docrag"):
        IndexReader(index)
    with pytest.raises(IndexFormatError, match="upgrade docrag"):
        IndexWriter(index, owner="test", text_encoder=ENCODER)
    assert files(index) == before


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"format": "x"}', '{"format": 1}'])
def test_a_damaged_manifest_is_a_format_error_with_the_next_step(index: Path, text: str):
    (index / manifest.FILE_NAME).write_text(text)
    with pytest.raises(IndexFormatError, match="index again"):
        IndexReader(index)


@pytest.mark.parametrize(
    ("entry", "value"), [("name", "other"), ("revision", "r2"), ("dim", 16), ("pooling", "cls")]
)
def test_another_encoder_is_refused_and_the_difference_is_named(index: Path, entry: str, value: object):
    other = dataclasses.replace(ENCODER, **{entry: value})
    expected = rf"{entry}: index {getattr(ENCODER, entry)!r}, configured {value!r}.*docrag index FOLDER"
    before = files(index)
    with pytest.raises(EncoderMismatch, match=expected):
        IndexWriter(index, owner="test", text_encoder=other)
    assert files(index) == before
    with IndexReader(index) as reader:
        reader.check_encoder(ENCODER)
        with pytest.raises(EncoderMismatch, match=entry):
            reader.check_encoder(other)


def test_an_index_with_vectors_is_not_written_without_an_encoder_nor_the_reverse(index: Path, tmp_path: Path):
    with pytest.raises(EncoderMismatch, match="no text encoder"):
        IndexWriter(index, owner="test", text_encoder=None)
    IndexWriter(tmp_path / "plain", owner="test", text_encoder=None).close()
    with pytest.raises(EncoderMismatch, match="no text encoder"):
        IndexWriter(tmp_path / "plain", owner="test", text_encoder=ENCODER)


def test_an_index_in_place_of_a_file_is_a_usage_error(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        IndexWriter(tmp_path / "file", owner="test", text_encoder=None)


def test_documents_without_a_manifest_are_never_overwritten(index: Path):
    (index / manifest.FILE_NAME).unlink()
    with pytest.raises(IndexFormatError, match=r"no manifest\.json"):
        IndexWriter(index, owner="test", text_encoder=ENCODER)


def test_a_table_that_is_gone_is_a_format_error(index: Path):
    (index / "pages.lance").rename(index / "elsewhere")
    with pytest.raises(IndexFormatError, match="missing or damaged"):
        IndexReader(index)
    with pytest.raises(IndexFormatError, match="missing or damaged"):
        IndexWriter(index, owner="test", text_encoder=ENCODER).finish()


def test_a_table_that_cannot_be_read_is_a_format_error(index: Path):
    for path in (index / "documents.lance" / "_versions").glob("*.manifest"):
        path.write_bytes(b"")
    with pytest.raises(IndexFormatError, match=r"damaged.*docrag index again"):
        IndexReader(index)
