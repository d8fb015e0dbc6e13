"""What a run may spend on models, and what it has spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from pydantic import Field

from docrag.chat.model import CallUsage, total_usage
from docrag.errors import BudgetExceeded
from docrag.options import Options
from docrag.types import Usage


class BudgetOptions(Options):
    """Limits of one question; None is no limit.

    They are checked before a call: the last call may pass a token limit by its own reply, but no further one
    is made.
    """

    max_rounds: int = Field(default=4, ge=1, description="turns of an agent's loop")
    max_calls: int | None = Field(default=16, ge=1, description="calls of models, retries not counted")
    max_input_tokens: int | None = Field(
        default=400_000, ge=1, description="tokens of all prompts together; null is no limit"
    )
    max_output_tokens: int | None = Field(
        default=16_000, ge=1, description="tokens of all replies together; null is no limit"
    )
    max_images: int | None = Field(default=100, ge=0, description="pictures sent, repeats counted")
    max_seconds: float | None = Field(
        default=180.0, gt=0, description="seconds from the question to its answer; null is no limit"
    )


class BudgetMeter:
    """Counts what one run spends; `clock` returns seconds and is replaced in tests."""

    def __init__(self, options: BudgetOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.options = options
        self._clock = clock
        self._start_s = clock()
        self._n_rounds = 0
        self._calls: list[CallUsage] = []  # which several threads may add to

    @property
    def remaining_s(self) -> float | None:
        """Seconds left, 0 when none are; None without a limit."""
        limit_s = self.options.max_seconds
        return None if limit_s is None else max(0.0, limit_s - (self._clock() - self._start_s))

    @property
    def calls_left(self) -> int | None:
        """Calls that may still be made; None without a limit."""
        limit = self.options.max_calls
        return None if limit is None else max(0, limit - len(self._calls))

    @property
    def rounds_left(self) -> int:
        """Turns that may still begin."""
        return max(0, self.options.max_rounds - self._n_rounds)

    def start_round(self) -> None:
        """Count a turn of a loop; raises `docrag.errors.BudgetExceeded` when there is none left."""
        if not self.rounds_left:
            raise BudgetExceeded(f"all {self.options.max_rounds} rounds are used (budget.max_rounds)")
        self._n_rounds += 1

    def check(self, *, n_images: int = 0, n_input_tokens: int = 0, ahead: Sequence[CallUsage] = ()) -> None:
        """Raise `docrag.errors.BudgetExceeded` when a call of this size would pass a limit.

        `ahead` are calls that will be made before it.
        """
        options = self.options
        spent = total_usage([*self._calls, *ahead])
        if options.max_calls is not None and spent.n_model_calls >= options.max_calls:
            raise BudgetExceeded(f"all {options.max_calls} model calls are used (budget.max_calls)")
        if options.max_images is not None and spent.n_images + n_images > options.max_images:
            raise BudgetExceeded(
                f"{spent.n_images} of {options.max_images} pictures are sent and the next call needs"
                f" {n_images} (budget.max_images)"
            )
        if (
            options.max_input_tokens is not None
            and spent.n_input_tokens + n_input_tokens > options.max_input_tokens
        ):
            raise BudgetExceeded(
                f"{spent.n_input_tokens} of {options.max_input_tokens} input tokens are used and the next"
                f" call needs about {n_input_tokens} (budget.max_input_tokens)"
            )
        if options.max_output_tokens is not None and spent.n_output_tokens >= options.max_output_tokens:
            raise BudgetExceeded(
                f"all {options.max_output_tokens} output tokens are used (budget.max_output_tokens)"
            )
        if self.remaining_s == 0:
            raise BudgetExceeded(f"{options.max_seconds} seconds are over (budget.max_seconds)")

    def allows(self, calls: Sequence[CallUsage]) -> bool:
        """Whether each of these calls may be made even if those before it cost all that is said here."""
        try:
            for i, call in enumerate(calls):
                self.check(n_images=call.n_images, n_input_tokens=call.n_input_tokens, ahead=calls[:i])
        except BudgetExceeded:
            return False
        return True

    def charge(self, usage: CallUsage) -> None:
        """Count a call that was made, failed ones included; safe from several threads."""
        self._calls.append(usage)

    @property
    def usage(self) -> Usage:
        """What was spent so far."""
        return total_usage(self._calls, elapsed_s=self._clock() - self._start_s)
