"""One self-contained HTML file about a run: figures, every answer, and the cited places as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docrag.errors import IngestError
from docrag.evaluation.answer_score import score_answer
from docrag.evaluation.report import Report
from docrag.geometry import Box
from docrag.report.html import answer_css, crop_view
from docrag.report.self_contained import rendered
from docrag.results.files import PageFiles
from docrag.runs.options import QuestionRow
from docrag.store.durable import storage_errors, write_atomically
from docrag.types import NOT_ANSWERABLE

_TEMPLATES = Path(__file__).parent / "templates"


def write_run_report(
    path: Path,
    *,
    name: str,
    questions: Sequence[QuestionRow],
    answers: Sequence[Mapping[str, Any]],
    reports: Sequence[Report],
    files: PageFiles,
    n_pictures: int,
) -> None:
    """Write the report; `answers` are the lines of ``answers.jsonl``, in the order of `questions`.

    The first `n_pictures` cited places are shown. Nothing in the file depends on time.
    """
    css = answer_css() + (_TEMPLATES / "run.css").read_text("utf-8")
    entries = [_entry(row, answer) for row, answer in zip(questions, answers, strict=True)]
    _add_pictures(entries, files, n_pictures)
    html = rendered(
        _TEMPLATES,
        "run.html",
        css=css,
        name=name,
        entries=entries,
        reports=[report for report in reports if report.groups],
    )
    with storage_errors(path.parent, f"writing {path.name}"):
        write_atomically(path, html.encode("utf-8", "backslashreplace"))


def _entry(row: QuestionRow, answer: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows of one question; `verdict` is empty where no right answer is known."""
    error = answer.get("error", "")
    verdict = ""
    if error:
        verdict = "failed"
    elif row.answer is not None:
        prediction = NOT_ANSWERABLE if answer["abstained"] else answer["answer"]
        score = score_answer(row.answer, prediction, row.answer_format)
        verdict = "right" if score >= 1 else "wrong" if score <= 0 else "partly"
    return {
        "id": row.id,
        "question": row.question,
        "expected": row.answer,
        "text": "" if error else answer["answer"],
        "abstained": bool(answer.get("abstained")),
        "error": error,
        "verdict": verdict,
        "warnings": answer.get("warnings", ()),
        "trace_id": answer["trace_id"],
        "citations": [dict(citation) for citation in answer.get("citations", ())],
    }


def _add_pictures(entries: Sequence[dict[str, Any]], files: PageFiles, n_pictures: int) -> None:
    places = [citation for entry in entries for citation in entry["citations"]]
    for place in places:
        place |= {"crop": None, "missing": ""}
    for place in places[:n_pictures]:
        boxes = tuple(Box(*box) for box in place["boxes"])
        width_pt, height_pt = place["page_size"]
        try:
            crop = files.crop(place["doc_id"], place["page"], boxes, page_size=(width_pt, height_pt))
        except IngestError as error:
            place["missing"] = str(error)
        else:
            place["crop"] = crop_view(crop)
