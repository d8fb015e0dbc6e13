"""Ask a question again with the settings and the index of its trace, and say what differs, step by step."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, NamedTuple

from docrag.errors import UsageError
from docrag.evaluation.dataset import read_jsonl
from docrag.evaluation.differences import differences
from docrag.pipeline import DocRAG
from docrag.runs.folder import IDENTITY_FILE, TRACES_FILE, read_identity
from docrag.runs.record import TraceRecord, plain_answer, read_scope_values
from docrag.runs.state import index_changes, index_state, versions
from docrag.runs.traces import FOLDER, TraceStore, check_prefix

WHERE_FILE = "where.json"
"""File of a run folder that says where its index is, relative to the folder."""

RUNS_FOLDER = "runs"


class Found(NamedTuple):
    """A trace, the folder of its index, and the file it was found in."""

    record: TraceRecord
    index_dir: Path
    place: Path


@dataclass(frozen=True, slots=True)
class StepChange:
    """One step, then and now. `what` is "same", "changed", "gone" or "new"."""

    name: str
    what: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Replay:
    """What asking again gave. Each list is empty where nothing differs."""

    record: TraceRecord
    index: tuple[str, ...]
    versions: tuple[str, ...]
    settings: tuple[str, ...]
    steps: tuple[StepChange, ...]
    answer: tuple[str, ...]
    text: str

    @property
    def is_same(self) -> bool:
        """Whether steps and answer are what they were."""
        return not self.answer and all(step.what == "same" for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """What ``docrag replay --json`` prints."""
        return {
            "trace_id": self.record.trace_id,
            "question": self.record.question,
            "same": self.is_same,
            "index_changes": list(self.index),
            "version_changes": list(self.versions),
            "settings_changes": list(self.settings),
            "steps": [
                {"name": step.name, "what": step.what, "details": list(step.details)} for step in self.steps
            ],
            "answer_changes": list(self.answer),
            "answer": self.text,
        }


def find_trace(prefix: str, *, index_dirs: Sequence[Path], run_dirs: Sequence[Path]) -> Found:
    """Find the trace whose id begins with `prefix`, in indexes and in run folders.

    Raises `docrag.errors.UsageError` when there is none, or several.
    """
    wanted = check_prefix(prefix)
    found = [*_in_indexes(wanted, index_dirs), *_in_runs(wanted, run_dirs)]
    ids = sorted({entry.record.trace_id for entry in found})
    if not found:
        places = ", ".join(map(str, [*(d / FOLDER for d in index_dirs), *run_dirs])) or "nowhere"
        raise UsageError(
            f"there is no trace {prefix}; looked in {places}. Name the index (--index) or the run (--run)"
        )
    if len(ids) > 1:
        raise UsageError(f"{prefix} begins {len(ids)} traces: {', '.join(ids[:5])}; give more digits")
    return found[0]


def run_folders(folder: Path) -> list[Path]:
    """Run folders at hand: `folder` itself, and those in its ``runs``."""
    candidates = [folder, *sorted((folder / RUNS_FOLDER).glob("*"))]
    return [path for path in candidates if (path / IDENTITY_FILE).is_file()]


def where(index_dir: Path, out: Path) -> str:
    """Text of the file that leads from a run folder to its index."""
    return json.dumps({"index": os.path.relpath(index_dir.absolute(), out.absolute())}) + "\n"


def _in_indexes(prefix: str, index_dirs: Sequence[Path]) -> Iterator[Found]:
    for index_dir in index_dirs:
        store = TraceStore(index_dir / FOLDER)
        for trace_id in store.find(prefix):
            yield Found(store.load(trace_id), index_dir, store.folder)


def _in_runs(prefix: str, run_dirs: Sequence[Path]) -> Iterator[Found]:
    for folder in run_dirs:
        path = folder / TRACES_FILE
        if not path.is_file():
            raise UsageError(f"{folder}: holds no {TRACES_FILE}; expected the folder of a run")
        for _, line in read_jsonl(path):
            if isinstance(line, dict) and str(line.get("trace_id", "")).startswith(prefix):
                yield _of_run(folder, line)


def _of_run(folder: Path, line: Mapping[str, Any]) -> Found:
    path = folder / TRACES_FILE
    if "error" in line:
        raise UsageError(
            f"{path}: question {line['id']} failed: {line['error']}; there are no steps to compare"
        )
    identity = read_identity(folder)
    try:
        record = TraceRecord(
            trace_id=line["trace_id"],
            question=line["answer"]["question"],
            scope=read_scope_values(line["scope"]),
            settings={key: value for key, value in identity["config"].items() if key != "run"},
            index=identity["index"],
            versions=identity["versions"],
            steps=tuple(line["steps"]),
            answer=line["answer"],
        )
        index = json.loads((folder / WHERE_FILE).read_text("utf-8"))["index"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder}: is no complete run: {error!r}") from error
    return Found(record, Path(os.path.normpath(folder.absolute() / index)), path)


def replay(rag: DocRAG, record: TraceRecord, *, config: Mapping[str, Any]) -> Replay:
    """Ask the question of `record` again; `config` are the settings of `rag`, secrets masked."""
    answer = rag.ask(record.question, scope=record.scope)
    values, steps, _times = (json.loads(json.dumps(part)) for part in plain_answer(answer))
    return Replay(
        record=record,
        index=tuple(index_changes(record.index, index_state(rag.corpus))),
        versions=tuple(differences(record.versions, versions())),
        settings=tuple(differences(_deciding(record.settings), _deciding(config))),
        steps=tuple(compare_steps(record.steps, steps)),
        answer=tuple(differences(record.answer, values)),
        text=answer.text,
    )


def _deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON has them, without the one that changes no result."""
    values: dict[str, Any] = json.loads(json.dumps(config))
    values.get("ingest", {}).pop("n_workers", None)
    return values


def compare_steps(was: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> Iterator[StepChange]:
    """Steps then and now, aligned by their names."""
    matcher = SequenceMatcher(None, [s["name"] for s in was], [s["name"] for s in now], autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "equal":
            for old, new in zip(was[i:j], now[k:m], strict=True):
                found = tuple(differences(old["detail"], new["detail"]))
                yield StepChange(old["name"], "changed" if found else "same", found)
        else:
            yield from (StepChange(old["name"], "gone") for old in was[i:j])
            yield from (StepChange(new["name"], "new") for new in now[k:m])
