"""The step that is under way, while a search or an answer is being made."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from docrag.cli.output import Output
from docrag.report.printable import printable

if TYPE_CHECKING:
    from rich.status import Status

    from docrag.chat.events import Event


class StepLine:
    """One line that changes, or, where the output is no terminal, a line for every step; none when quiet."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._status: Status | None = None

    def show(self, message: str) -> None:
        """Say what begins."""
        if self._output.quiet:
            return
        if not self._output.stderr.is_terminal:
            self._output.note(f"… {message}")
        elif self._status is None:
            self._status = self._output.stderr.status(printable(message), spinner="dots")
            self._status.start()
        else:
            self._status.update(printable(message))

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._status is not None:
            self._status.stop()
            self._status = None


class StepListener:
    """Shows steps, and nothing else of what it hears; Ctrl-C calls off what it listens to."""

    def __init__(self, line: StepLine) -> None:
        self._line = line

    def on_event(self, event: Event) -> None:
        """Show a step."""
        from docrag.chat.events import StepEvent

        if isinstance(event, StepEvent):
            self._line.show(event.message)

    def cancelled(self) -> bool:
        """Never."""
        return False


@contextmanager
def steps_shown(output: Output) -> Generator[StepListener]:
    """Yield a listener whose steps are shown until the block ends."""
    line = StepLine(output)
    try:
        yield StepListener(line)
    finally:
        line.close()
