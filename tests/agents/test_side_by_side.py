"""Pages asked about side by side: whichever reply comes first, all is as if they were asked in a row."""

from __future__ import annotations

import contextlib
import json
import math
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from tests.agents.fakes import Hears, agent_parts, names_of, said, scripted
from tests.answer.conftest import FakeCorpus, make_page

from docrag.agents.gated import GatedAgent
from docrag.agents.options import GatedOptions
from docrag.answer.first_calls import Steps, next_few
from docrag.answer.options import SummariesOptions
from docrag.answer.parts import AnswerParts
from docrag.answer.run import Ask, Run, RunParts
from docrag.answer.summaries import SummariesAnswerer
from docrag.chat.events import SILENCE, Event, Listener, StepEvent
from docrag.chat.messages import Message, user
from docrag.chat.model import Chats, Limits, Reply, Request
from docrag.errors import Cancelled, ModelError, ModelUnavailable
from docrag.models.scripted import Asked, ScriptedChatModel, ScriptedReply
from docrag.protocols import Answerer
from docrag.types import Answer, Query

QUESTION = Query("How much rain fell at Alder?")
CORPUS = FakeCorpus({"rain.pdf": [make_page([f"rain fell at Alder {n}20"], page_no=n) for n in (1, 2, 3, 4)]})
WAIT_S = 30.0
"""Nothing takes so long unless it never ends."""

