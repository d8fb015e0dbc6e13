"""A run: every question put to one index, answers written as they come, then measured and reported."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docrag import resources
from docrag.chat.prompts import Prompts
from docrag.evaluation.report import Report
from docrag.evaluation.run import Progress
from docrag.evaluation.tasks import MIN_RANKING
from docrag.pipeline import DocRAG
from docrag.pipeline.background import Hearer
from docrag.runs.folder import QUESTIONS_FILE, Lines, RunFolder, to_json, to_line
from docrag.runs.measure import measure, total_of
from docrag.runs.options import QuestionRow, RunOptions
from docrag.runs.questions import digest, scope_of
from docrag.runs.record import content_id, plain_answer, scope_values
from docrag.runs.replay import WHERE_FILE, where
from docrag.runs.report import write_run_report
from docrag.runs.state import index_state, prompt_digests, versions
from docrag.types import Answer

CONFIG_FILE = "config.yaml"
CITATIONS_FILE = "citations.jsonl"
METRICS_FILE = "metrics.json"
REPORT_FILE = "report.html"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run left in `folder`. `reports` are the metrics that there are labels for."""

    folder: Path
    n_questions: int
    n_abstained: int
    n_failed: int
    n_resumed: int
    reports: tuple[Report, ...]

    def to_json(self) -> dict[str, Any]:
        """What ``docrag run --json`` prints."""
        return {
            "out": str(self.folder),
            "n_questions": self.n_questions,
            "n_abstained": self.n_abstained,
            "n_failed": self.n_failed,
            "n_resumed": self.n_resumed,
            "metrics": [report.to_dict() for report in self.reports],
        }


def _ignore(_progress: Progress) -> None:
    """Tell nobody."""


def run_questions(
    rag: DocRAG,
    questions: Sequence[QuestionRow],
    *,
    name: str,
    config: Mapping[str, Any],
    options: RunOptions,
    out: Path,
    fresh: bool = False,
    on_progress: Callable[[Progress], None] = _ignore,
) -> RunResult:
    """Ask every question, and write the folder `out`.

    `config` is the resolved configuration with secrets masked. A run that was ended in the middle goes on
    where it was; what failed is tried again. A question that fails is a line with an ``error``, which counts
    as wrong.

    Raises
    ------
    UsageError
        `out` holds a run of something else; the message says what differs.
    StorageError
        `out` cannot be written; what is done stays done.
    """
    identity = identity_of(rag, questions, config)
    folder = RunFolder(out)
    with folder.open():
        done = folder.begin(identity, [row.id for row in questions], fresh=fresh)
        n_resumed, n_failed, start_s = len(done), 0, time.monotonic()

        def keep(row: QuestionRow, lines: Lines) -> None:
            nonlocal n_failed
            folder.append(lines)
            done[row.id] = lines
            n_failed += "error" in lines.answer
            elapsed_s = time.monotonic() - start_s
            on_progress(Progress(len(done), len(questions), n_failed, n_resumed, elapsed_s))

        _ask_all(rag, [row for row in questions if row.id not in done], options, identity, keep)
        ordered = [done[row.id] for row in questions]
        folder.rewrite(ordered)
        reports = _finish(rag, folder, questions, ordered, name=name, config=config, options=options)
    return RunResult(
        folder=out,
        n_questions=len(questions),
        n_abstained=sum(bool(lines.answer.get("abstained")) for lines in ordered),
        n_failed=n_failed,
        n_resumed=n_resumed,
        reports=reports,
    )


