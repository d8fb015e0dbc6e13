"""The questions of a run: from the run file itself, from JSON lines, or from a table."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from docrag.errors import UsageError
from docrag.evaluation.dataset import Question, read_jsonl
from docrag.runs.options import QuestionRow
from docrag.types import Scope

_LISTS = ("docs", "evidence_pages", "evidence_sources")
_FIELDS = frozenset(QuestionRow.model_fields)
_MAX_PROBLEMS_SHOWN = 10


def read_questions(given: str | Sequence[QuestionRow], folder: Path) -> tuple[QuestionRow, ...]:
    """Questions with ids, in order; a text names a JSONL or CSV file, relative to `folder`.

    What else a file says about a question is passed over. A question without an id gets its number.

    Raises
    ------
    UsageError
        There is no question, the file is missing or malformed, an id stands twice, or evidence pages have no
        document; the message names the lines.
    """
    if isinstance(given, str):
        path = folder / given
        rows, place = _read_file(path), str(path)
    else:
        rows, place = [(f"run.questions, number {i}", row) for i, row in enumerate(given, 1)], "run.questions"
    if not rows:
        raise UsageError(
            f'{place}: no question in it; expected at least one, such as "What was the revenue?"'
        )
    seen: dict[str, str] = {}
    questions: list[QuestionRow] = []
    problems: list[str] = []
    for number, (where, row) in enumerate(rows, 1):
        question_id = row.id or str(number)
        if question_id in seen:
            problems.append(f'{where}: the id "{question_id}" stands in {seen[question_id]} already')
        if row.evidence_pages and row.doc is None:
            problems.append(f'{where}: evidence_pages need "doc", the document that they are pages of')
        seen[question_id] = where
        questions.append(row.model_copy(update={"id": question_id}))
    _raise_for(problems)
    return tuple(questions)


def digest(questions: Sequence[QuestionRow]) -> str:
    """Sha256 of everything that decides what is asked and measured, in hexadecimal."""
    values = [row.model_dump(mode="json") for row in questions]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def scope_of(row: QuestionRow, scope: str) -> Scope:
    """Where a question may look, as `docrag.runs.options.RunOptions` says."""
    if row.docs is not None:
        return Scope(docs=row.docs)
    return Scope(docs=(row.doc,)) if scope == "document" and row.doc is not None else Scope()


def labelled(row: QuestionRow) -> Question:
    """The question as evaluation sees it. One that names no document is a document of its own there."""
    return Question(
        question_id=row.id,
        doc=row.doc if row.doc is not None else f"question {row.id}",
        text=row.question,
        answer=row.answer if row.answer is not None else "",
        answer_format=row.answer_format,
        evidence_pages=row.evidence_pages,
        evidence_sources=row.evidence_sources,
        doc_type=row.doc_type,
    )


def _read_file(path: Path) -> list[tuple[str, QuestionRow]]:
    if not path.is_file():
        raise UsageError(f"{path}: no such file; expected the questions as .jsonl or .csv (run.questions)")
    records = _csv_records if path.suffix.lower() in (".csv", ".tsv") else _jsonl_records
    rows: list[tuple[str, QuestionRow]] = []
    problems: list[str] = []
    try:
        for where, record in records(path):
            known = {key: value for key, value in record.items() if key in _FIELDS and value is not None}
            try:
                rows.append((where, QuestionRow.model_validate(known)))
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                name = ".".join(str(part) for part in first["loc"])
                problems.append(f"{where}: {name}: {first['msg']}, got {first['input']!r:.80}")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from error
    _raise_for(problems)
    return rows


def _jsonl_records(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for line_no, value in read_jsonl(path):
        where = f"{path}:{line_no}"
        if not isinstance(value, dict):
            raise UsageError(
                f'{where}: expected one JSON object such as {{"question": "…"}}, got {value!r:.80}'
            )
        record = cast("dict[str, Any]", value)
        if isinstance(record.get("id"), int):
            record["id"] = str(record["id"])
        yield where, record


def _csv_records(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rows by the names in the first one; lists are written as ``3;5``, empty cells are nothing."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        file.seek(0)
        delimiter = max(",;\t", key=head.count)
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        if "question" not in (reader.fieldnames or ()):
            raise UsageError(f'{path}:1: expected a column named "question", got {reader.fieldnames}')
        try:
            for row in reader:
                if None in row:
                    raise UsageError(
                        f"{path}:{reader.line_num}: more cells than columns; quote those with {delimiter!r}"
                    )
                values: dict[str, Any] = {
                    key: cell.strip() for key, cell in row.items() if cell and cell.strip()
                }
                for key in _LISTS:
                    if key in values:
                        cells = values[key].strip("[]").replace(",", ";").split(";")
                        values[key] = [cell.strip().strip("'\"") for cell in cells if cell.strip()]
                if values:
                    yield f"{path}:{reader.line_num}", values
        except csv.Error as error:
            raise UsageError(f"{path}:{reader.line_num}: not CSV: {error}") from error


def _raise_for(problems: list[str]) -> None:
    if problems:
        shown = problems[:_MAX_PROBLEMS_SHOWN]
        more = len(problems) - len(shown)
        raise UsageError("\n".join([*shown, *([f"… and {more} more"] if more else [])]))
