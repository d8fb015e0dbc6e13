"""Answers in words: why one is withheld, and which citations support what."""

from __future__ import annotations

from docrag.types import Abstention, Answer, Citation

_WORDS = {
    Abstention.NOT_IN_DOCUMENTS: "Nothing found in the documents answers this well enough to be quoted.",
    Abstention.UNREADABLE_PAGES: "Pages that may hold it could not be read; `docrag doctor` lists them.",
    Abstention.INDEX_INCOMPLETE: "The index is not complete; run `docrag index` again.",
    Abstention.BUDGET_SPENT: "The budget was spent before an answer was found.",
}


def abstention_text(answer: Answer) -> str:
    """Why an answer was withheld, as a sentence."""
    return _WORDS[answer.reason] if answer.reason is not None else ""


def text_with_marks(answer: Answer) -> str:
    """The answer's text with the numbers of its citations behind each sentence: ``It grew. [1][2]``."""
    marked, start = "", 0
    for sentence in answer.sentences:
        at = answer.text.find(sentence.text, start)
        if at < 0:  # the text is not made of these sentences
            return answer.text
        end = at + len(sentence.text)
        marks = "".join(f"[{n}]" for n in sentence.citations)
        marked += answer.text[start:end] + (f" {marks}" if marks else "")
        start = end
    return marked + answer.text[start:]


def support_text(citation: Citation) -> str:
    """What is doubtful about a citation's quote; empty where it stands on the page."""
    if not citation.quote:
        return "no quote given"
    return {"full": "", "partial": "in part", "none": "quote not found on the page"}[citation.support]
