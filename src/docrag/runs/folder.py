"""A run's folder: three files that grow question by question, and what is made of them at the end.

``answers.jsonl`` is the commit: a question is done when its line is there; ``traces.jsonl`` and
``times.jsonl`` have theirs before. Times stand in ``times.jsonl`` alone: every other file is the same, byte
by byte, for two runs of one configuration on one index with deterministic models.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from docrag.errors import IndexLocked, UsageError
from docrag.evaluation.dataset import read_jsonl
from docrag.evaluation.differences import differences, summarised
from docrag.store.durable import storage_errors, write_atomically
from docrag.store.lock import WriterLock

IDENTITY_FILE = "run.json"
ANSWERS_FILE = "answers.jsonl"
TRACES_FILE = "traces.jsonl"
TIMES_FILE = "times.jsonl"
QUESTIONS_FILE = "questions.jsonl"
_JOURNAL = (TRACES_FILE, TIMES_FILE, ANSWERS_FILE)  # in the order of writing

NEXT_STEP = "start over with --fresh, or name another folder with --out"


class Lines(NamedTuple):
    """What one question left behind; each has its ``id``."""

    trace: Mapping[str, Any]
    times: Mapping[str, Any]
    answer: Mapping[str, Any]


class RunFolder:
    """The folder `path` of one run; used inside `open`, which keeps other processes out."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def open(self) -> Generator[None]:
        """Make the folder and hold it; UsageError for a file, and when another process runs into it."""
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path}: is a file, expected a folder for the results; name another --out")
        with storage_errors(self.path, "making the folder of the run"):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = WriterLock(self.path, command="docrag run")
            try:
                lock.acquire()
            except IndexLocked as error:
                raise UsageError(
                    f"{self.path}: another process writes this run; name another --out"
                ) from error
        try:
            yield
        finally:
            lock.release()

    def begin(self, identity: Mapping[str, Any], ids: Sequence[str], *, fresh: bool) -> dict[str, Lines]:
        """Return what an earlier run of the same identity has done, by question; errors are tried again.

        Raises
        ------
        UsageError
            The folder holds another run, or something else; the message says what differs.
        """
        kept = {} if fresh else self._resume(identity, ids)
        self.rewrite(list(kept.values()))
        self.write(IDENTITY_FILE, to_json(identity))
        return kept

    def append(self, lines: Lines) -> None:
        """Add a question that is done; each line is in its file before the next."""
        with storage_errors(self.path, "writing the results"):
            for name, values in zip(_JOURNAL, lines, strict=True):
                with (self.path / name).open("a", encoding="utf-8") as file:
                    file.write(to_line(values))

    def rewrite(self, lines: Sequence[Lines]) -> None:
        """Leave exactly these questions, in this order; the answers last."""
        for place, name in enumerate(_JOURNAL):
            self.write(name, "".join(to_line(entry[place]) for entry in lines))

    def write(self, name: str, text: str) -> None:
        """Replace a file as a whole."""
        with storage_errors(self.path, f"writing {name}"):
            path = self.path / name
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, text.encode("utf-8", "backslashreplace"))

    def _resume(self, identity: Mapping[str, Any], ids: Sequence[str]) -> dict[str, Lines]:
        path = self.path / IDENTITY_FILE
        if not path.is_file():
            if any((self.path / name).exists() for name in _JOURNAL):
                raise UsageError(f"{self.path}: holds results, but no {IDENTITY_FILE}; {NEXT_STEP}")
            return {}
        found = differences(read_identity(self.path), json.loads(json.dumps(identity)))
        if found:
            raise UsageError(
                f"{self.path}: holds a run with other settings: {summarised(found)}; {NEXT_STEP}"
            )
        traces, times, answers = (self._read(name) for name in _JOURNAL)
        return {
            question_id: Lines(traces[question_id], times[question_id], answers[question_id])
            for question_id in ids
            if question_id in answers
            and "error" not in answers[question_id]
            and question_id in traces
            and question_id in times
        }

    def _read(self, name: str) -> dict[str, Mapping[str, Any]]:
        """Lines by id; one that a crash cut short is passed over, and its question done again."""
        path = self.path / name
        if not path.is_file():
            return {}
        lines: dict[str, Mapping[str, Any]] = {}
        for _, value in read_jsonl(path):
            line = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
            if isinstance(line.get("id"), str):
                lines[line["id"]] = line
        return lines


def read_identity(folder: Path) -> dict[str, Any]:
    """Read what a run was made with; raises UsageError when it cannot be."""
    path = folder / IDENTITY_FILE
    try:
        values: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); {NEXT_STEP}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path}: describes no run; {NEXT_STEP}")
    return cast("dict[str, Any]", values)


def to_json(values: object) -> str:
    """One indented JSON document."""
    return json.dumps(values, ensure_ascii=False, indent=1) + "\n"


def to_line(values: Mapping[str, Any]) -> str:
    """One line of JSON; ASCII, so that a line torn anywhere is still readable text."""
    return json.dumps(values) + "\n"
