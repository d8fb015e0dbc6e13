"""Reranking on the command line: explained, warned about, and counted."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.cli_support import FAST

QUERY = "revenue of the company in 2023"


def rerank(*steps: dict, **model: object) -> list[str]:
    options = {"kind": "scripted", **model}
    return [
        "--set", f"models.default={json.dumps(options)}",
        "--set", f"retrieval.rerank.steps={json.dumps(steps)}",
    ]  # fmt: skip


STAFF_FIRST = {
    "rules": [
        {"when": "<<<.*87 people.*>>>", "reply": '{"relevance": 9}'},
        {"when": "relevance", "reply": '{"relevance": 2}'},
    ],
    "replies": ["yes"],
    "repeat_last": True,
}


def test_search_explains_the_reranking(docrag, reports: Path):
    result = docrag(
        "search", QUERY, "--index", reports / ".docrag", "--json", "--explain", *FAST,
        *rerank({"kind": "pointwise"}, **STAFF_FIRST),
    )  # fmt: skip
    assert result.code == 0
    best, *others = result.json["hits"]
    assert (best["doc"], best["page"]) == ("report.pdf", 2)
    assert best["sources"]["pointwise"] == {"rank": 1, "score": 0.9}
    assert all(hit["sources"]["pointwise"]["score"] == 0.2 for hit in others)
    steps = {step["name"]: step["detail"] for step in result.json["explain"]["steps"]}
    assert steps["pointwise"]["n_judged"] == len(result.json["hits"])
    assert result.json["usage"]["n_model_calls"] > len(result.json["hits"])
    assert "warnings" not in result.json


def test_a_filter_says_why_a_page_was_cut(docrag, reports: Path):
    step = {"kind": "relevance-filter", "judge": {"kind": "pointwise"}}
    result = docrag(
        "search", QUERY, "--index", reports / ".docrag", "--explain", *FAST, *rerank(step, **STAFF_FIRST)
    )
    assert result.code == 0
    assert "pointwise filter" in result.out
    assert "scores less than 0.5" in result.out
    assert "calls of models" in result.err


def test_a_failure_is_a_warning_and_the_fused_order_stays(docrag, reports: Path):
    plain = docrag("search", QUERY, "--index", reports / ".docrag", "--json", *FAST).json
    failed = docrag(
        "search", QUERY, "--index", reports / ".docrag", "--json", *FAST,
        *rerank({"kind": "listwise"}, replies=["no idea"], repeat_last=True),
    )  # fmt: skip
    assert failed.code == 0
    assert failed.json["hits"] == plain["hits"]
    (warning,) = failed.json["warnings"]
    assert "listwise: " in warning
    assert "the order of fusion stays" in warning
    assert "listwise: " in failed.err
    assert "usage" not in plain


def test_a_reranker_without_a_model_is_a_configuration_error(docrag, reports: Path):
    result = docrag(
        "search", QUERY, "--index", reports / ".docrag", *FAST,
        "--set", 'retrieval.rerank.steps=[{"kind": "pointwise"}]',
    )  # fmt: skip
    assert result.code == 1
    assert "models.default" in result.err


def test_pictures_of_pages_reach_the_model(docrag, reports: Path):
    steps = {"kind": "pointwise", "show": "image", "dpi": 40, "n_head": 2}
    result = docrag(
        "search", QUERY, "--index", reports / ".docrag", "--json", *FAST, *rerank(steps, **STAFF_FIRST)
    )
    assert result.code == 0
    assert "warnings" not in result.json
    # Twice for the page that is asked about first: as a word, and, without log-probabilities, as a number.
    assert result.json["usage"]["n_images"] >= 2
    assert [("pointwise" in hit["sources"]) for hit in result.json["hits"]][:2] == [True, True]


def test_a_document_that_is_gone_keeps_its_place(docrag, reports: Path):
    (reports / "report.pdf").unlink()
    result = docrag(
        "search", QUERY, "--index", reports / ".docrag", "--json", *FAST,
        *rerank({"kind": "pointwise", "show": "both"}, **STAFF_FIRST),
    )  # fmt: skip
    assert result.code == 0
    assert result.json["hits"]
    assert "report.pdf" in result.json["warnings"][0]
