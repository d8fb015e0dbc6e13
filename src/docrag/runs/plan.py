"""From a run file to what is to be done: its paths made absolute, its questions read and checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docrag.errors import ConfigError
from docrag.runs.folder import QUESTIONS_FILE
from docrag.runs.options import QuestionRow, RunOptions
from docrag.runs.questions import read_questions
from docrag.runs.replay import RUNS_FOLDER

_EXAMPLE = "run:\n  documents: reports\n  questions: [What was the revenue in 2023?]"

_NO_MATTER = ("out", "parallel", "report_pictures")
"""Options of a run that change no answer; a run may be continued with others, and its folder names none."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run does. `config` is the resolved configuration, secrets masked, as its folder keeps it."""

    name: str
    documents: tuple[Path, ...]
    index_dir: Path | None
    questions: tuple[QuestionRow, ...]
    out: Path
    config: Mapping[str, Any]


def make_plan(
    file: Path, options: RunOptions, config: Mapping[str, Any], *, out: Path | None = None
) -> RunPlan:
    """Return what the run file `file` asks for; `out` wins over its own.

    Raises
    ------
    ConfigError
        The file says nothing about documents.
    UsageError
        There are no questions, or they are malformed.
    """
    folder = file.absolute().parent
    if not options.documents:
        raise ConfigError(
            f"{file}: run.documents names no documents; a run file holds, for example,\n{_EXAMPLE}"
        )
    questions = read_questions(options.questions, folder)
    name = file.stem

    def placed(path: str) -> Path:
        return Path(os.path.normpath(folder / path))

    if out is None:
        out = placed(options.out) if options.out is not None else folder / RUNS_FOLDER / name
    kept = {key: value for key, value in config["run"].items() if key not in _NO_MATTER}
    kept["questions"] = QUESTIONS_FILE  # beside the configuration, wherever they were before
    ingest = {key: value for key, value in config["ingest"].items() if key != "n_workers"}
    return RunPlan(
        name=name,
        documents=tuple(map(placed, options.documents)),
        index_dir=placed(options.index) if options.index is not None else None,
        questions=questions,
        out=out,
        config={**config, "ingest": ingest, "run": kept},
    )
