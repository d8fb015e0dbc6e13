"""What every answerer with models is made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from docrag.answer.finish import nothing_unfinished
from docrag.answer.run import RunParts
from docrag.answer.search import Search
from docrag.protocols import Corpus, PagePictures


@dataclass(frozen=True, slots=True)
class AnswerParts:
    """The index, the search over it, the models, and the pictures of its pages; None for text alone.

    `unfinished` names documents whose indexing has not come to its end.
    """

    corpus: Corpus
    search: Search
    runs: RunParts
    pictures: PagePictures | None = None
    unfinished: Callable[[], Sequence[str]] = nothing_unfinished
