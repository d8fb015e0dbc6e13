"""Metrics of a run, as far as its questions are labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from docrag.evaluation.report import Report, make_report
from docrag.evaluation.tasks import AnswerMeasure, OtherNames, RankingMeasure, called_as
from docrag.runs.options import QuestionRow
from docrag.runs.questions import labelled
from docrag.types import NOT_ANSWERABLE, known_cost_usd


def total_of(usages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all answers cost together, from their lines; questions that failed have none.

    ``cost_usd`` leaves out the ``n_unpriced_calls``, whose cost is not known.
    """
    names = ("n_model_calls", "n_input_tokens", "n_output_tokens", "n_images")
    n_unpriced_calls = sum(_n_unpriced(usage) for usage in usages)
    return {
        "n_questions": len(usages),
        **{name: sum(usage[name] for usage in usages) for name in names},
        "cost_usd": known_cost_usd((u["cost_usd"] for u in usages), n_unpriced_calls=n_unpriced_calls),
        "n_unpriced_calls": n_unpriced_calls,
    }


def _n_unpriced(usage: Mapping[str, Any]) -> int:
    """Calls without a known cost; lines of earlier versions tell only whether any is known."""
    all_or_none = usage["n_model_calls"] if usage["cost_usd"] is None else 0
    return usage.get("n_unpriced_calls", all_or_none)


def measure(
    questions: Sequence[QuestionRow],
    answers: Sequence[Mapping[str, Any]],
    *,
    scope: str,
    other_names: OtherNames,
    seed: int = 0,
) -> tuple[Report, ...]:
    """Reports over the questions with answers, and over those with evidence pages; none without labels.

    `answers` are the lines of ``answers.jsonl``. One with an error counts as wrong. `other_names` are those
    of the index's documents, by one of which a question may know its own.
    """
    by_id = {answer["id"]: answer for answer in answers}
    reports: list[Report] = []
    with_answers = [row for row in questions if row.answer is not None]
    if with_answers:
        task = AnswerMeasure()
        lines = {row.id: _answer_line(row, by_id[row.id], task.failed(), other_names) for row in with_answers}
        reports.append(make_report(task, scope, [labelled(row) for row in with_answers], lines, seed=seed))
    with_pages = [row for row in questions if row.evidence_pages]
    if with_pages:
        ranking = RankingMeasure()
        lines = {
            row.id: _ranking_line(row, by_id[row.id], ranking.failed(), other_names) for row in with_pages
        }
        reports.append(make_report(ranking, scope, [labelled(row) for row in with_pages], lines, seed=seed))
    return tuple(reports)


def _answer_line(
    row: QuestionRow, answer: Mapping[str, Any], failed: Mapping[str, Any], names: OtherNames
) -> dict[str, Any]:
    if "error" in answer:
        return {**failed, "error": answer["error"]}
    pages = dict.fromkeys((citation["doc"], citation["page"]) for citation in answer["citations"])
    return {
        "prediction": NOT_ANSWERABLE if answer["abstained"] else answer["answer"],
        "citations": [[called_as(row.doc or "", doc, names), page_no] for doc, page_no in pages],
    }


def _ranking_line(
    row: QuestionRow, answer: Mapping[str, Any], failed: Mapping[str, Any], names: OtherNames
) -> dict[str, Any]:
    if "error" in answer:
        return {**failed, "error": answer["error"]}
    return {
        "ranking": [[called_as(row.doc or "", doc, names), page_no] for doc, page_no in answer["ranking"]]
    }
