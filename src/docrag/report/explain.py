"""Reasons in words."""

from __future__ import annotations

from docrag.types import Abstention, Answer

_WORDS = {
    Abstention.NOT_IN_DOCUMENTS: "Nothing found in the documents answers this well enough to be quoted.",
    Abstention.UNREADABLE_PAGES: "Pages that may hold it could not be read; `docrag doctor` lists them.",
    Abstention.INDEX_INCOMPLETE: "The index is not complete; run `docrag index` again.",
    Abstention.BUDGET_SPENT: "The budget was spent before an answer was found.",
}


def abstention_text(answer: Answer) -> str:
    """Why an answer was withheld, as a sentence."""
    return _WORDS[answer.reason] if answer.reason is not None else ""
