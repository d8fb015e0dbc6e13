"""Write the HTML report of an answer: pictures from the files, facts from the index."""

from __future__ import annotations

import platform
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from docrag.errors import IngestError, StorageError
from docrag.protocols import PageSource
from docrag.report.crops import Crop, cut
from docrag.report.html import answer_html
from docrag.report.shapes import cost_text
from docrag.results.files import open_document
from docrag.store.reader import IndexReader
from docrag.types import Answer, Document


def write_report(
    answer: Answer, path: Path, *, corpus: IndexReader, folder: Path | None, password: str | None
) -> None:
    """Write the report of `answer`; raise StorageError when the file cannot be written."""
    crops, missing = _pictures(answer, {d.doc_id: d for d in corpus.documents()}, folder, password)
    html = answer_html(
        answer, crops=crops, missing=missing, facts=_facts(answer, corpus), written_at=datetime.now(UTC)
    )
    try:
        path.write_text(html, "utf-8")
    except OSError as error:
        raise StorageError(f"{path}: the report cannot be written: {error.strerror or error}") from error


def _pictures(
    answer: Answer, documents: dict[str, Document], folder: Path | None, password: str | None
) -> tuple[dict[int, Crop], dict[int, str]]:
    """Pictures by citation number, and reasons where there is none."""
    crops: dict[int, Crop] = {}
    missing: dict[int, str] = {}
    sources: dict[str, PageSource] = {}
    with ExitStack() as stack:
        for citation in answer.citations:
            try:
                source = sources.get(citation.doc_id)
                if source is None:
                    source = open_document(documents[citation.doc_id], folder, password)
                    stack.callback(source.close)
                    sources[citation.doc_id] = source
                crops[citation.n] = cut(source, citation)
            except IngestError as error:
                missing[citation.n] = str(error)
    return crops, missing


def _facts(answer: Answer, corpus: IndexReader) -> list[tuple[str, str]]:
    documents = corpus.documents()
    encoder = corpus.manifest.text_encoder
    usage = answer.usage
    facts = [
        ("docrag", version("docrag")),
        ("Python", platform.python_version()),
        (
            "Index",
            f"{len(documents)} documents, {sum(d.n_pages_indexed for d in documents)} pages,"
            f" format {corpus.manifest.format}",
        ),
        ("Text encoder", f"{encoder.name} {encoder.revision}" if encoder else "none"),
        ("Time", f"{usage.elapsed_s:.2f} s"),
        ("Model calls", f"{usage.n_model_calls}"),
    ]
    if cost := cost_text(usage):
        facts.append(("Cost", cost))
    if answer.confidence is not None:
        facts.append(("Confidence", f"{answer.confidence:.2f}"))
    return [*facts, ("Trace", answer.trace.trace_id)]
