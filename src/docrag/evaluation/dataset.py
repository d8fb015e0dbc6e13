"""Read and check a data set: ``questions.jsonl`` beside ``documents/*.pdf``.

``documents.jsonl``, where there is one, names the documents that belong to the set (one ``{"doc": …}`` a
line); without it every PDF below the documents folder does. Nothing is ever written into the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from docrag.errors import UsageError
from docrag.evaluation.answer_score import ANSWER_FORMATS, AnswerFormat, canonical
from docrag.types import NOT_ANSWERABLE

QUESTIONS_FILE = "questions.jsonl"
LISTING_FILE = "documents.jsonl"
DOCUMENTS_FOLDER = "documents"
_MAX_PROBLEMS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one document. `evidence_pages` are physical pages, 1-based; none when unanswerable."""

    question_id: str
    doc: str
    text: str
    answer: str
    answer_format: AnswerFormat
    evidence_pages: tuple[int, ...]
    evidence_sources: tuple[str, ...]
    doc_type: str

    @property
    def is_answerable(self) -> bool:
        """Whether the documents hold an answer."""
        return self.answer != NOT_ANSWERABLE


@dataclass(frozen=True, slots=True)
class Dataset:
    """Questions in file order, the folder of their documents, and the documents' names below it, sorted."""

    folder: Path
    documents_folder: Path
    docs: tuple[str, ...]
    questions: tuple[Question, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The documents' files, in the order of `docs`."""
        return tuple(self.documents_folder / doc for doc in self.docs)

    def fingerprint(self) -> str:
        """Digest of everything that decides what is asked and scored."""
        return hashlib.sha256(repr((self.docs, self.questions)).encode()).hexdigest()


def load_dataset(folder: Path, *, documents: Path | None = None) -> Dataset:
    """Read the data set in `folder`; `documents` holds its PDFs when they are kept elsewhere.

    Raises
    ------
    UsageError
        Something is missing or malformed; the message names files and line numbers.
    """
    questions_file = folder / QUESTIONS_FILE
    if not questions_file.is_file():
        raise UsageError(
            f"{folder}: no {QUESTIONS_FILE}; a data set holds it beside {DOCUMENTS_FOLDER}/*.pdf"
        )
    documents_folder = documents if documents is not None else folder / DOCUMENTS_FOLDER
    if not documents_folder.is_dir():
        raise UsageError(
            f"{documents_folder}: no such folder; name the one that holds the PDFs with --documents DIR"
        )
    docs = _list_documents(documents_folder, folder / LISTING_FILE)
    known, questions, problems = frozenset(docs), list[Question](), list[str]()
    lines: dict[str, int] = {}
    for line_no, record in _read_objects(questions_file, problems):
        found = _problems(record, known, documents_folder)
        if not found and (first := lines.setdefault(record["id"], line_no)) != line_no:
            found = [f'id "{record["id"]}" stands on line {first} already']
        problems += [f"{questions_file}:{line_no}: {problem}" for problem in found]
        if not found:
            questions.append(_question(record))
    _raise_for(problems)
    if not questions:
        raise UsageError(f"{questions_file}: no question in it; expected one JSON object a line")
    return Dataset(folder, documents_folder, docs, tuple(questions))


def default_index(documents_folder: Path) -> Path:
    """Place of the index of a documents folder when none is named: in the user's cache, never in the data."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    resolved = documents_folder.resolve()
    digest = hashlib.sha256(os.fsencode(resolved)).hexdigest()[:12]
    return Path(cache) / "docrag" / "eval" / f"{resolved.parent.name}-{digest}"


def read_jsonl(path: Path) -> Iterator[tuple[int, Any]]:
    """Line number and value of every line that is not blank; a line that is not JSON gives its error."""
    with path.open(encoding="utf-8-sig") as file:
        for line_no, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield line_no, json.loads(line)
                except json.JSONDecodeError as error:
                    yield line_no, error


def _read_objects(path: Path, problems: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        for line_no, value in read_jsonl(path):
            if isinstance(value, dict):
                yield line_no, cast("dict[str, Any]", value)
            else:
                problems.append(f"{path}:{line_no}: expected one JSON object, got {value!r:.80}")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from error


def _list_documents(folder: Path, listing: Path) -> tuple[str, ...]:
    present = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() == ".pdf" and path.is_file()
    }
    if listing.is_file():
        problems: list[str] = []
        listed: set[str] = set()
        for line_no, record in _read_objects(listing, problems):
            if record.get("doc") in present:
                listed.add(record["doc"])
            else:
                problems.append(f'{listing}:{line_no}: document {record.get("doc")!r} is not in "{folder}"')
        _raise_for(problems)
        present = listed
    if not present:
        raise UsageError(f"{folder}: no PDF in it; name the folder that holds the PDFs with --documents DIR")
    return tuple(sorted(present))


def _problems(record: Mapping[str, Any], docs: frozenset[str], folder: Path) -> list[str]:
    """What is wrong with one question, in words."""
    found = [
        f'"{key}": expected a text that is not empty, got {record.get(key)!r:.80}'
        for key in ("id", "doc", "question", "answer")
        if not isinstance(record.get(key), str) or not record[key].strip()
    ]
    if (form := record.get("answer_format")) not in ANSWER_FORMATS:
        found.append(f'"answer_format": expected one of {", ".join(ANSWER_FORMATS)}, got {form!r:.80}')
    pages = record.get("evidence_pages")
    if not isinstance(pages, list) or not all(type(p) is int and p >= 1 for p in cast("list[Any]", pages)):
        found.append(f'"evidence_pages": expected a list of page numbers from 1, got {pages!r:.80}')
    sources = record.get("evidence_sources", [])
    if not isinstance(sources, list) or not all(isinstance(s, str) for s in cast("list[Any]", sources)):
        found.append(f'"evidence_sources": expected a list of texts, got {sources!r:.80}')
    if not isinstance(record.get("doc_type", ""), str):
        found.append(f'"doc_type": expected a text, got {record["doc_type"]!r:.80}')
    if not found and record["doc"] not in docs:
        found.append(f'document "{record["doc"]}" is not in "{folder}" ({len(docs)} documents)')
    return found


def _question(record: Mapping[str, Any]) -> Question:
    return Question(
        question_id=record["id"],
        doc=record["doc"],
        text=record["question"],
        answer=canonical(record["answer"]),
        answer_format=record["answer_format"],
        evidence_pages=tuple(record["evidence_pages"]),
        evidence_sources=tuple(record.get("evidence_sources", ())),
        doc_type=record.get("doc_type", ""),
    )


def _raise_for(problems: list[str]) -> None:
    if problems:
        shown = problems[:_MAX_PROBLEMS_SHOWN]
        more = len(problems) - len(shown)
        raise UsageError("\n".join([*shown, *([f"… and {more} more"] if more else [])]))
