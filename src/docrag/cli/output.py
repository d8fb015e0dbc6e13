"""What commands print: results on stdout, everything else on stderr, nothing a document could abuse."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docrag.errors import StorageError
from docrag.report.printable import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


EXIT_NO_REPORT = 2
"""All is done but for a file that could not be written."""


class Output:
    """Where a command prints, and how; `quiet` leaves out progress, never results or warnings."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        if quiet or not sys.stderr.isatty():
            # Of the libraries that load and fetch checkpoints, which draw theirs on stderr.
            os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

    @cached_property
    def stdout(self) -> Console:
        """For results. Documents' text is printed as it is: no markup, no emoji codes, no highlighting."""
        return _console(stderr=False)

    @cached_property
    def stderr(self) -> Console:
        """For progress and notes."""
        return _console(stderr=True)

    def json(self, values: object) -> None:
        """Print the one JSON document of this run."""
        sys.stdout.write(to_json(values) + "\n")

    def print(self, *parts: RenderableType) -> None:
        """Print a result for people."""
        self.stdout.print(*parts)

    def note(self, text: str) -> None:
        """Say something about the run, on stderr."""
        if not self.quiet:
            self.stderr.print(printable(text), style="dim")

    def warn(self, text: str) -> None:
        """Say something that should not be missed, on stderr."""
        self.stderr.print(printable(text), style="yellow")


def wrote_report(output: Output, path: Path, write: Callable[[], None]) -> bool:
    """Write a report beside a result that is there; that it cannot be written does not lose the result."""
    try:
        write()
    except StorageError as error:
        output.warn(str(error))
        return False
    output.note(f"report written to {path}")
    return True


def to_json(values: object) -> str:
    """One indented JSON document; lone surrogates cannot be written in UTF-8 and are escaped."""
    text = json.dumps(values, ensure_ascii=False, indent=2, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _console(*, stderr: bool) -> Any:  # noqa: ANN401 - rich is imported here only, for a fast start
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)
