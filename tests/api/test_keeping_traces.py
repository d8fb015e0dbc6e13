"""A trace is kept where one is asked for, and a replay finds the same answer."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.api.conftest import settings_with

from docrag import DocRAG, Scope
from docrag.chat.events import AnswerEvent
from docrag.pipeline.custom import CustomOptions
from docrag.runs.replay import find_trace, replay

CEO = "Who is the chief executive?"
REPORT = Scope(docs=("report.pdf",))


def traces(rag: DocRAG) -> list[str]:
    return sorted(path.stem for path in (rag.index_dir / "traces").glob("*.json"))


def test_nothing_is_kept_unless_it_is_asked_for(rag):
    rag.ask(CEO)
    list(rag.stream(CEO))
    rag.chat().ask(CEO)
    asyncio.run(rag.aask(CEO))
    assert not (rag.index_dir / "traces").exists()


async def last_of(events) -> AnswerEvent:
    return [event async for event in events][-1]


@pytest.mark.parametrize(
    "ask",
    [
        lambda rag: rag.ask(CEO, scope=REPORT, keep_trace=True),
        lambda rag: list(rag.stream(CEO, scope=REPORT, keep_trace=True))[-1].answer,
        lambda rag: asyncio.run(rag.aask(CEO, scope=REPORT, keep_trace=True)),
        lambda rag: asyncio.run(last_of(rag.astream(CEO, scope=REPORT, keep_trace=True))).answer,
        lambda rag: rag.chat(scope=REPORT, keep_trace=True).ask(CEO),
    ],
    ids=["ask", "stream", "aask", "astream", "chat"],
)
def test_every_way_of_asking_keeps_a_trace_that_can_be_asked_again(rag, ask):
    answer = ask(rag)
    assert traces(rag) == [answer.trace.trace_id]
    record = find_trace(answer.trace.trace_id[:6], index_dirs=[rag.index_dir], run_dirs=[]).record
    assert (record.question, record.scope) == (CEO, REPORT)
    again = replay(rag, record, config=rag.settings.model_dump(mode="json"))
    assert again.is_same
    assert again.text == answer.text == "Maria Lindqvist"
    assert again.settings == ()


def test_the_trace_of_a_follow_up_is_of_the_question_that_was_asked(rag):
    chat = rag.chat(keep_trace=True)
    chat.ask("What was the revenue in 2023?")
    answer = chat.ask("And in 2022?")
    record = find_trace(answer.trace.trace_id, index_dirs=[rag.index_dir], run_dirs=[]).record
    assert record.question == "What was the revenue in 2022?"
    assert replay(rag, record, config=rag.settings.model_dump(mode="json")).is_same


def test_a_trace_that_cannot_be_written_is_a_warning_and_the_answer_is_there(rag):
    (rag.index_dir / "traces").write_text("a file in the way")
    answer = rag.ask(CEO, keep_trace=True)
    assert answer.text == "Maria Lindqvist"
    assert ["no trace is kept: " in warning for warning in answer.warnings] == [True]
    assert answer.files is not None


def test_settings_that_cannot_be_written_down_are_a_warning_and_the_answer_is_there(folder):
    class Words:
        def split(self) -> list[str]:
            return ["yes", "it", "is"]

    talker = CustomOptions(factory="tests.api.parts_of_mine:Talker", options={"words": Words()})
    settings = settings_with().model_copy(update={"answer": talker})
    with DocRAG.open(folder, settings=settings) as rag:
        answer = rag.ask("is it?", keep_trace=True)
        assert answer.text == "yes it is"
        assert ["no trace is kept: " in warning for warning in answer.warnings] == [True]
        assert traces(rag) == []


def test_no_secret_of_the_settings_is_in_a_trace(folder):
    model = ["models.default.kind=openai", "models.default.base_url=http://127.0.0.1:9/v1"]
    secret = [*model, "models.default.model=m", "models.default.api_key=sk-very-secret"]
    with DocRAG.open(folder, settings=settings_with(*secret, "chat.follow_up=rules")) as rag:
        answer = rag.ask(CEO, keep_trace=True)
        text = (rag.index_dir / "traces" / f"{answer.trace.trace_id}.json").read_text("utf-8")
    assert "very-secret" not in text
    assert set(json.loads(text)["settings"]["models"]["default"]["api_key"]) == {"*"}
