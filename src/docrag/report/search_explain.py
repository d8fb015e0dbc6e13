"""How a search came about, in words and numbers that a template can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from docrag.report.printable import one_line
from docrag.report.shapes import cost_text
from docrag.retrieve.cutoff.cut import Cut
from docrag.retrieve.query.plan import Plan
from docrag.retrieve.stage import SearchResult
from docrag.types import Fused, Hit, SourceScore, TraceStep, UnitRef

N_NEXT = 10
"""Units shown of those that came after the hits."""

N_CUT = 10
"""Units shown of those cut from one ranking."""

MAX_TEXT = 400
"""Longest text of a detail that is shown whole."""


def explanation(result: SearchResult) -> dict[str, Any]:
    """Everything about a search but its pictures: what was searched for, ranked and cut, and the times."""
    names = source_names(result)
    shown = {hit.unit for hit in result.hits}
    later = [place for place in result.fused if place.unit not in shown][:N_NEXT]
    ranks = {place.unit: rank for rank, place in enumerate(result.fused, 1)}
    return {
        "sources": names,
        "n_retrievers": sum(name in result.rankings for name in names),
        "rankings": {name: len(ranking) for name, ranking in result.rankings.items()},
        "rows": [_row(hit, names, result) for hit in result.hits],
        "next": [{"rank": ranks[place.unit], **_row(place, names, result)} for place in later],
        "n_ranked": len(result.fused),
        "cuts": _cuts(result.cuts),
        "steps": _steps(result.steps),
        "total_ms": sum(step.elapsed_s for step in result.steps) * 1000,
        "plan": _plan(result.plan, result.query.text),
        "usage": result.usage,
        "cost": cost_text(result.usage),
    }


def source_names(result: SearchResult) -> list[str]:
    """Retrievers in their order, then what lifted or reranked units, in the order of the steps."""
    known = {name for place in (*result.hits, *result.fused) for name in place.sources}
    steps = [step.name for step in result.steps if step.name in known]
    names = dict.fromkeys([*result.rankings, *steps, *sorted(known)])
    return list(names)


def detail_values(detail: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Names and values of a step's detail, whatever it holds: each value is one text or several.

    Examples
    --------
    >>> detail_values({"n_units": 3, "p_yes": 0.25, "searched": ["a", "b"], "by": {"first": 1}})
    [('units', ['3']), ('p yes', ['0.25']), ('searched', ['a', 'b']), ('by', ['first: 1'])]
    """
    return [(name.removeprefix("n_").replace("_", " "), _texts(value)) for name, value in detail.items()]


def _texts(value: object) -> list[str]:
    match value:
        case Mapping():
            items = cast("Mapping[object, object]", value).items()
            return [f"{key}: {', '.join(_texts(inner))}" for key, inner in items]
        case list() | tuple() | set() | frozenset():
            return [text for inner in cast("Sequence[object]", value) for text in _texts(inner)]
        case float():
            return [f"{value:.4g}"]
        case _:
            return [one_line(str(value), limit=MAX_TEXT)]


def _row(place: Hit | Fused, names: Sequence[str], result: SearchResult) -> dict[str, Any]:
    """Where a unit is, its score, what fusion and every source gave it, and what it was cut from."""
    named = {"label": place.page_label, "kind": place.kind} if isinstance(place, Hit) else {}
    return {
        **_unit(place.unit),
        **named,
        "score": place.score,
        "fused": _source(result.as_fused.get(place.unit)),
        "sources": [_source(place.sources.get(name)) for name in names],
        "cuts": [cut for cut in result.cuts if cut.unit == place.unit],
    }


def _unit(unit: UnitRef) -> dict[str, Any]:
    return {
        "doc": unit.doc,
        "page_no": unit.page_no,
        "region": unit.chunk_no or None,
        "label": "",
        "kind": None,
    }


def _source(source: SourceScore | None) -> dict[str, Any] | None:
    return None if source is None else {"rank": source.rank, "score": source.score}


def _cuts(cuts: Sequence[Cut]) -> list[dict[str, Any]]:
    """What was cut, ranking by ranking: how many, and the first ones with their reasons."""
    by_ranking: dict[str, list[Cut]] = {}
    for cut in cuts:
        by_ranking.setdefault(cut.ranking, []).append(cut)
    return [
        {
            "ranking": name,
            "n": len(of),
            "first": [
                {**_unit(cut.unit), "rank": cut.rank, "score": cut.score, "reason": cut.reason}
                for cut in of[:N_CUT]
            ],
        }
        for name, of in by_ranking.items()
    ]


def _steps(steps: Sequence[TraceStep]) -> list[dict[str, Any]]:
    """Every step with its time, where it lies in the whole, from 0 to 1, and what it said."""
    total_s = sum(step.elapsed_s for step in steps) or 1.0
    found: list[dict[str, Any]] = []
    start_s = 0.0
    for step in steps:
        found.append(
            {
                "name": step.name,
                "ms": step.elapsed_s * 1000,
                "start": start_s / total_s,
                "share": step.elapsed_s / total_s,
                "detail": detail_values(step.detail),
            }
        )
        start_s += step.elapsed_s
    return found


def _plan(plan: Plan | None, question: str) -> dict[str, Any] | None:
    """What was searched for, None where that is the question as asked and nothing else is to be said."""
    if plan is None or (not plan.notes and [sub.text for sub in plan.queries] == [question]):
        return None
    return {
        "retrieve": plan.retrieve,
        "notes": plan.notes,
        "queries": [
            {
                "label": sub.label,
                "text": sub.text,
                "retrievers": ", ".join(sub.retrievers) if sub.retrievers is not None else "all",
                "not_for": ", ".join(sub.not_for),
                "kinds": ", ".join(sub.kinds) if sub.kinds is not None else "all of every page",
                "weight": sub.weight,
            }
            for sub in plan.queries
        ],
    }
