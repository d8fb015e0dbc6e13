"""One question being answered with models: its trace, evidence, budget and listener, and its calls."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import BaseModel

from docrag.answer.evidence import EvidenceLedger
from docrag.answer.trace import TraceBuilder
from docrag.chat.ask import reading_again, repair
from docrag.chat.budget import BudgetMeter, BudgetOptions
from docrag.chat.events import Event, Listener, StepEvent, TokenEvent
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


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that is yet to be made: the arguments of `Run.ask`."""

    role: Role
    messages: Sequence[Message]
    prompt: Prompt
    request: Request


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

    def part(self, cancelled: Callable[[], bool]) -> Run:
        """Return a part of the run with a trace and warnings of its own, for `take_in` to put in their place.

        Evidence, budget and listener are those of the run. Each part may make calls in a thread of its own.
        """
        part = copy.copy(self)
        part.trace = TraceBuilder()
        part.warnings = []
        part.listener = _ListenerOfPart(self.listener, cancelled)
        return part

    def take_in(self, part: Run) -> None:
        """Add what a part has traced and warned of."""
        self.trace.add(part.trace.build().steps)
        for warning in part.warnings:
            self.warn(warning)

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
        return self.make(Ask(role, messages, prompt, request or Request()))

    def at_most(self, ask: Ask) -> CallUsage:
        """What a call costs at most if its first try succeeds; the tokens of its prompt are estimated."""
        chat = self.chats.of(ask.role)
        images = images_of(ask.messages)
        n_tokens = sum(chat.count_text(message.text) for message in ask.messages)
        n_tokens += sum(chat.count_image(image.width_px, image.height_px) for image in images)
        return CallUsage(
            n_input_tokens=n_tokens,
            n_output_tokens=ask.request.max_output_tokens or chat.limits.reply_tokens,
            n_images=len(images),
        )

    def make(self, ask: Ask) -> Reply:
        """Make a call and record it; raises as `ask`."""
        self.check_cancelled()
        role, messages, prompt = ask.role, ask.messages, ask.prompt
        chat = self.chats.of(role)
        most = self.at_most(ask)
        self.meter.check(n_images=most.n_images, n_input_tokens=most.n_input_tokens)
        asked = replace(
            ask.request,
            timeout_s=_least(ask.request.timeout_s, self.meter.remaining_s),
            cancelled=self.listener.cancelled,
        )
        with self.trace.step(f"call {role}") as detail:
            detail |= {"model": chat.name, "prompt": prompt.name, "prompt_digest": prompt.digest}
            detail |= {"n_images": most.n_images, "n_prompt_tokens_estimated": most.n_input_tokens}
            try:
                reply = chat.complete(messages, asked)
            except DocragError as error:
                self.meter.charge(CallUsage(n_images=most.n_images))
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
        ask = Ask(role, messages, prompt, request_for(schema, on_token))
        return self.read(ask, self.make(ask), schema)

    def read(self, ask: Ask, reply: Reply, schema: type[T]) -> T:
        """Return what the reply to a call says in `schema`, else ask once more; raises as `ask_for`."""
        try:
            return parse_reply(reply.text, schema)
        except ModelFormatError as error:
            again = repair(ask.messages, reply.text, error)
        second = self.ask(ask.role, again, prompt=ask.prompt, request=request_for(schema))
        with reading_again(self.chats.of(ask.role).name):
            return parse_reply(second.text, schema)


def request_for(schema: type[BaseModel], on_token: Callable[[str], None] = ignore_token) -> Request:
    """Return the request for a reply that follows `schema`."""
    return Request(schema=schema.model_json_schema(), schema_name=schema.__name__, on_token=on_token)


class _ListenerOfPart:
    """The listener of a run, and what calls a part of it off."""

    def __init__(self, listener: Listener, cancelled: Callable[[], bool]) -> None:
        self.cancelled = cancelled
        self._listener = listener

    def on_event(self, event: Event) -> None:
        self._listener.on_event(event)


def _least(first: float | None, second: float | None) -> float | None:
    given = [value for value in (first, second) if value is not None]
    return min(given) if given else None
