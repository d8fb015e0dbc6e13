"""What of a question is searched for: by its words, and by its meaning."""

from __future__ import annotations

import re

from docrag.retrieve.glossary import line_items
from docrag.retrieve.instructions import without_instructions
from docrag.retrieve.references import references_in

# fmt: off
QUESTION_WORDS = frozenset({
    "according", "all", "among", "and", "any", "between", "can", "could", "did", "do", "does", "done", "each",
    "following", "from", "give", "given", "had", "has", "have", "how", "list", "many", "much", "please",
    "should", "was", "were", "what", "what's", "which", "who", "whom", "whose", "would", "write", "down",
})
# fmt: on
"""Words that ask; the index keeps them, since in a document they may mean something."""

_SELF_REFERENCE = re.compile(
    r"\b(?:the|this|that|these|those|entire|whole|our|provided|given|attached)\s+"
    r"(?:documents?|reports?|papers?|articles?|presentations?|brochures?|slides?|slide\s+decks?|decks?|pdfs?"
    r"|files?|guidebooks?|guides?|manuals?|books?|booklets?)\b",
    re.IGNORECASE,
)
"""What a question calls the document it asks about: "in this report"; "annual report" is content."""

_WORD = re.compile(r"[\w’']+")


def words_query(question: str, *, with_glossary: bool = True) -> str:
    """Text for BM25: the question without instructions, references to pages or "this report", question words.

    With the glossary, the line items of the financial terms in it are added. A question of question words
    alone stays as it is; one of page references alone becomes empty.

    Examples
    --------
    >>> words_query("How many people work in Kiel according to page 3 of the report?")
    'people work in Kiel to of ?'
    >>> words_query("What is the quick ratio?")
    'is the quick ratio? cash equivalents receivable total current liabilities'
    """
    asked = references_in(without_instructions(question)).rest
    about = _SELF_REFERENCE.sub(" ", asked)
    kept = _WORD.sub(lambda m: "" if m[0].lower().replace("’", "'") in QUESTION_WORDS else m[0], about)
    if not _WORD.search(kept):
        kept = asked
    added = line_items(question) if with_glossary else ""
    return " ".join(f"{kept} {added}".split())


def meaning_query(question: str) -> str:
    """Text for a sentence encoder: the question without instructions on the form of the answer."""
    return without_instructions(question) or question
