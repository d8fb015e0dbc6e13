"""Parts of a page that a short-sighted cross-encoder can read; the best one speaks for the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from docrag.chat.model import CallUsage
from docrag.errors import BudgetExceeded, DocragError
from docrag.retrieve.rerank.calls import Calls
from docrag.retrieve.rerank.checkpoint import equal_batches
from docrag.retrieve.rerank.relevance import Relevance
from docrag.retrieve.rerank.shown import Shown

WORDS = 220
"""About 300 tokens of English, which leaves room for a question in the 512 of BERT-sized cross-encoders."""

OVERLAP = 40
"""Words shared by neighbours, so that a sentence stands whole in one of them."""


def passages(text: str, *, n_words: int = WORDS, overlap: int = OVERLAP) -> list[str]:
    """Windows of `n_words` words, each sharing `overlap` with the one before; an empty text is one passage.

    Examples
    --------
    >>> passages("a b c d e", n_words=3, overlap=1)
    ['a b c', 'c d e']
    """
    words = text.split()
    starts = range(0, max(1, len(words) - overlap), n_words - overlap)
    return [" ".join(words[start : start + n_words]) for start in starts]


def best(relevances: Sequence[Relevance]) -> Relevance:
    """Return the highest of the passages' relevances (MaxP, Dai & Callan 2019)."""
    return max(relevances, key=lambda relevance: (relevance.score, relevance.margin))


def score_passages(
    pages: Sequence[Shown],
    calls: Calls,
    *,
    n_words: int,
    batch_size: int,
    encode: Callable[[str], Mapping[str, Any]],
    forward: Callable[[Sequence[Mapping[str, Any]]], Sequence[Relevance]],
) -> list[Relevance | DocragError]:
    """Relevance of every page by its best passage; the budget counts batches.

    `encode` makes model input of a passage, and `forward` scores inputs of equal shapes. A page of which the
    budget left out a passage has no relevance.
    """
    owners: list[int] = []
    inputs: list[Mapping[str, Any]] = []
    for position, page in enumerate(pages):
        for passage in passages(page.text, n_words=n_words):
            owners.append(position)
            inputs.append(encode(passage))
    found: list[list[Relevance]] = [[] for _ in pages]
    unaffordable: dict[int, BudgetExceeded] = {}
    for batch in equal_batches(inputs, batch_size=batch_size):
        try:
            calls.start()
        except BudgetExceeded as error:
            unaffordable |= {owners[i]: error for i in batch}
            continue
        start_s = time.monotonic()
        for i, relevance in zip(batch, forward([inputs[i] for i in batch]), strict=True):
            found[owners[i]].append(relevance)
        calls.charge(CallUsage(elapsed_s=time.monotonic() - start_s, cost_usd=0.0))
    return [unaffordable[i] if i in unaffordable else best(found[i]) for i in range(len(pages))]
