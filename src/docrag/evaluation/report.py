"""The table of metrics: overall and by kind of question, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from docrag.evaluation.bootstrap import Interval, bootstrap
from docrag.evaluation.dataset import Question
from docrag.evaluation.tasks import Line, Measure


@dataclass(frozen=True, slots=True)
class Group:
    """Figures of one group of questions."""

    name: str
    n_questions: int
    metrics: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of a run. `groups` starts with all questions; `n_failed` of them are lines with an error."""

    task: str
    scope: str
    n_questions: int
    n_failed: int
    headline: tuple[str, ...]
    groups: tuple[Group, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values; a metric is ``{"value", "low", "high"}``, without bounds null."""
        return {
            "task": self.task,
            "scope": self.scope,
            "n_questions": self.n_questions,
            "n_failed": self.n_failed,
            "groups": [
                {
                    "group": group.name,
                    "n": group.n_questions,
                    "metrics": {name: interval._asdict() for name, interval in group.metrics.items()},
                }
                for group in self.groups
            ],
        }

    def to_text(self) -> str:
        """The report as a table: all metrics overall, then the headline metrics group by group."""
        if not self.groups:
            return f"{self.task}, {self.scope}: none of the {self.n_questions} questions can be measured"
        overall, *parts = self.groups
        lines = [
            f"{self.task}, {self.scope}: {overall.n_questions} questions measured of {self.n_questions}, "
            f"{self.n_failed} failed (95 % bootstrap over documents)",
            "",
        ]
        lines += [f"  {name:12} {interval.show()}" for name, interval in overall.metrics.items()]
        width = max((len(group.name) for group in parts), default=0)
        if parts:
            lines += [
                "",
                f"  {'':{width}}     n  " + "  ".join(f"{name:20}" for name in self.headline).rstrip(),
            ]
        for group in parts:
            cells = "  ".join(f"{group.metrics[name].show():20}" for name in self.headline)
            lines.append(f"  {group.name:{width}}  {group.n_questions:4}  {cells}".rstrip())
        return "\n".join(lines)


def make_report(
    measure: Measure, scope: str, questions: Sequence[Question], lines: Mapping[str, Line], *, seed: int = 0
) -> Report:
    """Measure the lines of a run. A question without a line counts as failed, and so as wrong."""
    rows = measured(measure, questions, lines)
    n_failed = sum("error" in lines.get(q.question_id, {"error": "missing"}) for q in questions)
    members: dict[str, list[tuple[Question, list[float]]]] = {"all": rows} if rows else {}
    for row in rows:
        for name in _groups_of(row[0]):
            members.setdefault(name, []).append(row)
    names = ["all", *sorted(members.keys() - {"all"})] if rows else []
    groups = tuple(_measure(measure, name, members[name], seed=seed) for name in names)
    return Report(measure.name, scope, len(questions), n_failed, measure.headline, groups)


def measured(
    measure: Measure, questions: Sequence[Question], lines: Mapping[str, Line]
) -> list[tuple[Question, list[float]]]:
    """Columns of every question that counts, in question order; one without a line counts as failed."""
    missing: Line = {**measure.failed(), "error": "no line in the run"}
    return [
        (question, measure.columns(question, lines.get(question.question_id, missing)))
        for question in questions
        if measure.counts(question)
    ]


def _groups_of(question: Question) -> list[str]:
    """Groups a question counts in; one with several evidence sources counts under each."""
    groups = [f"evidence: {source}" for source in dict.fromkeys(question.evidence_sources)]
    if question.doc_type:
        groups.append(f"document: {question.doc_type}")
    if not question.is_answerable:
        groups.append("pages: unanswerable")
    elif question.evidence_pages:
        groups.append("pages: one" if len(set(question.evidence_pages)) == 1 else "pages: several")
    return groups


def _measure(
    measure: Measure, name: str, rows: Sequence[tuple[Question, list[float]]], *, seed: int
) -> Group:
    columns = np.array([values for _, values in rows])
    documents = [question.doc for question, _ in rows]
    metrics = {
        metric: bootstrap(columns, documents, statistic, seed=seed)
        for metric, statistic in measure.metrics.items()
    }
    return Group(name, len(rows), metrics)
