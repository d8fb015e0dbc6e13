"""Plans of the last questions: answering one question searches several times, and models are asked once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from docrag.chat.events import SILENCE, Listener, StepEvent
from docrag.retrieve.query.plan import Plan, Planner, plan_for
from docrag.types import Query

N_PLANS = 64
"""Questions whose plan is remembered."""


class PlanMemory:
    """Plans for questions by their text; safe to use from several threads.

    A plan that carries a warning is made anew next time: the model may be back. A remembered plan costs
    nothing, and says so.
    """

    def __init__(self, planners: Sequence[Planner]) -> None:
        self._planners = tuple(planners)
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._lock = threading.Lock()

    def plan_for(self, query: Query, *, listener: Listener = SILENCE) -> Plan:
        """Return the remembered plan, or make one, which the listener hears."""
        if query.is_literal:
            return plan_for(query, ())
        with self._lock:
            plan = self._plans.get(query.text)
            if plan is not None:
                self._plans.move_to_end(query.text)
                return plan
        if self._planners:
            listener.on_event(StepEvent("query plan", "planning the query"))
        plan = plan_for(query, self._planners, listener=listener)
        if self._planners and not plan.warnings:
            with self._lock:
                self._plans[query.text] = replace(plan, usage=())
                while len(self._plans) > N_PLANS:
                    self._plans.popitem(last=False)
        return plan
