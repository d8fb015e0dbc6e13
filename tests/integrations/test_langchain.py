"""The retriever and the answerer inside LangChain: documents, citations, events, batches, cancelling."""

from __future__ import annotations

import asyncio
import json

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from tests.api import parts_of_mine
from tests.api.conftest import TALKER, settings_with

from docrag import DocRAG, Scope
from docrag.errors import UsageError
from docrag.integrations.langchain import DocragAnswerer, DocragRetriever, answer_message
from docrag.integrations.langchain.messages import spans
from docrag.types import Answer, Sentence, Trace, Usage

QUESTION = "Who is the chief executive?"


@pytest.fixture
def rag(indexed):
    with DocRAG.open(indexed, settings=settings_with()) as rag:
        yield rag


@pytest.fixture
def talking(indexed):
    parts_of_mine.ENDED.clear()
    with DocRAG.open(indexed, settings=settings_with(*TALKER)) as rag:
        yield rag


# ── the retriever ────────────────────────────────────────────────────────────────────────────────────────


def test_documents_hold_text_and_refer_to_pages(rag):
    (document,) = DocragRetriever(rag=rag, k=1).invoke("chief executive")
    assert document.page_content == rag.search("chief executive", k=1).hits[0].text
    assert (document.metadata["doc"], document.metadata["page"]) == ("report.pdf", 2)
    assert json.loads(json.dumps(document.metadata)) == document.metadata


def test_unit_and_scope_can_be_set_and_changed_for_one_call(rag):
    retriever = DocragRetriever(rag=rag, unit="region", scope=Scope(pages=((1, 1),)))
    assert {d.metadata["page"] for d in retriever.invoke("revenue company copper")} == {1}
    other = retriever.invoke("revenue company copper", scope=Scope(pages=((3, 3),)), unit="page")
    assert [(d.metadata["page"], d.metadata["region_id"]) for d in other] == [(3, None)]


def test_callbacks_hear_the_retriever(rag):
    class Ears(BaseCallbackHandler):
        heard = ()

        def on_retriever_end(self, documents, **kwargs):
            self.heard = documents

    ears = Ears()
    documents = DocragRetriever(rag=rag, k=2).invoke("copper", config={"callbacks": [ears]})
    assert list(ears.heard) == documents


async def test_the_retriever_streams_its_events(rag):
    retriever = DocragRetriever(rag=rag, k=1)
    events = [event["event"] async for event in retriever.astream_events("copper", version="v2")]
    assert events == ["on_retriever_start", "on_retriever_end"]


def test_batches_are_in_order(rag):
    retriever = DocragRetriever(rag=rag, k=1)
    found = retriever.batch(["copper", "chief executive", "revenue"])
    assert [documents[0].metadata["page"] for documents in found] == [3, 2, 1]
    assert asyncio.run(retriever.abatch(["copper", "chief executive", "revenue"])) == found


def test_the_retriever_takes_part_in_a_chain(rag):
    chain = DocragRetriever(rag=rag, k=1) | RunnableLambda(lambda documents: documents[0].metadata["page"])
    assert chain.invoke("copper") == 3


# ── the answerer ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_is_a_message_with_citations(rag, indexed):
    answer = rag.ask(QUESTION)
    message = DocragAnswerer(rag=rag).invoke(QUESTION)
    assert isinstance(message, AIMessage)
    assert str(message.text) == answer.text
    (block,) = message.content_blocks
    (annotation,) = block["annotations"]
    cited = answer.citations[0]
    assert annotation["type"] == "citation"
    assert annotation["title"] == "report.pdf"
    assert annotation["url"] == f"{(indexed / 'report.pdf').as_uri()}#page=2"
    assert annotation["cited_text"] == cited.quote
    assert (annotation["start_index"], annotation["end_index"]) == (0, len(answer.text))
    extras = annotation["extras"]
    assert (extras["doc_id"], extras["page"]) == (cited.doc_id, 2)
    assert extras["boxes"] == [[round(value, 2) for value in box] for box in cited.boxes]
    (shown,) = [e for e in answer.evidence if e.evidence_id == cited.evidence_id]
    assert (extras["score"], extras.get("region_id")) == (round(shown.hit.score, 6), None)
    assert message.response_metadata["docrag"]["abstained"] is False
    json.dumps(message.model_dump(mode="json"))


