"""Twenty-five ways for an endpoint to fail, at each of the first four calls of a loop.

Every case ends in an answer, an honest partial answer or a typed error: within the deadline, after at most
three requests a call, and with no other exception.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict
from tests.models.fault_server import Behaviour, Exchange, FaultServer, chunk, say, whole

from docrag.answer.run import Run, RunParts
from docrag.chat.events import SILENCE
from docrag.chat.messages import ImagePart, assistant, system, user
from docrag.chat.model import Chats
from docrag.chat.prompts import parse_prompt
from docrag.errors import ContextOverflow, DocragError, ModelError, ModelFormatError, ModelUnavailable

pytestmark = pytest.mark.loopback

N_STEPS = 4
TIMEOUT_S = 5.0
SHORT_S = 0.3  # for servers that would keep a call waiting
PICTURE = ImagePart(b"\x89PNG", "image/png", 40, 30, label="E1")
PAGE_TEXT = "Revenue rose to 5.3 million. " * 100  # 2.9 kB, an ordinary page
PROMPT = parse_prompt(
    "loop", "---\ndescription: a step\nvariables: []\n---\n# user\nWhat next?\n", source="here"
)


class Step(BaseModel):
    """What the model decides in one turn of the loop."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["search", "answer"]
    argument: str


def step(action: str, argument: str) -> str:
    return json.dumps({"action": action, "argument": argument})


# ── the faults ───────────────────────────────────────────────────────────────────────────────────────────


def slow_header(exchange: Exchange) -> None:
    exchange.drip(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200)


def slow_body(exchange: Exchange) -> None:
    exchange.open_stream()
    exchange.event(chunk({"content": "{"}))
    exchange.drip(b": wait\n\n")


def status(code: int, message: str, **headers: str) -> Behaviour:
    return lambda exchange: exchange.send(code, {"error": {"message": message}}, **headers)


def image_refused(exchange: Exchange) -> None:
    if "image_url" in json.dumps(exchange.body):
        exchange.send(400, {"error": {"message": "tiny is not a multimodal model"}})
    else:
        exchange.stream(step("search", "from the text alone"))


def empty_choices(exchange: Exchange) -> None:
    exchange.send(200, {"model": "served", "choices": []})


def broken_json(exchange: Exchange) -> None:
    exchange.stream('{"action": "search", "argument": "rev')


def cut_mid_token(exchange: Exchange) -> None:
    exchange.open_stream()
    exchange.event(chunk({"content": '{"action": "sea'}))
    exchange.raw(b'data: {"choices": [{"delta": {"con')
    exchange.drop()


def no_done(exchange: Exchange) -> None:
    exchange.open_stream()
    exchange.event(chunk({"content": step("search", "without a last word")}))


def duplicate_chunks(exchange: Exchange) -> None:
    exchange.open_stream()
    text = step("search", "twice")
    for start in range(0, len(text), 7):
        piece = text[start : start + 7]
        exchange.event(chunk({"content": piece}))
        exchange.event(chunk({"content": piece}))
    exchange.event(chunk({}, finish_reason="stop"))
    exchange.event(chunk({}, finish_reason="stop"))
    exchange.event(b"[DONE]")
    exchange.event(b"[DONE]")


def invalid_utf8(exchange: Exchange) -> None:
    exchange.open_stream()
    text = json.dumps(chunk({"content": step("search", "caf@")}, finish_reason="stop")).encode()
    exchange.event(text.replace(b"@", b"\xe9"))  # é in Latin-1
    exchange.event(b"[DONE]")


def html_page(exchange: Exchange) -> None:
    page = b"<!doctype html><html><title>Sign in</title><body>hotel network</body></html>"
    exchange.send(200, page, content_type="text/html")


def tool_calls_without_end(exchange: Exchange) -> None:
    exchange.open_stream()
    for i in range(500):
        call = {
            "index": i,
            "id": f"c{i}",
            "type": "function",
            "function": {"name": "search", "arguments": "{}"},
        }
        exchange.event(chunk({"content": None, "tool_calls": [call]}))
    exchange.event(chunk({}, finish_reason="tool_calls"))
    exchange.event(b"[DONE]")


def refusal(exchange: Exchange) -> None:
    exchange.open_stream()
    exchange.event(chunk({"refusal": "I cannot help with that."}))
    exchange.event(chunk({}, finish_reason="content_filter"))
    exchange.event(b"[DONE]")


