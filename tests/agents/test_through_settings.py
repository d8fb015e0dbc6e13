"""Agents as they are configured: from settings, over a real index, with real pictures of its pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests import pdfs
from tests.agents.fakes import said

from docrag import DocRAG, load_settings
from docrag.errors import ConfigError
from docrag.types import Answer

QUESTION = "What is the total of Alder?"
SENTENCE = ("Alder had 150.", "E1", "Alder 120 30 150")
REPLIES = {
    "planner": [
        json.dumps({"action": {"tool": "search", "query": "Alder rain snow"}}),
        json.dumps({"action": {"tool": "read_page", "evidence_id": "E1"}}),
        json.dumps({"action": {"tool": "read_table", "evidence_id": "E1"}}),
        json.dumps({"action": {"tool": "zoom", "evidence_id": "E1", "box": [80, 250, 900, 430]}}),
        json.dumps({"action": {"tool": "calculate", "expression": "120 + 30"}}),
        json.dumps({"action": {"tool": "answer", **said(SENTENCE)}}),
    ],
    "seeker-inspector": [
        json.dumps({"choice": ["E1"], "summary": "a table of stations"}),
        json.dumps({"sufficient": True, "sentences": said(SENTENCE)["sentences"]}),
    ],
    "decompose-decide": [json.dumps({"several": False}), json.dumps(said(SENTENCE))],
    "gated": ["yes", json.dumps(said(SENTENCE))],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stations")
    pdfs.table_pdf(folder / "stations.pdf")
    with DocRAG.open(folder, settings=load_settings(overrides=FAST, environ={})) as rag:
        rag.index()
    return folder


FAST = ["ingest.layout=fast", "ingest.ocr=never", "ingest.n_workers=1", "embed.kind=none"]


def ask(folder: Path, kind: str, *more: str) -> Answer:
    replies = json.dumps(REPLIES[kind])
    model = ["models.default.kind=scripted", f"models.default.replies={replies}"]
    settings = load_settings(
        overrides=[*FAST, f"answer.kind={kind}", *model, "budget.max_rounds=6", *more], environ={}
    )
    with DocRAG.open(folder, settings=settings) as rag:
        return rag.ask(QUESTION)


@pytest.mark.parametrize("kind", REPLIES)
def test_an_agent_answers_from_an_index_with_pictures(folder: Path, kind: str):
    answer = ask(folder, kind)
    assert (answer.text, answer.is_partial, answer.warnings) == ("Alder had 150.", False, ())
    [citation] = answer.citations
    assert (citation.doc, citation.page_no, citation.support) == ("stations.pdf", 1, "full")
    assert citation.boxes
    assert answer.usage.n_images > 0


def test_the_planner_reads_the_table_and_zooms_into_the_page(folder: Path):
    answer = ask(folder, "planner")
    seen = {step.name: step.detail.get("seen", "") for step in answer.trace if step.name.startswith("tool ")}
    assert seen["tool calculate"] == "120 + 30 = 150"
    assert seen["tool read_table"].startswith("E1: stations.pdf, page 1, region ")
    assert seen["tool zoom"] == "E1: stations.pdf, page 1, box [80, 250, 900, 430]"


def test_options_of_an_agent_are_checked(folder: Path):
    with pytest.raises(ConfigError, match=r"answer\.planner\.tools|answer\.tools"):
        ask(folder, "planner", "answer.tools=[search, shell]")


def test_an_agent_without_a_model_says_what_to_set(folder: Path):
    settings = load_settings(overrides=[*FAST, "answer.kind=planner"], environ={})
    with (
        DocRAG.open(folder, settings=settings) as rag,
        pytest.raises(ConfigError, match=r"answer\.kind is planner, which needs a model.*models\.default"),
    ):
        rag.ask(QUESTION)


WORDY = [
    json.dumps({"several": False}),
    json.dumps(said(("Alder is wet.", "E1", "Alder 120 30 150"))),
    json.dumps(said(("Much rain fell at that place.", "E1", "Alder 120 30 150"))),
    json.dumps(said(("The expert says Alder.", "E1", "Alder 120 30 150"))),
]
LENGTHS = ["embed.kind=custom", "embed.factory=tests.api.parts_of_mine:LengthEmbedder"]


@pytest.mark.parametrize(("similarity", "decision"), [("words", "expert"), ("meaning", "agree")])
def test_answers_can_agree_in_meaning_by_the_text_encoder(folder: Path, similarity: str, decision: str):
    # The encoder counts letters, so texts of any length are nearly alike to it; no word is the same.
    options = ["answer.sources=modalities", "answer.refine=false", f"answer.similarity={similarity}"]
    model = ["models.default.kind=scripted", f"models.default.replies={json.dumps(WORDY)}"]
    settings = load_settings(
        overrides=[*FAST[:-1], *LENGTHS, "answer.kind=decompose-decide", *model, *options,
                   "retrieval.retrievers=[bm25]", "retrieval.fusion.weights={bm25: 1}"],
        environ={},
    )  # fmt: skip
    with DocRAG.open(folder, settings=settings) as rag:
        answer = rag.ask(QUESTION)
    assert [step.detail["decision"] for step in answer.trace if step.name == "decide"] == [decision]


def test_agreement_in_meaning_needs_an_encoder(folder: Path):
    with pytest.raises(ConfigError, match=r"answer\.similarity is meaning, .* set embed\.kind"):
        ask(folder, "decompose-decide", "answer.similarity=meaning")
