"""Questions come inline, as JSON lines, or as a table; what is wrong is named with its line."""

from __future__ import annotations

import pytest

from docrag.errors import UsageError
from docrag.runs.options import QuestionRow, RunOptions
from docrag.runs.questions import digest, labelled, read_questions, scope_of
from docrag.types import Scope


@pytest.fixture
def read(tmp_path):
    def read(text: str, name: str = "q.jsonl"):
        (tmp_path / name).write_text(text, "utf-8")
        return read_questions(name, tmp_path)

    return read


def test_inline_questions_may_be_texts_or_mappings(tmp_path):
    options = RunOptions(questions=["One?", {"id": "b", "question": "Two?", "docs": "x.pdf"}, "Three?"])
    rows = read_questions(options.questions, tmp_path)
    assert [(row.id, row.question, row.docs) for row in rows] == [
        ("1", "One?", None),
        ("b", "Two?", ("x.pdf",)),
        ("3", "Three?", None),
    ]


def test_json_lines_may_say_more_than_a_run_asks_for(read):
    (row, other) = read(
        '{"id": 7, "question": "Q?", "answer": "A", "answer_format": "Str", "doc": "d.pdf", '
        '"evidence_pages": [3], "difficulty": "hard"}\n\n{"question": "R?"}\n'
    )
    assert row == QuestionRow(id="7", question="Q?", answer="A", doc="d.pdf", evidence_pages=(3,))
    assert other.id == "2"


@pytest.mark.parametrize(
    "text",
    [
        'id,question,doc,evidence_pages,answer\na,"One, or two?",d.pdf,3;5,yes\n,Two?,,,\n',
        "id;question;doc;evidence_pages;answer\na;One, or two?;d.pdf;[3, 5];yes\n;Two?;;;\n",
        "\ufeffid\tquestion\tdoc\tevidence_pages\tanswer\na\tOne, or two?\td.pdf\t3, 5\tyes\n\tTwo?\t\t\t\n",
    ],
)
def test_a_table_may_be_written_with_commas_semicolons_or_tabs(read, text):
    assert read(text, "q.csv") == (
        QuestionRow(id="a", question="One, or two?", doc="d.pdf", evidence_pages=(3, 5), answer="yes"),
        QuestionRow(id="2", question="Two?"),
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("q.jsonl", "", "no question in it"),
        ("q.jsonl", "\n \n", "no question in it"),
        ("q.jsonl", '{"question": "a"\n', "q.jsonl:1: expected one JSON object"),
        ("q.jsonl", "[1]\n", "q.jsonl:1: expected one JSON object"),
        ("q.jsonl", '{"question": ""}\n', "q.jsonl:1: question: String should have at least 1 character"),
        ("q.jsonl", '{"query": "a"}\n', "q.jsonl:1: question: Field required"),
        ("q.jsonl", '{"question": "a", "answer_format": "Text"}\n', "q.jsonl:1: answer_format"),
        ("q.jsonl", '{"question": "a", "doc": "d", "evidence_pages": [0]}\n', "q.jsonl:1: evidence_pages.0"),
        ("q.jsonl", '{"question": "a", "evidence_pages": [1]}\n', 'evidence_pages need "doc"'),
        ("q.jsonl", '{"id": "x", "question": "a"}\n{"id": "x", "question": "b"}\n', 'the id "x" stands in'),
        ("q.csv", "id,query\n1,a\n", 'q.csv:1: expected a column named "question"'),
        ("q.csv", "question\na,b\n", "q.csv:2: more cells than columns"),
        ("q.csv", "", 'expected a column named "question"'),
        ("q.csv", "question\n", "no question in it"),
    ],
)
def test_a_file_that_cannot_be_asked_is_refused_with_its_line(read, name, text, message):
    with pytest.raises(UsageError) as caught:
        read(text, name)
    assert message in str(caught.value)


def test_every_wrong_line_is_named_up_to_ten(read):
    with pytest.raises(UsageError) as caught:
        read('{"question": ""}\n' * 12)
    shown = str(caught.value).splitlines()
    assert len(shown) == 11
    assert shown[-1] == "… and 2 more"


def test_no_answer_is_understood_however_it_is_written(read):
    (row,) = read("question,answer\nQ?,not answerable.\n", "q.csv")
    assert row.answer == "Not answerable"
    assert not labelled(row).is_answerable


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "q.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_questions("q.jsonl", tmp_path)


def test_the_digest_tells_any_two_lists_apart():
    rows = [QuestionRow(id="1", question="a"), QuestionRow(id="2", question="b")]
    assert digest(rows) == digest([row.model_copy() for row in rows])
    assert digest(rows) != digest(rows[::-1])
    assert digest(rows) != digest([rows[0], rows[1].model_copy(update={"answer": "c"})])


def test_where_a_question_looks():
    named = QuestionRow(question="q", doc="d.pdf")
    narrowed = QuestionRow(question="q", doc="d.pdf", docs=("e.pdf",))
    assert scope_of(named, "document") == Scope(docs=("d.pdf",))
    assert scope_of(named, "collection") == scope_of(QuestionRow(question="q"), "document") == Scope()
    assert scope_of(narrowed, "collection") == scope_of(narrowed, "document") == Scope(docs=("e.pdf",))
