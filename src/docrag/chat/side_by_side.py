"""Work in several threads that ends together: with the run, and when whoever waits for it is interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from docrag.chat.model import never

Item = TypeVar("Item")
Result = TypeVar("Result")


class Ending:
    """Says whether calls of models should end: somebody called them off, or nobody waits for them any more.

    It is what `docrag.chat.model.Request.cancelled` polls; `cancelled` is the listener's.
    """

    def __init__(self, cancelled: Callable[[], bool] = never) -> None:
        self._cancelled = cancelled
        self._is_left = threading.Event()

    def __call__(self) -> bool:
        """Whether it is time."""
        return self._is_left.is_set() or self._cancelled()

    def leave(self) -> None:
        """Nobody waits any more."""
        self._is_left.set()


def side_by_side(
    work: Callable[[Item], Result], items: Sequence[Item], *, n_parallel: int, ending: Ending
) -> list[Result]:
    """Result of `work` for every item in order, `n_parallel` at a time; what it raises is raised.

    `work` polls `ending`. When it raises, or Ctrl-C gets in, the others are ended and none is begun any more.
    """
    if n_parallel == 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(n_parallel, len(items)), thread_name_prefix="docrag-calls") as pool:
        try:
            return list(pool.map(work, items))
        except BaseException:  # leaving the block waits for the threads, which nothing else would end
            ending.leave()
            raise
