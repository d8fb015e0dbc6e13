"""Put every question of a data set to docrag, write one line each, resume where a run stopped, and measure.

The output holds result lines alone, so any scorer can read it. What the lines were made with stands beside
it in ``NAME.run.json``; lines of other settings are never mixed.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from docrag.errors import UsageError
from docrag.evaluation.dataset import Dataset, Question, read_jsonl
from docrag.evaluation.differences import differences, summarised
from docrag.evaluation.report import Report, make_report
from docrag.evaluation.tasks import Measure, Task
from docrag.types import Query, Scope

EvalScope = Literal["document", "collection"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `n_resumed` of the `n_done` questions were done by an earlier run."""

    n_done: int
    n_total: int
    n_failed: int
    n_resumed: int
    elapsed_s: float

    @property
    def eta_s(self) -> float | None:
        """Seconds still to go at the pace of this run, None before its first question."""
        n_now = self.n_done - self.n_resumed
        return self.elapsed_s / n_now * (self.n_total - self.n_done) if n_now else None


def _ignore(_: Progress) -> None:
    """Report to nobody."""


def evaluate(
    dataset: Dataset,
    task: Task,
    *,
    scope: EvalScope,
    out: Path,
    settings: Mapping[str, Any],
    indexed: Collection[str] | None = None,
    limit: int | None = None,
    fresh: bool = False,
    on_progress: Callable[[Progress], None] = _ignore,
) -> Report:
    """Run `task` over the questions and report.

    `scope` "document" looks into the question's own document, "collection" into all of the data set that is
    among `indexed` (names in the index; None when it holds exactly the data set). `settings` is everything
    else that decides the lines (configuration, index, versions), as JSON values. With `limit`, only the first
    questions in file order are asked and reported. A rerun keeps the lines that `out` holds, those beyond
    `limit` too, and does what is missing or failed: a higher `limit` adds to a run. `fresh` starts over.

    Raises
    ------
    UsageError
        `out` holds lines made with other settings, or is no run at all.
    """
    identity = _identity(dataset, task, scope, settings)
    lines = {} if fresh else _resume(out, identity, dataset, task)
    _start(out, identity, lines.values())
    collection = collection_of(dataset, indexed)
    questions = dataset.questions[:limit]
    n_done = n_resumed = sum(question.question_id in lines for question in questions)
    n_failed, start_s = 0, time.monotonic()
    with out.open("a", encoding="utf-8") as file:
        for question in questions:
            if question.question_id not in lines:
                docs = (question.doc,) if scope == "document" else collection
                line = _answer_one(task, question, Query(question.text, "page", Scope(docs=docs)))
                n_failed += "error" in line
                lines[question.question_id] = line
                file.write(_to_json_line(line))
                file.flush()
                n_done += 1
                elapsed_s = time.monotonic() - start_s
                on_progress(Progress(n_done, len(questions), n_failed, n_resumed, elapsed_s))
    return make_report(task, scope, questions, lines)


def collection_of(dataset: Dataset, indexed: Collection[str] | None) -> tuple[str, ...] | None:
    """Restriction to the data set's documents among `indexed`; None when the index holds no other ones."""
    if indexed is None or dataset.docs == tuple(sorted(indexed)):
        return None
    return tuple(doc for doc in dataset.docs if doc in indexed)


def _answer_one(task: Task, question: Question, query: Query) -> dict[str, Any]:
    try:
        fields = task.run(question, query)
    except Exception as error:  # the boundary where a question's failure becomes its line
        _log.warning("question %s failed: %s: %s", question.question_id, type(error).__name__, error)
        fields = {**task.failed(), "error": f"{type(error).__name__}: {error}"}
    return {"id": question.question_id, **fields}


# ── resuming ─────────────────────────────────────────────────────────────────────────────────────────────


def _sidecar(out: Path) -> Path:
    return out.with_name(out.name + ".run.json")


def _identity(dataset: Dataset, task: Task, scope: EvalScope, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that makes two lines comparable."""
    identity = {"task": task.name, "scope": scope, "dataset": dataset.fingerprint(), "settings": settings}
    return cast("dict[str, Any]", json.loads(json.dumps(identity, sort_keys=True)))


def _resume(
    out: Path, identity: Mapping[str, Any], dataset: Dataset, task: Task
) -> dict[str, dict[str, Any]]:
    """Lines of an earlier run by question id, without its failures: those are tried again."""
    if not out.exists() or out.stat().st_size == 0:
        return {}
    sidecar = _sidecar(out)
    if not sidecar.exists():
        raise UsageError(f"{out}: exists, but {sidecar.name} beside it does not; {_NEXT_STEP}")
    try:
        before = json.loads(sidecar.read_text("utf-8"))
    except ValueError as error:
        raise UsageError(f"{sidecar}: not readable ({error}); {_NEXT_STEP}") from error
    if before != identity:
        found = summarised(differences(before, identity))
        raise UsageError(f"{out}: made with other settings: {found}; {_NEXT_STEP}")
    try:
        lines = read_lines(out, dataset, task)
    except UsageError as error:
        raise UsageError(f"{error}; {_NEXT_STEP}") from error
    return {question_id: line for question_id, line in lines.items() if "error" not in line}


def read_lines(path: Path, dataset: Dataset, measure: Measure) -> dict[str, dict[str, Any]]:
    """Lines of a run by question id, the last one of a question; a torn last line is left out.

    Raises
    ------
    UsageError
        A line is no line of this task, or its question is not in the data set; the message names the line.
    """
    known = {question.question_id for question in dataset.questions}
    rows = list(read_jsonl(path))
    if rows and isinstance(rows[-1][1], json.JSONDecodeError):
        rows.pop()
    lines: dict[str, dict[str, Any]] = {}
    for line_no, row in rows:
        line = cast("dict[str, Any]", row if isinstance(row, dict) else {})
        if not isinstance(line.get("id"), str) or line["id"] not in known or not measure.well_formed(line):
            raise UsageError(f"{path}:{line_no}: not a line of this {measure.name} run: {row!r:.80}")
        lines[line["id"]] = line
    return lines


_NEXT_STEP = "name another --out, or start over with --fresh"


def _start(out: Path, identity: Mapping[str, Any], kept: Iterable[Mapping[str, Any]]) -> None:
    """Leave exactly the kept lines in `out`, each file replaced as a whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    _replace(out, "".join(map(_to_json_line, kept)))
    _replace(_sidecar(out), json.dumps(identity, indent=1, ensure_ascii=False) + "\n")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _to_json_line(line: Mapping[str, Any]) -> str:
    return json.dumps(line) + "\n"  # ASCII: a line torn anywhere is still readable text
