"""How text is cut into the terms of the full-text index; pages, chunks and queries alike.

A term is a word, or two neighbouring words joined by an underscore: BM25 over both rewards words that stand
together without the cost of a positional index. The index itself stems terms and folds accents.
"""

from __future__ import annotations

import itertools
import re
import unicodedata

# fmt: off
STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it",
    "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they",
    "this", "to", "was", "will", "with",
})
# fmt: on
"""The classic short English list (Lucene's); left out of words and so bridged by pairs."""

_IDEOGRAPH = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Scripts written without spaces: every character is a word, and pairs make the usual bigrams of them.
_WORD = re.compile(rf"[{_IDEOGRAPH}]|[^\W_{_IDEOGRAPH}]+")
# "iPhone", "Table1", "16GB": also found by their parts.
_PART = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")


def words(text: str) -> list[str]:
    """Words of `text` in order, lower case, stop words left out; a mixed word is followed by its parts.

    Examples
    --------
    >>> words("The Table3 of net-income")
    ['table3', 'table', '3', 'net', 'income']
    """
    found: list[str] = []
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text)):
        word = match[0]
        parts = _PART.split(word)
        found.append(word.lower())
        if len(parts) > 1:
            found.extend(part.lower() for part in parts)
    return [word for word in found if word not in STOP_WORDS]


def pairs(words: list[str]) -> list[str]:
    """Every two neighbours of `words`, joined.

    Examples
    --------
    >>> pairs(["net", "income", "2015"])
    ['net_income', 'income_2015']
    """
    return [f"{first}_{second}" for first, second in itertools.pairwise(words)]


def index_terms(text: str) -> str:
    """All terms of a page or chunk, separated by blanks, as the index stores them."""
    found = words(text)
    return " ".join(found + pairs(found))
