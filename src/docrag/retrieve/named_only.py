"""Take the pages, figures and tables that a question names for a filter, not for a hint."""

from __future__ import annotations

from collections.abc import Sequence

from docrag.retrieve.cutoff.cut import Cut
from docrag.retrieve.reference_boost import CAPTION_LIFT, ReferenceBoost
from docrag.types import Fused

REASON = "not on a page, or by a figure or table, that the question names"


def named_only(fused: Sequence[Fused]) -> tuple[list[Fused], list[Cut]]:
    """Part a ranking into what `ReferenceBoost` lifted as named and the rest, both best first.

    A section is no filter: its heading is named, and what is asked may stand before or after. When nothing
    that is named was found, everything is kept: a wrong page number must not empty the result.
    """

    def is_named(place: Fused) -> bool:
        lift = place.sources.get(ReferenceBoost.name)
        return lift is not None and lift.score >= CAPTION_LIFT

    if not any(map(is_named, fused)):
        return list(fused), []
    kept = [place for place in fused if is_named(place)]
    cuts = [
        Cut(place.unit, "fusion", rank, place.score, REASON)
        for rank, place in enumerate(fused, 1)
        if not is_named(place)
    ]
    return kept, cuts
