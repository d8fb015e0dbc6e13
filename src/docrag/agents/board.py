"""What a seeker and an inspector have before them, and which of them is to move: pure functions.

The loop of ViDoRAG (arXiv 2502.18017): the seeker chooses pages from a buffer of candidates, the inspector
reads them together with the pages it kept, and either answers or says what is missing. There it runs until
the buffer is empty, and feedback on an empty buffer is an error; here every state has a move, and no state
comes twice: each choice of the seeker makes the buffer smaller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Move = Literal["seek", "inspect", "check", "answer", "accept", "give up"]
"""What comes next.

"seek" and "inspect" are the loop. It ends with "accept" (the inspector's draft stands), "check" (an answer is
written from the pages the draft refers to, and the draft is shown), "answer" (an answer is written from the
kept pages, without a draft), or "give up" (there is no page to answer from).
"""


@dataclass(frozen=True, slots=True)
class Board:
    """Page ids by where they are: `candidates` not looked at, `kept` by the inspector, `inspected` last.

    `summary` is what the seeker said about the pages it chose, `feedback` what the inspector misses.
    """

    candidates: tuple[str, ...]
    kept: tuple[str, ...] = ()
    inspected: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    summary: str = ""
    feedback: str = ""
    move: Move = "seek"


def opening(candidates: Iterable[str]) -> Board:
    """Return the board before the first move; without candidates there is none to make."""
    pages = tuple(dict.fromkeys(candidates))
    return Board(pages, move="seek" if pages else "give up")


def known(chosen: Iterable[str], among: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of `chosen` that are `among` those offered, in their order there, and the others as they came."""
    wanted = tuple(dict.fromkeys(chosen))
    return tuple(page for page in among if page in wanted), tuple(p for p in wanted if p not in among)


def after_seeking(board: Board, chosen: Iterable[str], summary: str) -> Board:
    """Take the chosen pages from the buffer to the inspector, beside those it kept.

    When nothing is chosen, an answer is written from the kept pages, or the loop gives up without any.
    """
    pages, _ = known(chosen, board.candidates)
    if not pages:
        return replace(board, summary=summary, move="answer" if board.kept else "give up")
    return replace(
        board,
        candidates=tuple(page for page in board.candidates if page not in pages),
        inspected=(*board.kept, *pages),
        summary=summary,
        move="inspect",
    )


def after_answer(board: Board, references: Iterable[str]) -> Board:
    """Take the inspector's draft: it stands when it refers to every inspected page, else it is checked.

    A draft without a valid reference is checked against every inspected page.
    """
    pages, _ = known(references, board.inspected)
    if len(pages) == len(board.inspected):
        return replace(board, references=pages, kept=pages, move="accept")
    return replace(board, references=pages or board.inspected, kept=board.inspected, move="check")


def after_feedback(board: Board, keep: Iterable[str], feedback: str) -> Board:
    """Keep the pages the inspector names and seek what it misses, as long as there is where to look.

    With an empty buffer an answer is written from the kept pages, or the loop gives up without any.
    """
    pages, _ = known(keep, board.inspected)
    move: Move = "seek" if board.candidates else "answer" if pages else "give up"
    return replace(board, kept=pages, feedback=feedback, move=move)