@dataclass(frozen=True)
class Fault:
    """What a server does from one step on, and what the caller of that step sees: None for a usable reply.

    `n_requests` is how many requests the faulty call makes; a reply that does not follow the format is asked
    for once more, in a call of its own.
    """

    behaviour: Behaviour
    error: type[DocragError] | None
    n_requests: int = 1
    message: str | None = None
    warnings: tuple[str, ...] = ()
    timeout_s: float = TIMEOUT_S


EVERY_ID = step("answer", " ".join(f"[E{i}]" for i in range(1, 200)))
UNAVAILABLE = "gave up after 3 tries"
FAULTS = {
    # "refused connection" stands below: it needs a server that is not there
    "slow header": Fault(slow_header, ModelUnavailable, 1, "no complete reply within", timeout_s=SHORT_S),
    "slow body": Fault(slow_body, ModelUnavailable, 1, "no complete reply within", timeout_s=SHORT_S),
    "429 with Retry-After": Fault(
        status(429, "slow down", retry_after="30"), ModelUnavailable, 1, "after the deadline"
    ),
    "500": Fault(status(500, "oops"), ModelUnavailable, 3, UNAVAILABLE),
    "502": Fault(status(502, "bad gateway"), ModelUnavailable, 3, UNAVAILABLE),
    "503": Fault(status(503, "overloaded"), ModelUnavailable, 3, UNAVAILABLE),
    "context overflow": Fault(
        status(400, "This model's maximum context length is 4096 tokens"), ContextOverflow, 1, "does not fit"
    ),
    "401": Fault(status(401, "bad key"), ModelError, 1, "refuses the key"),
    "unknown model": Fault(status(404, "The model `tiny` does not exist."), ModelError, 1, "check model"),
    "image refused": Fault(image_refused, None, 2, warnings=("takes no pictures",)),
    "empty choices": Fault(empty_choices, ModelUnavailable, 3, "no choices"),
    "null content": Fault(lambda exchange: exchange.send(200, whole(None)), ModelFormatError, 2, "no JSON"),
    "broken JSON": Fault(broken_json, ModelFormatError, 2, "no JSON"),
    "unknown tool": Fault(say(step("format_disk", "/")), ModelFormatError, 2, "action"),
    "wrong types": Fault(say('{"action": "search", "argument": 7}'), ModelFormatError, 2, "argument"),
    "1 MB argument": Fault(
        lambda exchange: exchange.stream(step("search", "x" * 10**6), n_chars=10**4),
        ModelFormatError, 2, "characters",
    ),
    "stream cut mid-token": Fault(cut_mid_token, ModelUnavailable, 3, UNAVAILABLE),
    "no [DONE]": Fault(no_done, ModelUnavailable, 3, "broke off"),
    "duplicate chunks": Fault(duplicate_chunks, ModelFormatError, 2, "no JSON"),
    "invalid UTF-8": Fault(invalid_utf8, None, 1, warnings=("no UTF-8",)),
    "HTML page": Fault(html_page, ModelError, 1, "HTML page: Sign in"),
    "endless tool calls": Fault(
        tool_calls_without_end, ModelFormatError, 2, "no JSON", warnings=("the tool search",)
    ),
    "refusal": Fault(refusal, ModelFormatError, 2, "no JSON"),
    "wrong language": Fault(say("我无法回答这个问题。"), ModelFormatError, 2, "no JSON"),
    "empty answer": Fault(say(""), ModelFormatError, 2, "no JSON"),
    "citation of everything": Fault(say(EVERY_ID), None, 1),
}  # fmt: skip


def drive(run: Run) -> list[Step]:
    """An append-only loop of four turns over one page."""
    messages = [system("You search documents."), user("The question, and a page:", PAGE_TEXT, PICTURE)]
    steps: list[Step] = []
    for _ in range(N_STEPS):
        steps.append(run.ask_for("plan", messages, Step, prompt=PROMPT))
        messages += [assistant(steps[-1].model_dump_json()), user("Found nothing. Go on.")]
    return steps


def run_on(chat: Any) -> Run:
    return RunParts(Chats(chat)).start(SILENCE)