def test_an_abstention_is_a_message_with_its_reason(rag):
    message = DocragAnswerer(rag=rag).invoke("Which bank holds the pension fund?")
    assert message.text == "Not answerable"
    assert message.response_metadata["docrag"]["reason"] == "not_in_documents"


def test_a_citation_points_at_the_sentences_it_supports():
    answer = Answer(
        question="?",
        text="Sales rose. Costs fell. Sales rose again.",
        abstained=False,
        reason=None,
        citations=(),
        evidence=(),
        usage=Usage(),
        warnings=(),
        trace=Trace("t"),
        sentences=(
            Sentence("Sales rose.", (1,)),
            Sentence("Costs fell.", (2,)),
            Sentence("Sales rose again.", (1, 2)),
        ),
    )
    assert [answer.text[a:b] for a, b in spans(answer, 1)] == ["Sales rose.", "Sales rose again."]
    assert [answer.text[a:b] for a, b in spans(answer, 2)] == ["Costs fell.", "Sales rose again."]
    assert spans(answer, 3) == [(0, len(answer.text))]
    assert answer_message(answer).text == answer.text


@pytest.mark.parametrize(
    "given",
    [
        QUESTION,
        {"question": QUESTION},
        {"question": QUESTION, "scope": Scope(docs=("report.pdf",))},
        [SystemMessage("Be brief."), HumanMessage("Hello"), AIMessage("Hello"), HumanMessage(QUESTION)],
        ChatPromptTemplate.from_messages([("user", "{q}")]).invoke({"q": QUESTION}),
    ],
)
def test_a_question_may_be_text_a_mapping_or_messages(rag, given):
    assert "Lindqvist" in str(DocragAnswerer(rag=rag).invoke(given).text)


@pytest.mark.parametrize(
    "given", [{"q": QUESTION}, [SystemMessage("Be brief.")], {"question": "a", "scope": "b"}]
)
def test_input_without_a_question_is_refused(rag, given):
    with pytest.raises(UsageError):
        DocragAnswerer(rag=rag).invoke(given)


async def test_steps_and_tokens_are_events(talking):
    chain = DocragAnswerer(rag=talking) | RunnableLambda(lambda message: str(message.text))
    events = [event async for event in chain.astream_events("is it?", version="v2")]
    custom = [(event["name"], event["data"]) for event in events if event["event"] == "on_custom_event"]
    assert custom == [
        ("docrag_step", {"name": "talk", "message": "talking"}),
        ("docrag_token", {"text": "yes "}),
        ("docrag_token", {"text": "it "}),
        ("docrag_token", {"text": "is "}),
    ]
    assert events[-1]["data"]["output"] == "yes it is"


def test_callbacks_hear_steps_without_an_event_loop(talking):
    class Ears(BaseCallbackHandler):
        def __init__(self):
            self.heard = []

        def on_custom_event(self, name, data, **kwargs):
            self.heard.append(name)

    ears = Ears()
    message = DocragAnswerer(rag=talking).invoke("is it?", config={"callbacks": [ears]})
    assert ears.heard == ["docrag_step", "docrag_token", "docrag_token", "docrag_token"]
    assert message.usage_metadata == {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}


def test_an_answer_is_kept_for_replay_where_that_is_asked_for(rag):
    kept = DocragAnswerer(rag=rag, keep_trace=True)
    ids = [
        message.response_metadata["docrag"]["trace_id"]
        for message in (kept.invoke(QUESTION), asyncio.run(kept.ainvoke(QUESTION)))
    ]
    other = DocragAnswerer(rag=rag).invoke(QUESTION).response_metadata["docrag"]["trace_id"]
    names = {path.stem for path in (rag.index_dir / "traces").glob("*.json")}
    assert set(ids) <= names
    assert other not in names


def test_answers_come_in_batches(talking):
    answers = DocragAnswerer(rag=talking).batch(["a", "b", "c"])
    assert [str(message.text) for message in answers] == ["yes it is"] * 3


async def test_cancelling_the_chain_calls_the_run_off(talking):
    task = asyncio.create_task(DocragAnswerer(rag=talking).ainvoke("wait"))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert parts_of_mine.ENDED.is_set()
