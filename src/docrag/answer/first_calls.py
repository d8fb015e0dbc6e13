"""Pieces of a run's work whose first calls are made side by side; all else goes one piece after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Generic, TypeVar

from docrag.answer.run import Ask, Run
from docrag.chat.model import Reply, Role
from docrag.chat.side_by_side import Ending, side_by_side
from docrag.errors import BudgetExceeded, ModelError, ModelUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")
Steps = Generator[Ask, Reply, Result]
"""Work on one item. It yields its first call and is given the reply there, or the error of the call."""


def next_few(
    run: Run,
    items: Sequence[Item],
    work: Callable[[Run, Item], Steps[Result]],
    *,
    role: Role,
    n_parallel: int,
    n_calls: int,
) -> list[Result]:
    """Results of `work` for the first of `items`, in order: at least one, `n_parallel` at most.

    `work` gets a part of the run for each item. Of at most `n_calls` calls it yields the first, one of the
    model of `role`; further ones it makes by the part, when the items before it are done. As many items are
    taken as ``budget.max_calls`` has calls for; and first calls only overlap where the budget allows each of
    them even if those before it cost the most they can. So no limit is passed that one item after the other
    would not pass, and no result, trace or warning depends on which reply comes first.

    Raises
    ------
    ModelUnavailable, Cancelled
        A first call ended with it, and the others are ended, too.
    """
    ending = Ending(run.listener.cancelled)
    few = items[: _n_at_once(run, role, n_parallel, n_calls)]
    pieces = [_Piece(run.part(ending), work, item) for item in few]
    asking = [(piece, ask) for piece in pieces if (ask := piece.first) is not None]

    def reply_to(asked: tuple[_Piece[Result], Ask]) -> Reply | ModelError | BudgetExceeded:
        piece, ask = asked
        try:
            return piece.part.make(ask)
        except ModelUnavailable:
            raise
        except (ModelError, BudgetExceeded) as error:
            return error

    if run.meter.allows([run.at_most(ask) for _, ask in asking]):
        replies = iter(side_by_side(reply_to, asking, n_parallel=n_parallel, ending=ending))
    else:
        replies = map(reply_to, asking)  # each is asked when the one before is done
    for (piece, _), reply in zip(asking, replies, strict=True):
        piece.finish(reply)
    for piece in pieces:
        run.take_in(piece.part)
    return [piece.result for piece in pieces]


def _n_at_once(run: Run, role: Role, n_parallel: int, n_calls: int) -> int:
    if run.chats.of(role).limits.takes_turns:
        return 1
    left = run.meter.calls_left
    return n_parallel if left is None else max(1, min(n_parallel, left // n_calls))


class _Piece(Generic[Result]):
    """Work on one item, begun: `first` is its first call, None when it needed none."""

    def __init__(self, part: Run, work: Callable[[Run, Item], Steps[Result]], item: Item) -> None:
        self.part = part
        self._steps = work(part, item)
        self.first = self._go_on(lambda: next(self._steps))

    def finish(self, reply: Reply | ModelError | BudgetExceeded) -> None:
        """Give it the reply to its first call, or the error of it."""
        steps = self._steps
        further = self._go_on(lambda: steps.send(reply) if isinstance(reply, Reply) else steps.throw(reply))
        if further is not None:
            raise RuntimeError(f"a piece of work yielded a second call, of prompt {further.prompt.name}")

    def _go_on(self, step: Callable[[], Ask]) -> Ask | None:
        try:
            return step()
        except StopIteration as end:
            self.result: Result = end.value
            return None
