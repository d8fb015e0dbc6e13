"""`docrag.chat.model.Chat` over any langchain-core chat model: tries, deadline, cancellation, cost."""

from __future__ import annotations

import contextvars
import random
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk

from docrag.chat.messages import Message, images_of
from docrag.chat.model import CallUsage, Limits, Reply, Request
from docrag.errors import ModelUnavailable
from docrag.models.bounded import BoundedChatModel
from docrag.models.call import Call, DeadlinePassed, Mailbox
from docrag.models.convert import Received, to_langchain, without_images
from docrag.models.faults import FeatureRefused, ImagesRefused, TransientFault, fault_of
from docrag.models.image_tokens import CountImage, upper_estimate
from docrag.models.options import PriceOptions
from docrag.models.text_tokens import estimate_tokens

COUNTED_TEXTS = 64
"""Texts whose number of tokens is remembered."""

MAX_TRIES = 3
"""Requests in one call, those included that are repeated without a part that the server refused."""


class ModelChat:
    """A chat model, ready to use; safe to call from several threads.

    docrag's own models end at the deadline and when they are called off. A model of another package cannot
    be interrupted: it runs in a daemon thread which is left to itself then, and what it still says is
    thrown away.

    A model that refuses pictures is asked again without them, with a note in the reply, and gets none from
    then on; `limits` says so, too.

    Parameters
    ----------
    name
        What messages and traces call the model.
    max_tries
        Tries of a call in which the endpoint fails, 1 to 3.
    timeout_s
        Time of a whole call that does not bring its own, None for no limit.
    pause
        Waits between two tries; the default keeps to the deadline and to cancellation.
    """

    def __init__(
        self,
        model: BaseChatModel,
        *,
        name: str = "",
        limits: Limits | None = None,
        max_tries: int = MAX_TRIES,
        max_output_tokens: int | None = None,
        timeout_s: float | None = None,
        price: PriceOptions | None = None,
        count_text: Callable[[str], int] = estimate_tokens,
        count_image: CountImage = upper_estimate,
        pause: Callable[[Call, float], None] = Call.pause,
    ) -> None:
        if not 1 <= max_tries <= MAX_TRIES:
            raise ValueError(f"max_tries is {max_tries}, expected 1 to {MAX_TRIES}")
        self.model = model
        self.name = name or type(model).__name__
        self.limits = limits if limits is not None else Limits()
        self._max_tries = max_tries
        self._max_output_tokens = max_output_tokens
        self._timeout_s = timeout_s
        self._price = price
        # A prompt is counted before it is sent, and again where the server does not say its cost.
        self._count_text = lru_cache(maxsize=COUNTED_TEXTS)(count_text)
        self._count_image = count_image
        self._pause = pause

    def count_text(self, text: str) -> int:
        """Tokens of a text: exact where the tokenizer is at hand, else an estimate that errs upwards."""
        return self._count_text(text)

    def count_image(self, width_px: int, height_px: int) -> int:
        """Tokens of a picture by the model's own resize rule, or an estimate that errs upwards."""
        return self._count_image(width_px, height_px)

    def close(self) -> None:
        """Let go of the model's connections and memory, where it has a way to."""
        if isinstance(self.model, BoundedChatModel):
            self.model.close()

    def complete(self, messages: Sequence[Message], request: Request) -> Reply:
        """Continue the conversation; see `docrag.chat.model.Chat.complete` for what it raises."""
        start_s = time.monotonic()
        call = self._call(request, start_s)
        said = _Teller(request.on_token)
        notes: list[str] = []
        n_tries = n_faults = n_images_sent = 0
        if self.limits.max_images == 0 and images_of(messages):
            messages = self._drop_images(messages, notes)
        while True:
            n_tries += 1
            n_images = len(images_of(messages))
            n_images_sent += n_images
            try:
                received = self._once(messages, call, said)
                break
            except ImagesRefused:
                if n_tries == MAX_TRIES or not n_images:
                    raise
                self.limits = replace(self.limits, max_images=0)
                messages = self._drop_images(messages, notes)
            except FeatureRefused:
                if n_tries == MAX_TRIES:
                    raise
            except TransientFault as fault:
                n_faults += 1
                if n_tries == MAX_TRIES or n_faults == self._max_tries:
                    raise ModelUnavailable(f"{fault}; gave up after {_times(n_tries)}") from fault
                self._wait(call, fault, n_faults)
            except DeadlinePassed as error:
                raise DeadlinePassed(
                    f"{self.name}: {error}, {_times(n_tries)}; raise timeout_s, or send less"
                ) from error
        usage = self._usage(messages, received, n_tries, n_images_sent, time.monotonic() - start_s)
        notes += [note for note in received.notes if note not in notes]
        return Reply(
            text=received.text,
            finish=received.finish,
            usage=usage,
            model=received.model or self.name,
            first_logprobs=received.first_logprobs,
            notes=tuple(notes),
        )

    def _call(self, request: Request, start_s: float) -> Call:
        given = [s for s in (request.timeout_s, self._timeout_s) if s is not None]
        timeout_s = min(given) if given else None
        return Call(
            schema=request.schema,
            schema_name=request.schema_name,
            max_output_tokens=request.max_output_tokens or self._max_output_tokens,
            n_logprobs=request.n_logprobs,
            deadline=None if timeout_s is None else start_s + timeout_s,
            timeout_s=timeout_s,
            cancelled=request.cancelled,
        )

    def _drop_images(self, messages: Sequence[Message], notes: list[str]) -> list[Message]:
        n_images = len(images_of(messages))
        notes.append(f"{self.name} takes no pictures: {n_images} left out, only their text was sent")
        return without_images(messages)

    def _wait(self, call: Call, fault: TransientFault, n_faults: int) -> None:
        pause_s, remaining_s = fault.retry_after_s, call.remaining_s
        if pause_s is None:
            # Full jitter below 0.5, 1, … seconds, so that clients do not come back in step.
            pause_s = random.uniform(0, 0.5 * 2 ** (n_faults - 1))
            if remaining_s is not None:
                pause_s = min(pause_s, remaining_s / 2)
        elif remaining_s is not None and pause_s >= remaining_s:
            raise ModelUnavailable(
                f"{fault}; it asks to wait {pause_s:.3g} s, which is after the deadline (timeout_s)"
            ) from fault
        self._pause(call, pause_s)

    def _once(self, messages: Sequence[Message], call: Call, said: _Teller) -> Received:
        received = Received()
        said.start()
        # closing(): a stream that is left must end its request now, not when it is collected.
        with closing(self._stream(messages, call)) as chunks:
            for chunk in chunks:
                call.check()
                said.tell(received.add(chunk))
        return received

    def _stream(self, messages: Sequence[Message], call: Call) -> Generator[AIMessageChunk]:
        """Yield one try's chunks; raises docrag's errors, whatever the model raises."""
        conversation = to_langchain(messages)
        try:
            if isinstance(self.model, BoundedChatModel):
                yield from self.model.stream(conversation, call=call)
            else:
                yield from _in_thread(self.model, conversation, call)
        except Exception as error:
            fault = fault_of(error, where=self.name, n_images=len(images_of(messages)))
            if fault is error:
                raise
            raise fault from error

    def _usage(
        self, messages: Sequence[Message], received: Received, n_tries: int, n_images: int, elapsed_s: float
    ) -> CallUsage:
        n_input, n_output = received.n_input_tokens, received.n_output_tokens
        if not n_input:  # the server did not say
            n_input = sum(self.count_text(message.text) for message in messages)
            n_input += sum(self.count_image(i.width_px, i.height_px) for i in images_of(messages))
        if not n_output:
            n_output = self.count_text(received.text)
        n_cached = min(received.n_cached_tokens, n_input)
        price = self._price
        return CallUsage(
            elapsed_s=elapsed_s,
            n_tries=n_tries,
            n_input_tokens=n_input,
            n_output_tokens=n_output,
            n_cached_tokens=n_cached,
            n_images=n_images,
            cost_usd=None
            if price is None
            else cost_usd(price, n_input=n_input, n_cached=n_cached, n_output=n_output),
        )