KINDS: Mapping[str, Callable[[AnswerParts, int], Answerer]] = {
    "gated": lambda parts, n: GatedAgent(parts, GatedOptions(n_parallel=n, max_relevant=2)),
    "summaries": lambda parts, n: SummariesAnswerer(
        parts, SummariesOptions(n_parallel=n, pages_per_call=1, n_pages=2)
    ),
}
PAGE_STEP = {"gated": "relevance", "summaries": "summarise"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


class Reader:
    """Says of a page what it always says; `before` is called with the number of a page and its first call.

    Page 2 is the best, then 4, 3 and 1; of `faulty` pages it never says anything that can be used.
    """

    def __init__(
        self,
        before: Callable[[int, Asked], None] = lambda page_no, asked: None,
        *,
        faulty: tuple[int, ...] = (),
    ) -> None:
        self.model = ScriptedChatModel(replies=[self._reply], repeat_last=True)
        self._before = before
        self._faulty = faulty

    def _reply(self, asked: Asked) -> str | ScriptedReply:
        form = asked.call.schema_name if asked.call.schema is not None else ""
        if form == "CoherentReply":
            return json.dumps({"keep": ["E2", "E4"]})
        if form not in ("", "Verdict", "PageSummaries"):
            return json.dumps(said(("Alder had 220 millimetres.", "E2", "rain fell at Alder 220")))
        found = re.search(r"rain\.pdf, page (\d)", asked.text)
        assert found is not None
        page_no = int(found[1])
        if all(message.type != "ai" for message in asked.messages):
            self._before(page_no, asked)
        if page_no in self._faulty:
            return "hm"
        worth = {1: 0.6, 2: 0.9, 3: 0.7, 4: 0.8}[page_no]
        if form:
            summary = {"id": f"E{page_no}", "summary": f"rain {page_no}", "relevance": 10 * worth}
            return json.dumps({"summaries": [summary]})
        return ScriptedReply("Well", first_logprobs={"Yes": math.log(worth), "No": math.log(1 - worth)})

    def answer(
        self,
        kind: str,
        n_parallel: int,
        *,
        listener: Listener = SILENCE,
        limits: Limits | None = None,
        **budget: Any,
    ) -> Answer:
        parts = agent_parts(CORPUS, self.model, limits=limits, **budget)
        return KINDS[kind](parts, n_parallel).answer(QUESTION, listener=listener)


def all_of(answer: Answer) -> dict[str, object]:
    """Everything about an answer except times, and the id of its trace."""
    usage = answer.usage
    return {
        "text": answer.text,
        "reason": answer.reason,
        "citations": answer.citations,
        "evidence": answer.evidence,
        "warnings": answer.warnings,
        "spent": (usage.n_model_calls, usage.n_input_tokens, usage.n_output_tokens, usage.n_images),
        "steps": [(step.name, dict(step.detail)) for step in answer.trace],
    }


def no_calls_go_on() -> bool:
    return not any(thread.name.startswith("docrag-calls") for thread in threading.enumerate())


def in_reverse() -> Callable[[int, Asked], None]:
    """Let a page be replied to only after the page that follows it."""
    passed = {page_no: threading.Event() for page_no in (1, 2, 3, 4)}

    def before(page_no: int, asked: Asked) -> None:
        assert page_no == 4 or passed[page_no + 1].wait(WAIT_S)
        passed[page_no].set()

    return before


def test_pages_are_asked_about_at_the_same_time(kind: str):
    together = threading.Barrier(4, timeout=WAIT_S)
    answer = Reader(lambda page_no, asked: together.wait() and None).answer(kind, 4)
    assert not together.broken
    assert (answer.text, answer.warnings) == ("Alder had 220 millimetres.", ())


@pytest.mark.parametrize("faulty", [(), (1,), (2, 4), (1, 2, 3, 4)])
def test_replies_in_any_order_give_the_same_answer_and_trace(kind: str, faulty: tuple[int, ...]):
    in_a_row, at_once = Hears(), Hears()
    one_by_one = Reader(faulty=faulty).answer(kind, 1, listener=in_a_row)
    reversed_ = Reader(in_reverse(), faulty=faulty).answer(kind, 4, listener=at_once)
    assert all_of(reversed_) == all_of(one_by_one)
    assert at_once.events == in_a_row.events


@pytest.mark.parametrize("n_parallel", [1, 2, 3, 4, 64])
def test_the_trace_is_that_of_pages_in_a_row(kind: str, n_parallel: int):
    answer = Reader().answer(kind, n_parallel)
    role = {"gated": "judge", "summaries": "inspect"}[kind]
    of_a_page = ["make context", f"call {role}", PAGE_STEP[kind]]
    choosing = {"gated": ["make context", "call judge", "consistency"], "summaries": ["choose"]}[kind]
    assert names_of(answer)[1 : 13 + len(choosing)] == [*of_a_page * 4, *choosing]
    contexts = [step.detail["evidence"] for step in answer.trace if step.name == "make context"]
    assert contexts[:4] == [{f"E{n}": ["rain.pdf", n]} for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("max_calls", range(1, 16))
@pytest.mark.parametrize("faulty", [(), (1, 3), (1, 2, 3, 4)])
def test_a_limit_of_calls_falls_on_the_same_pages(kind: str, max_calls: int, faulty: tuple[int, ...]):
    one_by_one = Reader(faulty=faulty).answer(kind, 1, max_calls=max_calls)
    reader = Reader(faulty=faulty)
    at_once = reader.answer(kind, 4, max_calls=max_calls)
    assert all_of(at_once) == all_of(one_by_one)
    assert len(reader.model.asked) == at_once.usage.n_model_calls <= max_calls


def test_calls_for_filter_and_answer_are_kept_however_many_pages_are_judged_at_once():
    answer = Reader().answer("gated", 4, max_calls=5)
    assert answer.text == "Alder had 220 millimetres."
    assert names_of(answer).count("relevance") == 3
    assert any(w.startswith("1 pages were not judged: 2 of 5 model calls") for w in answer.warnings)


@pytest.mark.parametrize(
    "budget",
    [
        *({"max_images": n} for n in (0, 1, 3, 4, 6)),
        *({"max_output_tokens": n} for n in (1, 5, 24, 25, 60, 3_072, 3_073)),
        *({"max_input_tokens": n} for n in range(100, 2_100, 400)),
    ],
    ids=str,
)
def test_no_limit_is_passed_by_more_than_pages_in_a_row_pass_it(kind: str, budget: dict[str, int]):
    together = threading.Barrier(4)

    def before(page_no: int, asked: Asked) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(0.1)  # calls that may overlap do; those in a row wait once in vain

    one_by_one = Reader().answer(kind, 1, **budget)
    at_once = Reader(before).answer(kind, 4, **budget)
    assert all_of(at_once)["spent"] == all_of(one_by_one)["spent"]
    assert (at_once.text, at_once.reason) == (one_by_one.text, one_by_one.reason)


# ── calling off, and failing ─────────────────────────────────────────────────────────────────────────────


class Hangs:
    """Keeps every call until it should end, and says when it did not; `and_then` is called first."""

    def __init__(self, and_then: Callable[[int], None] = lambda page_no: None) -> None:
        self.begun: set[int] = set()
        self.is_overdue = False
        self._and_then = and_then
        self._never = threading.Event()

    def __call__(self, page_no: int, asked: Asked) -> None:
        self.begun.add(page_no)
        self._and_then(page_no)
        for _ in range(int(WAIT_S / 0.01)):
            if asked.call.cancelled():
                return
            self._never.wait(0.01)
        self.is_overdue = True


@pytest.mark.parametrize("n_parallel", [1, 2, 4])
def test_a_question_that_is_called_off_ends_all_its_calls(kind: str, n_parallel: int):
    hangs = Hangs()

    class Impatient(Hears):
        def cancelled(self) -> bool:
            return len(hangs.begun) == n_parallel

    with pytest.raises(Cancelled):
        Reader(hangs).answer(kind, n_parallel, listener=Impatient())
    assert hangs.begun == set(range(1, n_parallel + 1))
    assert not hangs.is_overdue
    assert no_calls_go_on()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ModelUnavailable("gone")])
