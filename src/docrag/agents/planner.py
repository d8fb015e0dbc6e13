"""A planner that asks sub-questions, acts, reads what it found, and plans again (OmniSearch).

OmniSearch (Li et al. 2024, arXiv 2411.02937) lets a model plan, retrieve and re-plan in a loop of its own
making. Here the actions are typed and few, and the conversation only grows, so that a server's prefix cache
works. Whatever the model does, the loop ends: rounds are counted, a repeated call ends it, and so do actions
that are not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

from docrag.agents.options import PlannerOptions, ToolName
from docrag.agents.tools.calculate import CalculateTool
from docrag.agents.tools.desk import Desk
from docrag.agents.tools.read_page import ReadPageTool
from docrag.agents.tools.read_table import ReadTableTool
from docrag.agents.tools.search import SearchTool
from docrag.agents.tools.tool import Observation, Tool, ToolRefused
from docrag.agents.tools.zoom import ZoomTool
from docrag.agents.turn import AnswerArguments, Progress, Turn, described, schema_of, turn_of
from docrag.agents.writer import Writer, break_off, give
from docrag.answer.cited import Cited
from docrag.answer.context import Viewer
from docrag.answer.finish import Finisher
from docrag.answer.parts import AnswerParts
from docrag.answer.reply import CitedReply
from docrag.answer.run import Run
from docrag.chat.ask import KEPT_OF_BAD_REPLY
from docrag.chat.events import SILENCE, Listener
from docrag.chat.json_reply import parse_reply
from docrag.chat.messages import Message, assistant, system, user
from docrag.chat.model import Request
from docrag.errors import BudgetExceeded, ContextOverflow, DocragError, ModelError, ModelFormatError
from docrag.types import Abstention, Answer, Query

_KEPT_CALLS = 1
"""Calls kept back for the answer when calls are limited."""


@dataclass(slots=True)
class _Loop:
    """Where one question's loop stands."""

    run: Run
    query: Query
    tools: Sequence[Tool[Any]]
    messages: list[Message]
    progress: Progress = field(default_factory=Progress)
    read: dict[str, None] = field(default_factory=dict[str, None])
    draft: CitedReply | None = None


class _Stopped(NamedTuple):
    """What ended a loop without an answer, in words, and whether it was the budget."""

    why: str
    is_spent: bool = False


