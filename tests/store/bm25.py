"""BM25 as Robertson and Zaragoza (2009) write it, for comparison: k1 = 1.2, b = 0.75."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

K = TypeVar("K")
K1, B = 1.2, 0.75


def bm25(query: Mapping[str, float], documents: Mapping[K, Sequence[str]]) -> dict[K, float]:
    """Score of every document that holds a query term; `query` maps terms to weights."""
    n = len(documents)
    mean_length = sum(map(len, documents.values())) / n if n else 0.0
    counts = {key: Counter(terms) for key, terms in documents.items()}
    n_with = {term: sum(term in count for count in counts.values()) for term in query}
    scores: dict[K, float] = {}
    for key, count in counts.items():
        norm = K1 * (1 - B + B * count.total() / mean_length) if mean_length else K1
        for term, weight in query.items():
            if term in count:
                idf = math.log(1 + (n - n_with[term] + 0.5) / (n_with[term] + 0.5))
                gain = idf * count[term] * (K1 + 1) / (count[term] + norm)
                scores[key] = scores.get(key, 0.0) + weight * gain
    return scores
