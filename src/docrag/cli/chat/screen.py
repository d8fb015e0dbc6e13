"""What a conversation shows: steps while it works, tokens as they come, then the checked answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from docrag.cli.ask import print_answer, print_places
from docrag.cli.output import Output
from docrag.cli.steps import StepLine
from docrag.report.printable import printable

if TYPE_CHECKING:
    from docrag.chat.events import Event
    from docrag.types import Answer


class AnswerScreen:
    """Shows the events of one answer.

    Steps stand in one line that changes, or, where the output is no terminal, each in a line of its own. Text
    that was streamed and stands the check is not printed again.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._line = StepLine(output)
        self._streamed = ""

    def show(self, event: Event) -> None:
        """Show one event."""
        from docrag.chat.events import StepEvent, TokenEvent

        if isinstance(event, StepEvent):
            self._step(event.message)
        elif isinstance(event, TokenEvent):
            self._token(event.text)
        else:
            self._answer(event.answer)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._line.close()

    def _step(self, message: str) -> None:
        if not self._streamed:
            self._line.show(message)

    def _token(self, text: str) -> None:
        if self._output.as_json:
            return
        self.close()
        self._streamed += text
        sys.stdout.write(printable(text))
        sys.stdout.flush()

    def _answer(self, answer: Answer) -> None:
        self.close()
        if self._output.as_json:
            return
        if self._streamed:
            sys.stdout.write("\n")
        if self._streamed.split() == answer.text.split():
            print_places(self._output, answer)
            return
        if self._streamed:
            self._output.note("after the check of its citations:")
        print_answer(self._output, answer)
