"""The seam to chat models: one call with a deadline, limits that can be asked for, and what the call cost.

`docrag.models` implements it over any langchain-core ``BaseChatModel``; stages know only what stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from docrag.chat.messages import Message
from docrag.types import Usage, known_cost_usd

Role = Literal["answer", "inspect", "plan", "judge", "rerank"]
"""What a model is asked for; every role defaults to one model and can have its own."""

ROLES: tuple[Role, ...] = ("answer", "inspect", "plan", "judge", "rerank")

Finish = Literal["stop", "length", "refusal"]


def never() -> bool:
    """Say that nobody has cancelled."""
    return False


def ignore_token(_text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Request:
    """How one call is to be made.

    `schema` is a JSON Schema that the reply should follow; servers that can enforce it do. `timeout_s` bounds
    the whole call, retries included. `n_logprobs` asks for the most likely first tokens. `cancelled` is
    polled; when it turns true the call ends with `docrag.errors.Cancelled`.
    """

    schema: Mapping[str, Any] | None = None
    schema_name: str = "reply"
    max_output_tokens: int | None = None
    timeout_s: float | None = None
    n_logprobs: int = 0
    cancelled: Callable[[], bool] = never
    on_token: Callable[[str], None] = ignore_token


@dataclass(frozen=True, slots=True)
class CallUsage:
    """What one call cost, failed tries included.

    `cost_usd` is None when it is not known: no price is configured, or the call failed.
    """

    elapsed_s: float = 0.0
    n_tries: int = 1
    n_input_tokens: int = 0
    n_output_tokens: int = 0
    n_cached_tokens: int = 0
    n_images: int = 0
    cost_usd: float | None = None


def total_usage(calls: Iterable[CallUsage], *, elapsed_s: float | None = None) -> Usage:
    """What several calls cost together; `elapsed_s` replaces the sum of their times, which may overlap."""
    made = tuple(calls)
    n_unpriced_calls = sum(call.cost_usd is None for call in made)
    return Usage(
        elapsed_s=sum(call.elapsed_s for call in made) if elapsed_s is None else elapsed_s,
        n_model_calls=len(made),
        n_input_tokens=sum(call.n_input_tokens for call in made),
        n_output_tokens=sum(call.n_output_tokens for call in made),
        n_images=sum(call.n_images for call in made),
        cost_usd=known_cost_usd((call.cost_usd for call in made), n_unpriced_calls=n_unpriced_calls),
        n_unpriced_calls=n_unpriced_calls,
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said.

    `first_logprobs` maps the likeliest first tokens to natural log-probabilities, None when the model gives
    none. `notes` says what was done to get a reply at all, such as a schema the server did not take.
    """

    text: str
    finish: Finish = "stop"
    usage: CallUsage = CallUsage()
    model: str = ""
    first_logprobs: Mapping[str, float] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What fits into one call: tokens of prompt and reply together, and pictures (0: text only).

    `reply_tokens` is the longest reply where a request does not say it. A model that `takes_turns` makes one
    call after the other, as one in this process does; several at a time would use up their timeouts waiting.
    """

    context_tokens: int = 32_768
    max_images: int = 50
    reply_tokens: int = 1_024
    takes_turns: bool = False


class Chat(Protocol):
    """A chat model, ready to use; safe to call from several threads."""

    name: str
    limits: Limits

    def count_text(self, text: str) -> int:
        """Tokens of a text: exact where the tokenizer is at hand, else an estimate that errs upwards."""
        ...

    def count_image(self, width_px: int, height_px: int) -> int:
        """Tokens of a picture by the model's own resize rule."""
        ...

    def complete(self, messages: Sequence[Message], request: Request) -> Reply:
        """Continue the conversation.

        Raises
        ------
        ModelUnavailable
            The endpoint cannot be reached, keeps failing, or ran past the deadline.
        ContextOverflow
            The prompt does not fit.
        ModelError
            The endpoint refuses the key, the model's name, or pictures, or replies with what is no reply.
        Cancelled
            The request was cancelled.
        """
        ...


@dataclass(frozen=True, slots=True)
class Chats:
    """The chat model of every role: `default` where `roles` names none."""

    default: Chat
    roles: Mapping[Role, Chat] = field(default_factory=dict[Role, Chat])

    def of(self, role: Role) -> Chat:
        """Return the model of a role."""
        return self.roles.get(role, self.default)
