"""Events as they come, async twins, and what calling a run off leaves behind: nothing."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import psutil
import pytest
from tests.api import parts_of_mine
from tests.api.conftest import settings_with
from tests.pdfs import text_pdf

from docrag import DocRAG
from docrag.chat.events import AnswerEvent, StepEvent, TokenEvent
from docrag.errors import Cancelled, ModelError

DEADLINE_S = 30.0


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    parts_of_mine.ENDED.clear()
    yield
    assert {thread.name for thread in set(threading.enumerate()) - before} <= {"asyncio_0"}


EXPECTED = [StepEvent("talk", "talking"), TokenEvent("yes "), TokenEvent("it "), TokenEvent("is ")]


def test_steps_and_tokens_come_before_the_answer(talking):
    *events, last = talking.stream("is it?")
    assert events == EXPECTED
    assert isinstance(last, AnswerEvent)
    assert last.answer.text == talking.ask("is it?").text == "yes it is"


def test_every_answerer_can_be_streamed(rag):
    *steps, last = rag.stream("Who is the chief executive?")
    assert last.answer.citations
    assert all(isinstance(event, StepEvent) for event in steps)


def test_closing_a_stream_calls_the_run_off(talking):
    events = talking.stream("wait")
    assert next(events) == StepEvent("talk", "talking")
    events.close()
    assert parts_of_mine.ENDED.wait(DEADLINE_S)


def test_a_stream_that_is_not_read_starts_nothing(talking):
    talking.stream("wait").close()
    assert not parts_of_mine.ENDED.is_set()


def test_what_a_run_raises_is_raised_by_its_stream(talking):
    events = talking.stream("fail")
    assert isinstance(next(events), StepEvent)
    with pytest.raises(ModelError, match="gone"):
        next(events)


def test_a_listener_calls_a_run_off(talking):
    class Impatient:
        def on_event(self, event):
            pass

        def cancelled(self):
            return True

    with pytest.raises(Cancelled):
        talking.ask("wait", listener=Impatient())


# ── for event loops ──────────────────────────────────────────────────────────────────────────────────────


def test_async_methods_give_what_the_others_give(talking):
    async def all_of_them():
        async with talking as rag:
            events = [event async for event in rag.astream("is it?")]
            return events, await rag.aask("is it?"), await rag.asearch("copper", k=1)

    (*events, last), answer, found = asyncio.run(all_of_them())
    assert events == EXPECTED
    assert last.answer.text == answer.text == "yes it is"
    assert found.hits == talking.search("copper", k=1).hits


@pytest.mark.parametrize("verb", ["aask", "astream"])
def test_cancelling_the_task_calls_the_run_off(talking, verb):
    async def begin():
        if verb == "aask":
            await talking.aask("wait")
        else:
            async with aclosing(talking.astream("wait")) as events:
                async for _ in events:
                    pass

    async def cancel():
        task = asyncio.create_task(begin())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert parts_of_mine.ENDED.is_set()  # the run has ended when the task has

    asyncio.run(cancel())


def test_leaving_an_async_stream_calls_the_run_off(talking):
    async def leave():
        async with aclosing(talking.astream("wait")) as events:
            async for event in events:
                assert event == StepEvent("talk", "talking")
                break
        assert parts_of_mine.ENDED.is_set()

    asyncio.run(leave())


def test_errors_reach_the_awaiting_task(talking):
    async def stream():
        return [event async for event in talking.astream("fail")]

    with pytest.raises(ModelError, match="gone"):
        asyncio.run(talking.aask("fail"))
    with pytest.raises(ModelError, match="gone"):
        asyncio.run(stream())


def test_many_questions_are_answered_at_once_in_one_loop(talking):
    async def ask_many():
        return await asyncio.gather(*(talking.aask(f"question {n}") for n in range(12)))

    assert [answer.question for answer in asyncio.run(ask_many())] == [f"question {n}" for n in range(12)]


def test_indexing_for_an_event_loop_stops_when_its_task_is_cancelled(folder):
    text_pdf(folder / "new.pdf", pages=[["A new page about zebras."]])
    seen = threading.Event()
    release = threading.Event()

    def hold(_event):
        seen.set()
        release.wait(DEADLINE_S)

    async def cancel(rag):
        task = asyncio.create_task(rag.aindex(on_event=hold))
        while not seen.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        asyncio.get_running_loop().call_later(0.1, release.set)
        with pytest.raises(asyncio.CancelledError):
            await task

    with DocRAG.open(folder, settings=settings_with()) as rag:
        asyncio.run(cancel(rag))
        assert len(rag.documents()) == 2  # as before
        report = asyncio.run(rag.aindex())
        assert [file.doc for file in report.files if file.status == "indexed"] == ["new.pdf"]
        assert rag.search("zebras").hits[0].doc == "new.pdf"


# ── several threads ──────────────────────────────────────────────────────────────────────────────────────


def test_eight_threads_ask_one_open_index(rag):
    questions = [
        "What was the revenue in 2023?",
        "Who is the chief executive?",
        "How long does pasta boil?",
    ] * 8
    alone = {question: rag.ask(question) for question in set(questions)}
    rag.close()  # the threads open it again, all at once
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(rag.ask, questions))
    for question, answer in zip(questions, together, strict=True):
        expected = alone[question]
        assert (answer.text, answer.citations) == (expected.text, expected.citations)
    assert len({answer.trace.trace_id for answer in together}) == len(questions)


def test_questions_are_answered_while_another_thread_indexes(folder):
    text_pdf(folder / "new.pdf", pages=[["A new page about zebras."]])
    indexing, asked = threading.Event(), threading.Event()

    def wait_for_an_answer(_event):
        indexing.set()
        assert asked.wait(DEADLINE_S)

    with DocRAG.open(folder, settings=settings_with()) as rag, ThreadPoolExecutor(1) as pool:
        report = pool.submit(lambda: rag.index(on_event=wait_for_an_answer))
        assert indexing.wait(DEADLINE_S)
        assert rag.ask("Who is the chief executive?").citations
        assert not rag.search("zebras", k=1).hits
        asked.set()
        assert report.result().n_failed_files == 0
        assert rag.search("zebras", k=1).hits[0].doc == "new.pdf"


def test_nothing_is_open_after_closing(folder):
    def files():
        return {file.path for file in psutil.Process().open_files() if str(folder) in file.path}

    with DocRAG.open(folder, settings=settings_with()) as rag:
        rag.ask("Who is the chief executive?")._repr_html_()
        rag.search("copper")
    assert files() == set()
