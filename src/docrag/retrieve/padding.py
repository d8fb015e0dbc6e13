"""Fill a cut result up to a round number of units, from what the cut-offs left (ViDoRAG's page grid)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from docrag.types import Fused, Scored, SourceScore, UnitRef


def padded(
    fused: Sequence[Fused],
    rankings: Mapping[str, Sequence[Scored]],
    grid: Sequence[int],
    *,
    without: Collection[UnitRef] = (),
) -> list[Fused]:
    """`fused` with units of the uncut `rankings` after it, up to the next number of `grid`.

    First come units that every ranking holds, in the order of the first one, then the rest of the first one,
    none of them among `without`: what filters took out, unlike what cut-offs did. An empty result stays
    empty, and one larger than the grid as it is. Scores go down by 1 from the lowest.
    """
    target = min((n for n in grid if n >= len(fused)), default=len(fused))
    sources = {
        name: {unit: SourceScore(place, score) for place, (unit, score) in enumerate(ranking, 1)}
        for name, ranking in rankings.items()
        if ranking
    }
    if not fused or not sources:
        return list(fused)
    first = next(iter(sources.values()))
    in_all = [unit for unit in first if all(unit in other for other in sources.values())]
    present = {*without, *(place.unit for place in fused)}
    extra = [unit for unit in dict.fromkeys([*in_all, *first]) if unit not in present]
    lowest = fused[-1].score
    return [
        *fused,
        *(
            Fused(unit, lowest - below, {name: of[unit] for name, of in sources.items() if unit in of})
            for below, unit in enumerate(extra[: target - len(fused)], 1)
        ),
    ]