def _times(n_tries: int) -> str:
    return "1 try" if n_tries == 1 else f"{n_tries} tries"


class _Teller:
    """Passes pieces on as they come; a repeated try says only what goes on from what was heard.

    When it goes on differently, no more is told: what was said cannot be taken back, and the reply counts.
    """

    def __init__(self, on_token: Callable[[str], None]) -> None:
        self._on_token = on_token
        self._told: list[str] = []
        self.start()

    def start(self) -> None:
        """A try begins."""
        self._heard = "".join(self._told)
        self._position = 0
        self._goes_on = True

    def tell(self, piece: str) -> None:
        """Pass the next piece on, as far as it is new."""
        heard = self._heard[self._position : self._position + len(piece)]
        self._position += len(piece)
        self._goes_on = self._goes_on and piece.startswith(heard)
        new = piece[len(heard) :]
        if self._goes_on and new:
            self._told.append(new)
            self._on_token(new)


def _in_thread(model: BaseChatModel, messages: Sequence[Any], call: Call) -> Iterator[AIMessageChunk]:
    """Yield what a model of another package streams, which is left to itself at the deadline."""
    mailbox: Mailbox[Any] = Mailbox()
    left = threading.Event()
    arguments: dict[str, Any] = {}
    if call.max_output_tokens is not None and getattr(model, "max_tokens", 0) is None:
        arguments["max_tokens"] = call.max_output_tokens  # most have this argument; a configured one stays

    def work() -> None:
        try:
            for chunk in model.stream(list(messages), **arguments):
                if left.is_set():
                    return
                mailbox.put(chunk)
        except BaseException as error:
            mailbox.finish(error)
        else:
            mailbox.finish()

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="docrag-model", daemon=True).start()
    try:
        yield from mailbox.receive(call)
    finally:
        left.set()


def cost_usd(price: PriceOptions, *, n_input: int, n_cached: int, n_output: int) -> float:
    """US dollars of a call; cached tokens are among the input tokens."""
    cached_usd = price.input_usd if price.cached_input_usd is None else price.cached_input_usd
    return (
        (n_input - n_cached) * price.input_usd + n_cached * cached_usd + n_output * price.output_usd
    ) / 1e6