class PlannerAgent:
    """Plans, acts and answers; satisfies `docrag.protocols.Answerer`.

    It holds no state between questions and may be used from several threads.
    """

    def __init__(self, parts: AnswerParts, options: PlannerOptions | None = None) -> None:
        self._parts = parts
        self._options = options if options is not None else PlannerOptions()
        self._viewer = Viewer(parts.corpus, parts.pictures, self._options.context)
        self._finisher = Finisher(parts.corpus, unfinished=parts.unfinished)
        self._writer = Writer(parts.corpus, self._options.citing)

    def answer(self, query: Query, *, listener: Listener = SILENCE) -> Answer:
        """Answer with verified citations, or abstain with a reason."""
        run = self._parts.runs.start(listener)
        tools = self._tools(run, query)
        opening = run.prompts.get("planner").render(
            question=query.text,
            tools=described(tools),
            marker=run.marker,
            n_rounds=str(run.meter.options.max_rounds),
        )
        loop = _Loop(run, query, tools, [system(opening.system), user(opening.user)])
        try:
            ended = self._turns(loop)
            if isinstance(ended, CitedReply):
                return give(self._finisher, run, query, self._writer.verify(run, ended))
            return self._close(loop, ended)
        except DocragError as error:
            return break_off(self._finisher, run, query, error, self._best(loop))

    def _tools(self, run: Run, query: Query) -> list[Tool[Any]]:
        desk = Desk(run, self._parts.corpus, self._parts.search, viewer=self._viewer, scope=query.scope)
        every: dict[ToolName, Tool[Any]] = {
            "search": SearchTool(desk, n_pages=self._options.n_pages),
            "read_page": ReadPageTool(desk),
            "zoom": ZoomTool(desk),
            "read_table": ReadTableTool(desk),
            "calculate": CalculateTool(),
        }
        return [every[name] for name in dict.fromkeys(self._options.tools)]

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────

    def _turns(self, loop: _Loop) -> CitedReply | _Stopped:
        """Run turns until the model answers, or until something else ends them."""
        run, meter = loop.run, loop.run.meter
        turn_type = turn_of(loop.tools)
        request = Request(schema=schema_of(turn_type), schema_name="Turn")
        prompt = run.prompts.get("planner")
        while True:
            if not meter.rounds_left:
                rounds = f"all {meter.options.max_rounds} rounds are used (budget.max_rounds)"
                return _Stopped(rounds, is_spent=True)
            limit = meter.options.max_calls
            if limit is not None and limit - meter.usage.n_model_calls <= _KEPT_CALLS:
                calls = f"all {limit} model calls but the last are used (budget.max_calls)"
                return _Stopped(calls, is_spent=True)
            meter.start_round()
            try:
                # Only a turn that ends the loop has sentences in its action.
                stream = self._writer.stream(run, under=("action",))
                streamed = replace(request, on_token=stream.feed)
                reply = run.ask("plan", loop.messages, prompt=prompt, request=streamed)
            except (BudgetExceeded, ContextOverflow) as error:
                return _Stopped(str(error), is_spent=isinstance(error, BudgetExceeded))
            if reply.finish == "refusal":
                raise ModelError(f"{reply.model or 'the model'} refused to go on: {reply.text[:200]!r}")
            loop.messages.append(assistant(reply.text[:KEPT_OF_BAD_REPLY]))
            try:
                turn = parse_reply(reply.text, turn_type)
            except ModelFormatError as error:
                self._refuse(loop, "no action", str(error))
            else:
                if turn.answer_so_far is not None and turn.answer_so_far.answerable:
                    loop.draft = turn.answer_so_far
                if isinstance(turn.action, AnswerArguments):
                    return turn.action
                if loop.progress.repeats(turn.action):
                    with run.trace.step("repeated call") as detail:
                        detail |= {"action": turn.action.model_dump(mode="json", exclude_none=True)}
                    return _Stopped("the same step was asked for twice")
                self._act(loop, turn)
            if loop.progress.n_invalid_in_row > 1 or loop.progress.n_invalid > self._options.max_invalid:
                return _Stopped(f"{loop.progress.n_invalid} actions were asked for that are not possible")

    def _act(self, loop: _Loop, turn: Turn) -> None:
        """Do what a turn asks for, and put what is seen into the conversation."""
        action = cast(Any, turn.action)
        tool = next(tool for tool in loop.tools if tool.name == action.tool)
        loop.progress = loop.progress.with_call(action)
        try:
            with loop.run.step(f"tool {tool.name}", tool.announce(action)) as detail:
                detail |= {"arguments": action.model_dump(mode="json", exclude={"tool"}, exclude_none=True)}
                if turn.sub_question:
                    detail["sub_question"] = turn.sub_question
                seen: Observation = tool.run(action)
                detail["seen"] = seen.summary
        except ToolRefused as refusal:
            self._refuse(loop, tool.name, str(refusal))
            return
        loop.read.update(dict.fromkeys(seen.read))
        loop.messages.append(user(*seen.parts))
        loop.progress = loop.progress.with_result(is_invalid=False)

    def _refuse(self, loop: _Loop, what: str, why: str) -> None:
        """Tell the model that an action is not possible, and count it."""
        loop.progress = loop.progress.with_result(is_invalid=True)
        with loop.run.trace.step("invalid action") as detail:
            detail |= {"tool": what, "told": why, "n_invalid": loop.progress.n_invalid}
        loop.messages.append(
            user(f"That is not possible: {why}. Reply with one JSON object, another action.")
        )

    # ── the end of it ────────────────────────────────────────────────────────────────────────────────

    def _close(self, loop: _Loop, stopped: _Stopped) -> Answer:
        """Ask for an answer from what was read; when nothing was, or nothing fits, give what is known."""
        run, query = loop.run, loop.query
        run.warn(f"stopped early: {stopped.why}")
        reason = Abstention.BUDGET_SPENT if stopped.is_spent else None
        if not loop.read:
            best = self._best(loop)
            if best is not None:
                return give(self._finisher, run, query, best, is_partial=True)
            return self._finisher.abstain(run, query, reason)
        cited = self._last_answer(loop, stopped.why)
        if not cited.sentences:
            cited = self._best(loop) or cited
        if not cited.sentences:
            return self._finisher.abstain(run, query, reason)
        return give(self._finisher, run, query, cited, is_partial=True)

    def _last_answer(self, loop: _Loop, why: str) -> Cited:
        """Ask once more in the conversation, or, where that is too long by now, with the text read alone."""
        run = loop.run
        closing = run.prompts.get("planner_close")
        rendered = closing.render(question=loop.query.text, reason=f"The search has ended: {why}.")
        try:
            return self._writer.write(run, [*loop.messages, user(rendered.user)], prompt=closing)
        except (BudgetExceeded, ContextOverflow):
            prompt = run.prompts.get("planner_read")
            alone = prompt.render(question=loop.query.text, marker=run.marker)
            hits = [e.hit for e in run.ledger.issued if e.evidence_id in loop.read]
            context = self._viewer.show(run, hits, modality="text", beside=[system(alone.system)])
            return self._writer.write(run, [system(alone.system), context.message(alone.user)], prompt=prompt)

    def _best(self, loop: _Loop) -> Cited | None:
        """Return the model's answer so far, if something supports it."""
        if loop.draft is None or not self._writer.check(loop.run, loop.draft).is_supported:
            return None
        return self._writer.verify(loop.run, loop.draft)
