"""Keep one document from filling a result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from docrag.retrieve.cutoff.cut import Cut
from docrag.types import Fused


def cap_per_document(fused: Sequence[Fused], n: int) -> tuple[list[Fused], list[Cut]]:
    """Part a fused ranking into the first `n` units of every document and the others, both best first."""
    seen: Counter[str] = Counter()
    kept: list[Fused] = []
    cuts: list[Cut] = []
    for rank, place in enumerate(fused, 1):
        seen[place.unit.doc_id] += 1
        if seen[place.unit.doc_id] <= n:
            kept.append(place)
        else:
            cuts.append(Cut(place.unit, "fusion", rank, place.score, f"beyond the first {n} of its document"))
    return kept, cuts
