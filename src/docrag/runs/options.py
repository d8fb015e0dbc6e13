"""The ``run:`` section of a run file, beside the settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from docrag.evaluation.answer_score import AnswerFormat, canonical
from docrag.options import Options
from docrag.pipeline.settings import Settings


def _listed(value: object) -> object:
    """One text stands for a list of it."""
    return (value,) if isinstance(value, str) else value


def _as_rows(value: object) -> object:
    """A question may be its text alone."""
    if not isinstance(value, list | tuple):
        return value
    return [{"question": row} if isinstance(row, str) else row for row in value]  # pyright: ignore[reportUnknownVariableType]


Listed = Annotated[tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...])]


class QuestionRow(Options):
    """A question, and what is known about its answer.

    `doc` is the document that it is about; `docs` are those that it may look into, whatever `scope` says.
    """

    question: str = Field(min_length=1, pattern=r"\S", description="the question itself")
    id: str = Field(default="", description="its number where none is given")
    doc: str | None = Field(default=None, description="the document that holds the answer")
    docs: Listed | None = Field(default=None, description="look into these documents only")
    answer: Annotated[str, AfterValidator(canonical)] | None = Field(
        default=None, description='the right answer, "Not answerable" where there is none; for the metrics'
    )
    answer_format: AnswerFormat = Field(
        default="Str", description="what the right answer is, which decides how answers are compared with it"
    )
    evidence_pages: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), description="pages of `doc` that hold the answer, from 1; for the metrics"
    )
    evidence_sources: tuple[str, ...] = Field(
        default=(), description='what the answer stands in, such as "Table"; groups the metrics'
    )
    doc_type: str = Field(
        default="", description='kind of its document, such as "Brochure"; groups the metrics'
    )


Rows = Annotated[
    tuple[QuestionRow, ...], BeforeValidator(_as_rows, json_schema_input_type=tuple[str | QuestionRow, ...])
]


class RunOptions(Options):
    """What is asked of which documents, and where the results go. Paths count from the run file's folder."""

    documents: Listed = Field(default=(), description="folders and PDF files")
    index: str | None = Field(default=None, description="folder of the index; default: that of the documents")
    questions: str | Rows = Field(
        default=(),
        description="a JSONL or CSV file, or a list of questions; with answers and evidence pages, they are"
        " measured",
    )
    scope: Literal["document", "collection"] = Field(
        default="document", description='where a question that names its "doc" looks: into it, or into all'
    )
    out: str | None = Field(default=None, description="folder of the results; default: runs/NAME")
    seed: int = Field(default=0, ge=0, description="of the bootstrap intervals")
    parallel: int = Field(default=1, ge=1, le=64, description="questions answered at a time")
    report_pictures: int = Field(
        default=60, ge=0, description="pictures of cited places in report.html, some 50 KB each"
    )


class RunSettings(Settings):
    """Everything that a run file can say."""

    run: RunOptions = Field(
        default=RunOptions(), description="what is asked of which documents, and where the results go"
    )
