"""A search plan: the texts that retrievers are given for one question, and where each may look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from docrag.chat.events import SILENCE, Listener
from docrag.chat.model import CallUsage
from docrag.types import Query, RegionKind

ORIGINAL = "question"
"""Label of the question as it was asked."""


@dataclass(frozen=True, slots=True)
class SubQuery:
    """One text to search for. None for `retrievers` is all of them, None for `kinds` all of every page.

    `not_for` names retrievers that are given another text in its place. `label` says where it comes from;
    labels differ within a plan.
    """

    text: str
    label: str = ORIGINAL
    retrievers: tuple[str, ...] | None = None
    not_for: tuple[str, ...] = ()
    kinds: tuple[RegionKind, ...] | None = None
    weight: float = 1.0

    def serves(self, retriever: str) -> bool:
        """Whether this retriever is given it."""
        return retriever not in self.not_for and (self.retrievers is None or retriever in self.retrievers)

    def as_query(self, query: Query) -> Query:
        """`query` with this text, seeing these kinds of those that it may see."""
        kinds = query.scope.kinds
        if self.kinds is not None:
            kinds = tuple(kind for kind in self.kinds if kinds is None or kind in kinds)
        return replace(query, text=self.text, scope=replace(query.scope, kinds=kinds))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is searched for. With `retrieve` false nothing is: the question needs no document.

    `fallback` is searched for instead when the sub-queries find nothing. `notes` say what was decided,
    `warnings` what failed; `usage` is what it cost.
    """

    queries: tuple[SubQuery, ...]
    fallback: tuple[SubQuery, ...] = ()
    retrieve: bool = True
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    usage: tuple[CallUsage, ...] = ()

    def noted(self, *notes: str, usage: Sequence[CallUsage] = ()) -> Plan:
        """Return the plan with something said about it."""
        return replace(self, notes=(*self.notes, *notes), usage=(*self.usage, *usage))

    def warned(self, warning: str) -> Plan:
        """Return the plan with a warning."""
        return replace(self, warnings=(*self.warnings, warning))


class Planner(Protocol):
    """One step of planning. A planner that fails leaves the plan as it was, with a warning."""

    name: str

    def revise(self, query: Query, plan: Plan, *, listener: Listener = SILENCE) -> Plan:
        """Return a plan for `query` that goes on from `plan`.

        When the listener calls the search off, calls of models that are under way are dropped, and
        `docrag.errors.Cancelled` is raised.
        """
        ...


def plan_for(query: Query, planners: Sequence[Planner], *, listener: Listener = SILENCE) -> Plan:
    """Let every planner revise the plan that searches for the question as asked."""
    plan = Plan((SubQuery(query.text),))
    for planner in planners:
        plan = planner.revise(query, plan, listener=listener)
        if not plan.retrieve:
            break
    return plan
