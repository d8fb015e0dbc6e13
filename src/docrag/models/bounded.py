"""The base of docrag's own chat models: they stream, keep to a deadline, and end when they are called off."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from docrag.models.call import Call

NO_LIMITS = Call()


class BoundedChatModel(BaseChatModel):
    """A chat model that takes a `Call`: ``model.stream(messages, call=Call(…))``.

    It makes one try; `docrag.models.client.ModelChat` counts tries and waits between them. The last chunk
    carries ``finish_reason``, and what else is known, in its ``response_metadata``.
    """

    @abstractmethod
    def stream_call(
        self, messages: list[BaseMessage], call: Call, stop: list[str] | None
    ) -> Iterator[AIMessageChunk]:
        """Yield the pieces of one reply; the last one has ``chunk_position="last"``."""

    def close(self) -> None:
        """Let go of connections and memory, where there are any; the model is not used again."""

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        call: Call = NO_LIMITS,
        **_more: Any,  # noqa: ANN401 (langchain's signature)
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self.stream_call(messages, call, stop):
            yield ChatGenerationChunk(message=chunk, generation_info=dict(chunk.response_metadata) or None)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ANN401 (langchain's signature)
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))