@pytest.mark.parametrize("at", range(1, N_STEPS + 1), ids=lambda at: f"step{at}")
@pytest.mark.parametrize("name", FAULTS)
def test_a_lasting_fault_ends_in_an_answer_or_a_typed_error(
    name: str, at: int, server: FaultServer, make_chat: Callable[..., Any]
):
    fault = FAULTS[name]
    good = [say(step("search", f"turn {n}")) for n in range(1, at)]
    server.reset(*good, fault.behaviour)
    run = run_on(make_chat(timeout_s=fault.timeout_s))
    start_s = time.monotonic()
    if fault.error is None:
        assert len(drive(run)) == N_STEPS
        n_more = N_STEPS - at  # the fault lasts, and what it taught is remembered
        assert len(server.bodies) == at - 1 + fault.n_requests + n_more
    else:
        with pytest.raises(fault.error, match=fault.message) as caught:
            drive(run)
        assert type(caught.value) is fault.error or isinstance(caught.value, ModelUnavailable)
        assert len(server.bodies) == at - 1 + fault.n_requests
    n_calls = at + (fault.error is ModelFormatError)
    assert time.monotonic() - start_s < n_calls * fault.timeout_s + 2
    assert run.meter.usage.n_model_calls >= at
    for expected in fault.warnings:
        assert any(expected in warning for warning in run.warnings)


@pytest.mark.parametrize("at", range(1, N_STEPS + 1), ids=lambda at: f"step{at}")
def test_a_server_that_goes_away_is_unavailable(at: int, make_chat: Callable[..., Any]):
    from tests.models.fault_server import fault_server

    with fault_server() as server:
        server.reset(*[say(step("search", "x"))] * max(1, at - 1))
        run = run_on(make_chat(base_url=server.url, timeout_s=TIMEOUT_S))
        messages = [user("?")]
        for _ in range(at - 1):
            run.ask_for("plan", messages, Step, prompt=PROMPT)
    with pytest.raises(ModelUnavailable, match=r"ConnectError.*gave up after 3 tries"):
        run.ask_for("plan", messages, Step, prompt=PROMPT)


PASSING = [
    "429 at once", "500", "502", "503", "empty choices", "stream cut mid-token", "no [DONE]", "broken JSON",
    "unknown tool", "wrong types", "duplicate chunks", "null content", "refusal", "wrong language",
    "empty answer", "endless tool calls", "1 MB argument",
]  # fmt: skip


@pytest.mark.parametrize("at", range(1, N_STEPS + 1), ids=lambda at: f"step{at}")
@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_costs_a_request_and_no_more(
    name: str, at: int, server: FaultServer, make_chat: Callable[..., Any]
):
    once = status(429, "", retry_after="0") if name == "429 at once" else FAULTS[name].behaviour
    good = [say(step("search", f"turn {n}")) for n in range(1, N_STEPS + 1)]
    server.reset(*good[: at - 1], once, *good[at - 1 :])
    steps = drive(run_on(make_chat(timeout_s=10)))
    assert [one.argument for one in steps] == [f"turn {n}" for n in range(1, N_STEPS + 1)]
    assert len(server.bodies) == N_STEPS + 1


def test_all_twenty_five_faults_are_here():
    assert len(FAULTS) + 1 == 27  # 500, 502 and 503 are one of the twenty-five


# ── a server's prefix cache ──────────────────────────────────────────────────────────────────────────────


def shared_share(before: bytes, after: bytes) -> float:
    """Share of `after` that `before` begins with, too."""
    n = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before))
    return n / len(after)


def test_an_append_only_loop_sends_what_it_sent_before_first(
    server: FaultServer, make_chat: Callable[..., Any]
):
    server.reset(say(step("search", "revenue 2023")))
    drive(run_on(make_chat()))
    assert len(server.bodies) == N_STEPS
    shares = [shared_share(before, after) for before, after in pairwise(server.bodies)]
    assert min(shares) >= 0.6
    conversations = [json.dumps(body["messages"]) for body in server.requests]
    for before, after in pairwise(conversations):
        assert after.startswith(before.removesuffix("]"))


def test_equal_conversations_give_equal_bytes(server: FaultServer, make_chat: Callable[..., Any]):
    for _ in range(2):  # two clients: nothing of the first may leak into the second
        picture = ImagePart(bytes(range(256)), "image/jpeg", 40, 30, label="E1")
        run = run_on(make_chat())
        server.behaviours = [say(step("search", "x"))]
        run.ask_for("plan", [system("Ü"), user("look", picture)], Step, prompt=PROMPT)
    assert server.bodies[0] == server.bodies[1]
