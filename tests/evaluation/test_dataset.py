import json
from collections.abc import Callable
from pathlib import Path

import pytest

from docrag.errors import UsageError
from docrag.evaluation.dataset import default_index, load_dataset

Write = Callable[..., Path]
Make = Callable[..., dict[str, object]]


def test_questions_and_documents_are_read(write_dataset: Write, make_question: Make):
    folder = write_dataset(
        make_question("q1"),
        "",
        make_question(
            "q2", "sub/b.pdf", answer="Not answerable", evidence_pages=[], note="more keys are fine"
        ),
    )
    dataset = load_dataset(folder)
    assert dataset.docs == ("a.pdf", "sub/b.pdf")
    assert dataset.paths[1] == folder / "documents" / "sub" / "b.pdf"
    first, second = dataset.questions
    assert (first.question_id, first.doc, first.evidence_pages) == ("q1", "a.pdf", (2,))
    assert first.is_answerable
    assert not second.is_answerable


@pytest.mark.parametrize("answer", ["not answerable", "Not answerable.", " NOT ANSWERABLE"])
def test_no_answer_is_understood_however_it_is_written(
    write_dataset: Write, make_question: Make, answer: str
):
    (question,) = load_dataset(write_dataset(make_question("q1", answer=answer, evidence_pages=[]))).questions
    assert (question.answer, question.is_answerable) == ("Not answerable", False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": ""}, r'2: "id": expected a text'),
        ({"id": "q1"}, r'2: id "q1" stands on line 1 already'),
        ({"doc": "c.pdf"}, r'2: document "c\.pdf" is not in'),
        ({"doc": "../set/documents/a.pdf"}, r"2: document .* is not in"),
        ({"question": 5}, r'2: "question": expected a text that is not empty, got 5'),
        ({"answer": None}, r'2: "answer"'),
        ({"answer_format": "Integer"}, r'2: "answer_format": expected one of Int, Float, Str, List, None'),
        ({"evidence_pages": [0]}, r'2: "evidence_pages": expected a list of page numbers from 1, got \[0\]'),
        ({"evidence_pages": "3"}, r'2: "evidence_pages"'),
        ({"evidence_pages": [True]}, r'2: "evidence_pages"'),
        ({"evidence_sources": "Table"}, r'2: "evidence_sources"'),
        ({"doc_type": 1}, r'2: "doc_type"'),
    ],
)
def test_a_bad_question_is_named_by_its_line(
    write_dataset: Write, make_question: Make, changes: dict[str, object], message: str
):
    folder = write_dataset(make_question("q1"), make_question("q2", **changes))
    with pytest.raises(UsageError, match=message):
        load_dataset(folder)


def test_all_bad_lines_are_told_at_once(write_dataset: Write):
    with pytest.raises(UsageError, match=r"(?s)jsonl:1: .*jsonl:2: .*and 3 more") as caught:
        load_dataset(write_dataset("{", '"text"', *["[]"] * 11))
    assert len(str(caught.value).splitlines()) == 11


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_file_without_a_question_is_an_error(write_dataset: Write, content: str):
    with pytest.raises(UsageError, match="no question in it"):
        load_dataset(write_dataset(content))


def test_missing_parts_are_named_with_the_next_step(
    write_dataset: Write, make_question: Make, tmp_path: Path
):
    with pytest.raises(UsageError, match=r"no questions\.jsonl"):
        load_dataset(tmp_path)
    folder = write_dataset(make_question("q1"), docs=())
    with pytest.raises(UsageError, match="--documents"):
        load_dataset(folder)
    (folder / "documents").mkdir()
    with pytest.raises(UsageError, match="no PDF in it"):
        load_dataset(folder)


def test_documents_may_be_kept_elsewhere_and_a_listing_chooses_among_them(
    write_dataset: Write, make_question: Make, tmp_path: Path
):
    folder = write_dataset(make_question("q1"), docs=("a.pdf", "b.PDF", "c.pdf"))
    (folder / "documents").rename(tmp_path / "elsewhere")
    (folder / "documents.jsonl").write_text('{"doc": "b.PDF"}\n{"doc": "a.pdf"}\n')
    assert load_dataset(folder, documents=tmp_path / "elsewhere").docs == ("a.pdf", "b.PDF")
    (folder / "documents.jsonl").write_text('{"doc": "z.pdf"}\n')
    with pytest.raises(UsageError, match=r"documents\.jsonl:1: document 'z\.pdf' is not in"):
        load_dataset(folder, documents=tmp_path / "elsewhere")


def test_a_file_that_is_not_utf8_is_an_error(write_dataset: Write, make_question: Make):
    folder = write_dataset(make_question("q1"))
    (folder / "questions.jsonl").write_bytes(
        json.dumps(make_question("é"), ensure_ascii=False).encode("latin-1")
    )
    with pytest.raises(UsageError, match="not UTF-8"):
        load_dataset(folder)


def test_the_fingerprint_follows_what_is_asked(write_dataset: Write, make_question: Make):
    before = load_dataset(write_dataset(make_question("q1"))).fingerprint()
    assert load_dataset(write_dataset(make_question("q1", note="new"))).fingerprint() == before
    assert load_dataset(write_dataset(make_question("q1", answer="red"))).fingerprint() != before


def test_the_default_index_lies_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    one, other = tmp_path / "x" / "documents", tmp_path / "y" / "documents"
    assert default_index(one).is_relative_to(tmp_path / "cache" / "docrag")
    assert default_index(one) != default_index(other)
    assert default_index(one) == default_index(one / ".." / "documents")
