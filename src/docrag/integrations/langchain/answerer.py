"""`DocragAnswerer`: a runnable from a question to a message with verified citations."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForChainRun,
    CallbackManagerForChainRun,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import ConfigDict

from docrag.chat.events import AnswerEvent, Event, StepEvent, TokenEvent
from docrag.errors import UsageError
from docrag.integrations.langchain.messages import answer_message
from docrag.pipeline import DocRAG
from docrag.types import Scope

AnswererInput = str | PromptValue | Sequence[BaseMessage] | dict[str, Any]
"""A question; messages, of which a person's last is asked; or ``{"question": …, "scope": Scope(…)}``."""

STEP_EVENT = "docrag_step"
"""Custom event with ``name`` and ``message`` of a step that begins."""

TOKEN_EVENT = "docrag_token"
"""Custom event with the next ``text`` of the answer, before its citations are verified."""


class DocragAnswerer(RunnableSerializable[AnswererInput, AIMessage]):
    """Answers questions from an index; see `answer_message` for what the message holds.

    The message comes in one piece, since its citations are verified at the end. Steps and tokens come before
    it as custom events, which ``astream_events`` passes on. Cancelling the awaiting task calls the run off.
    With `keep_trace`, answers can be replayed by the ``trace_id`` of the message.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    rag: DocRAG
    scope: Scope = Scope()
    keep_trace: bool = False

    def invoke(
        self,
        input: AnswererInput,
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401 - LangChain's signature
    ) -> AIMessage:
        """Answer one question."""
        return self._call_with_config(self._answer, input, config, **kwargs)

    async def ainvoke(
        self,
        input: AnswererInput,
        config: RunnableConfig | None = None,
        **kwargs: Any,  # noqa: ANN401 - LangChain's signature
    ) -> AIMessage:
        """`invoke` for an event loop."""
        return await self._acall_with_config(self._aanswer, input, config, **kwargs)

    def _answer(
        self, given: AnswererInput, run_manager: CallbackManagerForChainRun, config: RunnableConfig
    ) -> AIMessage:
        question, scope = self._question(given)
        listener = _Dispatcher(config)
        answer = self.rag.ask(question, scope=scope, listener=listener, keep_trace=self.keep_trace)
        return answer_message(answer)

    async def _aanswer(
        self, given: AnswererInput, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig
    ) -> AIMessage:
        question, scope = self._question(given)
        async with aclosing(self.rag.astream(question, scope=scope, keep_trace=self.keep_trace)) as events:
            async for event in events:
                if isinstance(event, AnswerEvent):
                    return answer_message(event.answer)
                name, data = custom_event(event)
                await adispatch_custom_event(name, data, config=config)
        raise AssertionError("a stream ends with its answer")

    def _question(self, given: AnswererInput) -> tuple[str, Scope]:
        if isinstance(given, str):
            return given, self.scope
        if isinstance(given, dict):
            question, scope = given.get("question"), given.get("scope", self.scope)
            if not isinstance(question, str) or not isinstance(scope, Scope):
                raise UsageError(
                    f'got {given!r:.200}, expected {{"question": text}}, and "scope" a docrag.Scope'
                )
            return question, scope
        messages = given.to_messages() if isinstance(given, PromptValue) else list(given)
        asked = [message for message in messages if isinstance(message, HumanMessage)]
        if not asked:
            raise UsageError(f"there is no question among {len(messages)} messages; add a HumanMessage")
        return str(asked[-1].text), self.scope


def custom_event(event: Event) -> tuple[str, dict[str, Any]]:
    """Name and data of the custom event for what a listener hears before the answer."""
    match event:
        case StepEvent(name, message):
            return STEP_EVENT, {"name": name, "message": message}
        case TokenEvent(text):
            return TOKEN_EVENT, {"text": text}
        case AnswerEvent():
            raise ValueError("the answer is the result, not an event")


class _Dispatcher:
    """A listener that hands events to LangChain's callbacks, in the thread that answers."""

    def __init__(self, config: RunnableConfig) -> None:
        self._config = config

    def on_event(self, event: Event) -> None:
        name, data = custom_event(event)
        dispatch_custom_event(name, data, config=self._config)

    def cancelled(self) -> bool:
        return False