def identity_of(rag: DocRAG, questions: Sequence[QuestionRow], config: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that decides the answers, as JSON values: what a folder may be continued with."""
    return {
        "config": config,
        "questions": {"n": len(questions), "sha256": digest(questions)},
        "index": index_state(rag.corpus),
        "prompts": prompt_digests(Prompts(rag.settings.prompts)),
        "versions": versions(),
    }


def _ask_all(
    rag: DocRAG,
    rows: Sequence[QuestionRow],
    options: RunOptions,
    identity: Mapping[str, Any],
    keep: Callable[[QuestionRow, Lines], None],
) -> None:
    """Keep the lines of every question as soon as it is done, one after the other.

    Ctrl-C calls off those that are not done. What a thread finishes all the same is kept, too.
    """
    stop, keeping = threading.Event(), threading.Lock()

    def work(row: QuestionRow) -> None:
        lines = _ask(rag, row, options, identity, stop)
        if stop.is_set() and "error" in lines.answer:
            return  # called off, which is no failure
        with keeping:
            keep(row, lines)

    if options.parallel == 1:
        for row in rows:
            work(row)
        return
    with ThreadPoolExecutor(options.parallel, thread_name_prefix="docrag-run") as pool:
        futures = [pool.submit(work, row) for row in rows]
        try:
            for future in as_completed(futures):
                future.result()
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _ask(
    rag: DocRAG,
    row: QuestionRow,
    options: RunOptions,
    identity: Mapping[str, Any],
    stop: threading.Event,
) -> Lines:
    scope = scope_of(row, options.scope)
    start_s = time.monotonic()
    hearer = Hearer(lambda _event: None, stop)
    try:
        answer = rag.ask(row.question, scope=scope, listener=hearer)
        ranking: list[list[Any]] = []
        if row.evidence_pages:
            hits = rag.search(row.question, k=MIN_RANKING, scope=scope, listener=hearer).hits
            ranking = [[hit.doc, hit.page_no] for hit in hits]
    except Exception as error:  # the boundary where a question's failure becomes its line
        _log.warning("question %s failed: %s: %s", row.id, type(error).__name__, error)
        what = f"{type(error).__name__}: {error}"
        trace_id = content_id(identity, row.id, what)
        head = {"id": row.id, "trace_id": trace_id, "question": row.question}
        times = {"id": row.id, "elapsed_s": round(time.monotonic() - start_s, 4), "steps": []}
        return Lines(
            {**head, "scope": scope_values(scope), "steps": [], "error": what}, times, {**head, "error": what}
        )
    return _lines(row, answer, scope_values(scope), ranking, identity)


def _lines(
    row: QuestionRow,
    answer: Answer,
    scope: Mapping[str, Any],
    ranking: list[list[Any]],
    identity: Mapping[str, Any],
) -> Lines:
    values, steps, times = plain_answer(answer)
    trace_id = content_id(identity, row.id, scope, values, steps)
    trace = {"id": row.id, "trace_id": trace_id, "scope": scope, "steps": steps, "answer": values}
    line = {name: value for name, value in values.items() if name != "evidence"}
    looked_at = dict.fromkeys((e["doc"], e["page"]) for e in values["evidence"])
    line |= {"looked_at": [list(page) for page in looked_at]}
    line |= {"ranking": ranking} if row.evidence_pages else {}
    return Lines(trace, {"id": row.id, **times}, {"id": row.id, "trace_id": trace_id, **line})


def _finish(
    rag: DocRAG,
    folder: RunFolder,
    questions: Sequence[QuestionRow],
    lines: Sequence[Lines],
    *,
    name: str,
    config: Mapping[str, Any],
    options: RunOptions,
) -> tuple[Report, ...]:
    import yaml

    answers = [entry.answer for entry in lines]
    other_names = {document.doc: document.aliases for document in rag.documents()}
    reports = measure(questions, answers, scope=options.scope, other_names=other_names, seed=options.seed)
    folder.write(WHERE_FILE, where(rag.index_dir, folder.path))
    folder.write(CONFIG_FILE, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
    rows = [row.model_dump(mode="json", exclude_defaults=True) for row in questions]
    folder.write(QUESTIONS_FILE, "".join(map(to_line, rows)))
    citations = [{"id": a["id"], **citation} for a in answers for citation in a.get("citations", ())]
    folder.write(CITATIONS_FILE, "".join(map(to_line, citations)))
    folder.write(METRICS_FILE, to_json(_figures(answers, reports)))
    _write_prompts(folder, lines, Prompts(rag.settings.prompts))
    write_run_report(
        folder.path / REPORT_FILE,
        name=name,
        questions=questions,
        answers=answers,
        reports=reports,
        files=rag.page_files,
        n_pictures=options.report_pictures,
    )
    return reports


def _figures(answers: Sequence[Mapping[str, Any]], reports: Sequence[Report]) -> dict[str, Any]:
    return {
        "n_questions": len(answers),
        "n_answered": sum("error" not in a and not a["abstained"] for a in answers),
        "n_abstained": sum(bool(a.get("abstained")) for a in answers),
        "n_failed": sum("error" in a for a in answers),
        "usage": total_of([answer["usage"] for answer in answers if "usage" in answer]),
        "reports": {report.task: report.to_dict() for report in reports},
    }


def _write_prompts(folder: RunFolder, lines: Sequence[Lines], prompts: Prompts) -> None:
    """Keep the text of every prompt that a step names."""
    names = {step["detail"].get("prompt") for entry in lines for step in entry.trace["steps"]}
    known = resources.names("prompts", ".md")
    for name in sorted(name for name in names if isinstance(name, str) and name in known):
        prompt = prompts.get(name)
        system = f"# system\n{prompt.system}\n" if prompt.system else ""
        folder.write(f"prompts/{name}.md", f"{system}# user\n{prompt.user}\n")
