"""What a model that knows the collection says to the prompts of docrag; the first rule that fits replies."""

from __future__ import annotations

import json

SENTENCE = "The red chart shows the passengers of the northern route by month."
QUOTE = "Passengers of the northern route by month"


def cited(evidence_id: str, **more: object) -> str:
    """The true answer, citing this id."""
    sentences = [{"text": SENTENCE, "citations": [{"id": evidence_id, "quote": QUOTE}]}]
    return json.dumps({"answerable": True, "sentences": sentences, **more})


def turn(thought: str, **action: object) -> dict[str, object]:
    """A turn of the planner."""
    return {"thought": thought, "sub_question": "", "action": action}


def rules(evidence_id: str = "E1") -> list[dict[str, str]]:
    """Rules of a model that finds the answer under `evidence_id`."""
    answer = json.loads(cited(evidence_id))
    branch = {"evidence": [], "reasoning": "it is captioned", "short_answer": "passengers"}
    other = branch | {"short_answer": "months"}
    figures = [answer["sentences"][0] | {"figures": [f"E{n}" for n in range(1, 12)]}]
    inspected = {
        "reason": "it is there",
        "sufficient": True,
        "information": "",
        "keep": [],
        "sentences": answer["sentences"],
    }
    said = {
        "You help a search engine": {"keywords": ["passengers", "ferries"]},
        "where in a collection of PDF documents": {"routes": [{"route": "figure", "confidence": 0.9}]},
        "Decide whether the question asks for several things": {"several": False, "sub_questions": []},
        "anything from these documents": "yes",
        "Judge whether it helps to answer": "yes",
        "Choose those that together are coherent": {"reason": "one subject", "keep": [evidence_id]},
        "in three steps.*as text between": answer | branch,
        "in three steps.*as a picture": answer | other,
        "Two readers answered one question": answer | {"analysis": "a", "conclusion": "c"},
        "You prepare an answer from pages": {
            "summaries": [{"id": f"E{n}", "summary": "a chart", "relevance": 9 - n} for n in range(1, 9)]
        },
        "show the figures that make": {"answerable": True, "sentences": figures},
        "You choose pages of documents": {"reason": "r", "summary": "a red chart", "choice": [evidence_id]},
        "You read pages of documents closely": inspected,
        "Several sources answered a question": cited(evidence_id),
        # The planner's turns, the later first: what its conversation holds by then decides.
        'step by step.*"thought": "read it"': turn("found", tool="answer", **answer),
        'step by step.*"thought": "look"': turn("read it", tool="read_page", evidence_id=evidence_id),
        "step by step": turn("look", tool="search", query="red passengers route"),
        "JSON object": cited(evidence_id),
    }  # fmt: skip
    return [
        {"when": when, "reply": reply if isinstance(reply, str) else json.dumps(reply)}
        for when, reply in said.items()
    ]