def test_an_interruption_or_a_lost_endpoint_ends_what_is_under_way(
    kind: str, error: type[BaseException] | BaseException
):
    second = threading.Event()

    def fail(page_no: int) -> None:
        if page_no == 1:
            assert second.wait(WAIT_S)
            raise error
        second.set()

    hangs = Hangs(fail)
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else ModelUnavailable):
        Reader(hangs).answer(kind, 2)
    assert hangs.begun == {1, 2}  # no further page is begun
    assert not hangs.is_overdue
    assert no_calls_go_on()


@pytest.mark.parametrize("n_parallel", [1, 4])
def test_a_page_that_fails_fails_alone_where_it_did(kind: str, n_parallel: int):
    def fail(page_no: int, asked: Asked) -> None:
        if page_no == 3:
            raise ModelError("broken")

    reader = Reader(fail)
    if kind == "gated":  # which cannot judge without its model
        with pytest.raises(ModelError, match="broken"):
            reader.answer(kind, n_parallel)
        return
    answer = reader.answer(kind, n_parallel)
    assert answer.warnings == ("1 pages were not summarised: broken",)
    assert names_of(answer).count("summarise") == 4
    assert answer.text == "Alder had 220 millimetres."


@pytest.mark.parametrize(("takes_turns", "n_asked"), [(True, [0, 1, 2, 3]), (False, [0, 0, 0, 0])])
def test_a_model_in_this_process_is_asked_one_call_after_the_other(
    kind: str, takes_turns: bool, n_asked: list[int]
):
    reader, found = Reader(), []

    class Counts(Hears):
        def on_event(self, event: Event) -> None:
            if isinstance(event, StepEvent) and event.name == PAGE_STEP[kind]:
                found.append(len(reader.model.asked))

    reader.answer(kind, 4, listener=Counts(), limits=Limits(takes_turns=takes_turns))
    assert found == n_asked


class Noting:
    """A chat that notes something of every call; the calls of items "a" to "c" end in reverse."""

    name = "noting"
    limits = Limits()

    def __init__(self) -> None:
        self._ended = {item: threading.Event() for item in "abc"}

    def count_text(self, text: str) -> int:
        return 1

    def count_image(self, width_px: int, height_px: int) -> int:
        return 1

    def complete(self, messages: Sequence[Message], request: Request) -> Reply:
        item = messages[-1].text
        follows = self._ended.get(chr(ord(item) + 1))
        assert follows is None or follows.wait(WAIT_S)
        self._ended[item].set()
        return Reply(f"said {item}", notes=(f"noted {item}",))


def test_warnings_of_calls_are_in_the_order_of_their_items():
    def work(run: Run, item: str) -> Steps[str]:
        run.warn(f"begun {item}")
        return (yield Ask("answer", [user(item)], run.prompts.get("query_gate"), Request())).text

    run = RunParts(Chats(Noting())).start(SILENCE)
    assert next_few(run, "abc", work, role="answer", n_parallel=3, n_calls=1) == [
        "said a",
        "said b",
        "said c",
    ]
    assert run.warnings == ["begun a", "noted a", "begun b", "noted b", "begun c", "noted c"]


def test_work_that_needs_no_call_is_done_without_one():
    def work(run: Run, item: str) -> Steps[str]:
        if item == "b":
            return "nothing to ask"
        return (yield Ask("answer", [user(item)], run.prompts.get("query_gate"), Request())).text

    run = agent_parts(CORPUS, scripted("yes")).runs.start(SILENCE)
    assert next_few(run, "ab", work, role="answer", n_parallel=2, n_calls=1) == ["yes", "nothing to ask"]


def test_a_piece_of_work_yields_one_call():
    def work(run: Run, item: str) -> Steps[None]:
        ask = Ask("answer", [], run.prompts.get("query_gate"), Request())
        yield ask
        yield ask

    run = agent_parts(CORPUS, scripted("yes")).runs.start(SILENCE)
    with pytest.raises(RuntimeError, match="second call, of prompt query_gate"):
        next_few(run, ["one"], work, role="answer", n_parallel=1, n_calls=2)
