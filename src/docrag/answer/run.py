"""One question being answered with models: its trace, evidence, budget and listener, and its calls."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel

from docrag.answer.evidence import EvidenceLedger
from docrag.answer.trace import TraceBuilder
from docrag.chat.ask import reading_again, repair
from docrag.chat.budget import BudgetMeter, BudgetOptions
from docrag.chat.events import Listener, StepEvent, TokenEvent
from docrag.chat.fence import MakeMarker, random_marker
from docrag.chat.json_reply import parse_reply
from docrag.chat.messages import Message, images_of
from docrag.chat.model import CallUsage, Chats, Reply, Request, Role, ignore_token
from docrag.chat.prompts import Prompt, Prompts
from docrag.errors import BudgetExceeded, Cancelled, DocragError, ModelFormatError, ModelUnavailable
from docrag.types import Usage

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class RunParts:
    """What every run of an answerer with models is made from."""

    chats: Chats
    prompts: Prompts = field(default_factory=Prompts)
    budget: BudgetOptions = field(default_factory=BudgetOptions)
    make_marker: MakeMarker = random_marker

    def start(self, listener: Listener) -> Run:
        """Begin a run."""
        return Run(self, listener)


class Run:
    """What one question has seen, spent and said so far; used from one thread.

    `marker` fences document text in every prompt of the run. `warnings` go into the answer, and
    `search_usage` into its cost. `listener` is for searches: what happens here it hears by `step` and `say`.
    """

    def __init__(self, parts: RunParts, listener: Listener) -> None:
        self.chats = parts.chats
        self.prompts = parts.prompts
        self.meter = BudgetMeter(parts.budget)
        self.marker = parts.make_marker()
        self.trace = TraceBuilder()
        self.ledger = EvidenceLedger()
        self.warnings: list[str] = []
        self.search_usage: list[Usage] = []
        self.said = ""
        self.listener = listener
        self._looking: set[Role] = set()

    @contextmanager
    def step(self, name: str, message: str) -> Generator[dict[str, Any]]:
        """Announce and time a step; raises `docrag.errors.Cancelled` instead when the run is called off."""
        self.check_cancelled()
        self.listener.on_event(StepEvent(name, message))
        with self.trace.step(name) as detail:
            yield detail

    def check_cancelled(self) -> None:
        """Raise `docrag.errors.Cancelled` when the listener has called the run off."""
        if self.listener.cancelled():
            raise Cancelled("the question was called off")

    def shows_pictures_to(self, role: Role) -> None:
        """Remember that pictures of pages are shown to the model of a role."""
        self._looking.add(role)

    @property
    def saw_pictures(self) -> bool:
        """Whether any model was shown pictures of pages and took them; one that refused them takes none."""
        return any(self.chats.of(role).limits.max_images for role in self._looking)

    def warn(self, warning: str) -> None:
        """Add a warning to the answer, once."""
        if warning not in self.warnings:
            self.warnings.append(warning)

    def say(self, text: str) -> None:
        """Send a piece of the answer to the listener."""
        if text:
            self.said += text
            self.listener.on_event(TokenEvent(text))

    def say_rest(self, text: str) -> None:
        """Say what is missing of the finished answer; nothing where it turned out to be another."""
        if text.startswith(self.said):
            self.say(text[len(self.said) :])

    def ask(
        self, role: Role, messages: Sequence[Message], *, prompt: Prompt, request: Request | None = None
    ) -> Reply:
        """Make one call within the budget, and record it under the prompt's name and digest.

        Raises
        ------
        BudgetExceeded
            The call would pass a limit; it is not made.
        ModelError, Cancelled
            As `docrag.chat.model.Chat.complete`.
        """
        self.check_cancelled()
        chat = self.chats.of(role)
        images = images_of(messages)
        n_tokens = sum(chat.count_text(message.text) for message in messages)
        n_tokens += sum(chat.count_image(image.width_px, image.height_px) for image in images)
        self.meter.check(n_images=len(images), n_input_tokens=n_tokens)
        asked = request if request is not None else Request()
        asked = Request(
            schema=asked.schema,
            schema_name=asked.schema_name,
            max_output_tokens=asked.max_output_tokens,
            timeout_s=_least(asked.timeout_s, self.meter.remaining_s),
            n_logprobs=asked.n_logprobs,
            cancelled=self.listener.cancelled,
            on_token=asked.on_token,
        )
        with self.trace.step(f"call {role}") as detail:
            detail |= {"model": chat.name, "prompt": prompt.name, "prompt_digest": prompt.digest}
            detail |= {"n_images": len(images), "n_prompt_tokens_estimated": n_tokens}
            try:
                reply = chat.complete(messages, asked)
            except DocragError as error:
                self.meter.charge(CallUsage(n_images=len(images)))
                detail["error"] = str(error)
                if isinstance(error, ModelUnavailable) and self.meter.remaining_s == 0:
                    raise BudgetExceeded(
                        f"{self.meter.options.max_seconds:g} seconds are over (budget.max_seconds)"
                    ) from error
                raise
            self.meter.charge(reply.usage)
            detail |= {
                "reply": reply.text,
                "finish": reply.finish,
                "n_tries": reply.usage.n_tries,
                "n_input_tokens": reply.usage.n_input_tokens,
                "n_output_tokens": reply.usage.n_output_tokens,
                "n_cached_tokens": reply.usage.n_cached_tokens,
            }
            if reply.notes:
                detail["notes"] = list(reply.notes)
        for note in reply.notes:
            self.warn(note)
        return reply

    def ask_for(
        self,
        role: Role,
        messages: Sequence[Message],
        schema: type[T],
        *,
        prompt: Prompt,
        on_token: Callable[[str], None] = ignore_token,
    ) -> T:
        """Make a call whose reply follows `schema`; a reply that does not is returned once, with the fault.

        Raises `docrag.errors.ModelFormatError` when the second reply does not follow it either.
        """
        request = Request(schema=schema.model_json_schema(), schema_name=schema.__name__, on_token=on_token)
        reply = self.ask(role, messages, prompt=prompt, request=request)
        try:
            return parse_reply(reply.text, schema)
        except ModelFormatError as error:
            again = repair(messages, reply.text, error)
        quiet = Request(schema=request.schema, schema_name=request.schema_name)
        second = self.ask(role, again, prompt=prompt, request=quiet)
        with reading_again(self.chats.of(role).name):
            return parse_reply(second.text, schema)


def _least(first: float | None, second: float | None) -> float | None:
    given = [value for value in (first, second) if value is not None]
    return min(given) if given else None
