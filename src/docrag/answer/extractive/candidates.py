"""A possible answer, where it stands, the features by which it is judged, and what finders work on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from docrag.answer.extractive.question_type import Question
from docrag.answer.extractive.view import PageView, TermWeights


class Place(NamedTuple):
    """``[start, end)`` in the text of a page: what a citation will quote."""

    view: PageView
    start: int
    end: int

    @property
    def quote(self) -> str:
        """The text at this place."""
        return self.view.page.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A short answer with the places that carry it; `method` names the finder that proposed it."""

    text: str
    places: tuple[Place, ...]
    method: str
    features: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Task:
    """What a finder works on.

    `views` are the retrieved pages, best first; `look_up` retrieves more pages for other words, for answers
    that need several places; `all_pages` gives every page of the document asked about.
    """

    question: Question
    views: Sequence[PageView]
    weights: TermWeights
    look_up: Callable[[str], Sequence[PageView]]
    all_pages: Callable[[], Sequence[PageView]]


Finder = Callable[[Task], list[Candidate]]
"""Proposes answers in any order; an empty list when it has nothing to say."""
