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
from tests.models.fault_server import FaultServer, say, shared_share
from tests.models.faults import faults, status

from docrag.answer.run import Run, RunParts
from docrag.chat.events import SILENCE
from docrag.chat.messages import ImagePart, assistant, system, user
from docrag.chat.model import Chats
from docrag.chat.prompts import parse_prompt
from docrag.errors import ContextOverflow, DocragError, ModelError, ModelFormatError, ModelUnavailable

pytestmark = pytest.mark.loopback

N_STEPS = 4
TIMEOUT_S = 5.0
SHORT_S = (
    1.0  # for servers that would keep a call waiting; enough for the calls before, however busy the machine
)
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
    return json.dumps({"action": action, "argument": argument}, ensure_ascii=False)


BEHAVIOURS = faults(
    step("search", "café"),
    unknown_tool=step("format_disk", "/"),
    wrong_types='{"action": "search", "argument": 7}',
    megabyte=step("search", "x" * 10**6),
    everything=step("answer", " ".join(f"[E{i}]" for i in range(1, 200))),
)


@dataclass(frozen=True)
class Seen:
    """What the caller sees of a fault that lasts from one step on; `error` None is a usable reply.

    `n_requests` is how many requests the faulty call makes; a reply that does not follow the format is asked
    for once more, in a call of its own.
    """

    error: type[DocragError] | None
    n_requests: int = 1
    message: str | None = None
    warning: str = ""
    timeout_s: float = TIMEOUT_S


UNAVAILABLE = "gave up after 3 tries"
SEEN = {
    "slow header": Seen(ModelUnavailable, 1, "no complete reply within", timeout_s=SHORT_S),
    "slow body": Seen(ModelUnavailable, 1, "no complete reply within", timeout_s=SHORT_S),
    "429 with Retry-After": Seen(ModelUnavailable, 1, "after the deadline"),
    "500": Seen(ModelUnavailable, 3, UNAVAILABLE),
    "502": Seen(ModelUnavailable, 3, UNAVAILABLE),
    "503": Seen(ModelUnavailable, 3, UNAVAILABLE),
    "context overflow": Seen(ContextOverflow, 1, "does not fit"),
    "401": Seen(ModelError, 1, "refuses the key"),
    "unknown model": Seen(ModelError, 1, "check model"),
    "image refused": Seen(None, 2, warning="takes no pictures"),
    "empty choices": Seen(ModelUnavailable, 3, "no choices"),
    "null content": Seen(ModelFormatError, 2, "no JSON"),
    "broken JSON": Seen(ModelFormatError, 2, "no JSON"),
    "unknown tool": Seen(ModelFormatError, 2, "action"),
    "wrong types": Seen(ModelFormatError, 2, "argument"),
    "1 MB argument": Seen(ModelFormatError, 2, "characters"),
    "stream cut mid-token": Seen(ModelUnavailable, 3, UNAVAILABLE),
    "no [DONE]": Seen(ModelUnavailable, 3, "broke off"),
    "duplicate chunks": Seen(ModelFormatError, 2, "no JSON"),
    "invalid UTF-8": Seen(None, 1, warning="no UTF-8"),
    "HTML page": Seen(ModelError, 1, "HTML page: Sign in"),
    "endless tool calls": Seen(ModelFormatError, 2, "no JSON", warning="the tool search"),
    "refusal": Seen(ModelFormatError, 2, "no JSON"),
    "wrong language": Seen(ModelFormatError, 2, "no JSON"),
    "empty answer": Seen(ModelFormatError, 2, "no JSON"),
    "citation of everything": Seen(None, 1),
}


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
@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_lasting_fault_ends_in_an_answer_or_a_typed_error(
    name: str, at: int, server: FaultServer, make_chat: Callable[..., Any]
):
    seen = SEEN[name]
    good = [say(step("search", f"turn {n}")) for n in range(1, at)]
    server.reset(*good, BEHAVIOURS[name])
    run = run_on(make_chat(timeout_s=seen.timeout_s))
    start_s = time.monotonic()
    if seen.error is None:
        assert len(drive(run)) == N_STEPS
        n_more = N_STEPS - at  # the fault lasts, and what it taught is remembered
        assert len(server.bodies) == at - 1 + seen.n_requests + n_more
    else:
        with pytest.raises(seen.error, match=seen.message) as caught:
            drive(run)
        assert type(caught.value) is seen.error or isinstance(caught.value, ModelUnavailable)
        assert len(server.bodies) == at - 1 + seen.n_requests
    n_calls = at + (seen.error is ModelFormatError)
    assert time.monotonic() - start_s < n_calls * seen.timeout_s + 2
    assert run.meter.usage.n_model_calls >= at
    if seen.warning:
        assert any(seen.warning in warning for warning in run.warnings)


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
    once = status(429, "", retry_after="0") if name == "429 at once" else BEHAVIOURS[name]
    good = [say(step("search", f"turn {n}")) for n in range(1, N_STEPS + 1)]
    server.reset(*good[: at - 1], once, *good[at - 1 :])
    steps = drive(run_on(make_chat(timeout_s=10)))
    assert [one.argument for one in steps] == [f"turn {n}" for n in range(1, N_STEPS + 1)]
    assert len(server.bodies) == N_STEPS + 1


def test_what_is_seen_of_every_fault_is_written_down():
    assert BEHAVIOURS.keys() == SEEN.keys()
    assert len(BEHAVIOURS) == 26


# ── a server's prefix cache ──────────────────────────────────────────────────────────────────────────────


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
