"""From options to rerankers: what is made, what contradicts itself, and what is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr, ValidationError
from tests.retrieve.rerank_fakes import (
    BEST_FIRST,
    CORPUS,
    PAGES,
    FakeChat,
    FakePictures,
    ListScorer,
    candidates,
    logprobs_reply,
    order_reply,
)
from tests.retrieve.tiny_onnx import save_onnx_classifier

from docrag import resources
from docrag.chat.model import Chats
from docrag.errors import ConfigError, ModelError, StorageError
from docrag.retrieve.build import build_retrieval_stage
from docrag.retrieve.options import RetrievalOptions
from docrag.retrieve.rerank.build import RerankParts, build_rerankers
from docrag.retrieve.rerank.loaded import LoadedModels
from docrag.retrieve.rerank.options import RerankOptions, VllmScoreOptions
from docrag.retrieve.rerank.reranked import RerankStep
from docrag.types import Query

QUESTION = Query("Where is the page with gold?")


def parts(chat: FakeChat | None = None, *, pictures: FakePictures | None = None) -> RerankParts:
    if chat is None:
        return RerankParts(CORPUS, pictures=pictures)
    default = FakeChat(order_reply, name="default")
    return RerankParts(CORPUS, lambda: Chats(default, {"rerank": chat}), pictures)


def build(*steps: dict[str, Any], using: RerankParts, **more: Any) -> list[RerankStep]:
    return build_rerankers(RerankOptions.model_validate({"steps": steps, **more}), using)


def fallback_of(step: RerankStep) -> str:
    return step.rerank(Query("Where is the gold?"), candidates()).warnings[0]


def test_clients_of_servers_are_kept_for_the_next_state_of_the_index_and_closed_with_the_rest():
    loaded = LoadedModels()
    server = {"kind": "vllm-score", "model": "tiny", "show": "text", "max_retries": 0}
    steps = [
        build(server | {"n_head": n_head}, using=RerankParts(CORPUS, loaded=loaded))[0] for n_head in (5, 6)
    ]
    (filtering,) = build(
        {"kind": "relevance-filter", "judge": server, "keep": {"kind": "fixed", "k": 5}},
        using=RerankParts(CORPUS, loaded=loaded),
    )
    loaded.close()
    for step in (*steps, filtering):
        assert "the model was closed" in fallback_of(step)


def test_a_client_knows_one_key_only():
    loaded, made = LoadedModels(), list[str]()

    def scorer_for(key: str) -> ListScorer:
        options = VllmScoreOptions(model="tiny", api_key=SecretStr(key))

        def load() -> ListScorer:
            made.append(key)
            return ListScorer()

        return loaded.scorer(options, load)

    first = scorer_for("a")
    assert scorer_for("b") is not first
    assert scorer_for("a") is first
    assert made == ["a", "b"]


def test_nothing_is_reranked_by_default():
    assert build(using=parts()) == []
    assert RetrievalOptions().rerank.steps == ()


@pytest.mark.parametrize(
    ("step", "reply", "name"),
    [
        ({"kind": "pointwise"}, logprobs_reply, "pointwise"),
        ({"kind": "listwise", "window": 5}, order_reply, "listwise"),
        (
            {"kind": "relevance-filter", "judge": {"kind": "pointwise"}, "keep": {"kind": "fixed", "k": 5}},
            logprobs_reply,
            "pointwise filter",
        ),
    ],
)
def test_a_step_asks_the_model_in_the_role_of_rerankers(step: dict[str, Any], reply: Any, name: str):
    chat = FakeChat(reply)
    (made,) = build(step, using=parts(chat))
    result = made.rerank(QUESTION, candidates())
    assert (made.name, result.warnings) == (name, ())
    assert [item.unit for item in result.ranking] == BEST_FIRST
    assert chat.requests


def test_steps_work_on_what_the_one_before_gives_and_judge_nothing_twice():
    chat = FakeChat(logprobs_reply)
    steps = build(
        {"kind": "pointwise"},
        {"kind": "relevance-filter", "judge": {"kind": "pointwise"}},
        using=parts(chat),
    )
    ranking = candidates()
    for step in steps:
        ranking = list(step.rerank(QUESTION, ranking).ranking)
    assert [item.unit for item in ranking] == BEST_FIRST[:2]  # 0.9 and 0.7: the others are below one half
    assert set(ranking[0].sources) == {"bm25", "pointwise", "pointwise filter"}
    assert len(chat.requests) == 5


def test_the_cache_may_outlive_the_process(tmp_path: Path):
    for n_calls in (5, 0):
        chat = FakeChat(logprobs_reply)
        (step,) = build({"kind": "pointwise"}, using=parts(chat), cache_file=tmp_path / "scores.sqlite")
        assert [item.unit for item in step.rerank(QUESTION, candidates()).ranking] == BEST_FIRST
        assert len(chat.requests) == n_calls


def test_a_cache_that_cannot_be_kept_is_an_error(tmp_path: Path):
    with pytest.raises(StorageError):
        build({"kind": "pointwise"}, using=parts(FakeChat(logprobs_reply)), cache_file=tmp_path)


def test_a_budget_and_a_head_come_from_the_options():
    chat = FakeChat(logprobs_reply)
    (step,) = build({"kind": "pointwise", "n_head": 4, "max_calls": 2, "n_parallel": 1}, using=parts(chat))
    result = step.rerank(QUESTION, candidates())
    assert [item.unit for item in result.ranking] == [PAGES[1], PAGES[0], *PAGES[2:]]
    assert (len(chat.requests), len(result.warnings)) == (2, 1)


def test_an_onnx_cross_encoder_needs_no_extra(tmp_path: Path):
    save_onnx_classifier(tmp_path, weights=[1.0])
    (step,) = build({"kind": "cross-encoder", "runtime": "onnx", "model": str(tmp_path)}, using=parts())
    result = step.rerank(QUESTION, candidates())
    # Mean ids with [SEP]: silver 9/4, bronze 8/4, tin 7/4, lead 6/4, and gold 10/8, among many unknown words.
    assert [item.unit for item in result.ranking] == [PAGES[3], PAGES[2], PAGES[1], PAGES[0], PAGES[4]]
    assert result.warnings == ()


def test_a_model_that_is_loaded_is_not_loaded_again(tmp_path: Path):
    save_onnx_classifier(tmp_path, weights=[1.0])
    step = {"kind": "cross-encoder", "runtime": "onnx", "model": str(tmp_path)}
    using = parts()
    build(step, using=using)
    (tmp_path / "tokenizer.json").unlink()
    (again,) = build(step | {"n_head": 3, "max_chars": 99}, using=using)
    assert again.rerank(QUESTION, candidates()).warnings == ()
    with pytest.raises(ModelError, match=r"expected tokenizer\.json"):
        build(step | {"max_tokens": 99}, using=using)
    with pytest.raises(ModelError, match=r"expected tokenizer\.json"):
        build(step, using=parts())


@pytest.mark.parametrize("kind", ["pointwise", "listwise", "consistency-filter"])
def test_a_step_that_asks_a_model_needs_one(kind: str):
    with pytest.raises(ConfigError, match=f"{kind} needs a chat model; set models.default"):
        build({"kind": kind}, using=parts())


@pytest.mark.parametrize("kind", ["pointwise", "listwise", "consistency-filter"])
def test_a_step_that_looks_needs_pictures_and_a_model_that_takes_them(kind: str):
    with pytest.raises(ConfigError, match=f"{kind} is to show pages as 'both'.*set show: text"):
        build({"kind": kind, "show": "both"}, using=parts(FakeChat(order_reply)))
    blind = parts(FakeChat(order_reply, max_images=0), pictures=FakePictures())
    with pytest.raises(ConfigError, match="but fake takes 0; set show: text"):
        build({"kind": kind, "show": "image"}, using=blind)
    assert build({"kind": kind, "show": "image"}, using=parts(FakeChat(order_reply), pictures=FakePictures()))


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([{"kind": "listwise", "window": 3, "stride": 4}], "stride is 4, expected at most window, 3"),
        ([{"kind": "pointwise"}, {"kind": "pointwise"}], "the step pointwise stands there twice"),
        ([{"kind": "majority"}], "majority"),
        ([{"kind": "pointwise", "n_head": 0}], "n_head"),
        ([{"kind": "cross-encoder"}], "model"),
        ([{"kind": "cross-encoder", "model": "x", "runtime": "onnx", "device": "cuda"}], "runs on the CPU"),
        ([{"kind": "relevance-filter"}], "judge"),
        ([{"kind": "relevance-filter", "judge": {"kind": "listwise"}}], "listwise"),
        (
            [{"kind": "relevance-filter", "judge": {"kind": "pointwise"},
              "keep": {"kind": "adaptive", "min_kept": 9}}],
            "min_kept is 9, expected at most max_kept, 5",
        ),
    ],
)  # fmt: skip
def test_options_that_contradict_themselves_are_refused(steps: list[dict[str, Any]], problem: str):
    with pytest.raises(ValidationError, match=problem):
        RerankOptions.model_validate({"steps": steps})


def test_every_step_of_the_preset_can_be_used_those_in_comments_too():
    text = (resources.folder("configs") / "reranked.yaml").read_text("utf-8")
    active = RetrievalOptions.model_validate(yaml.safe_load(text)["retrieval"]).rerank.steps
    commented = [
        RerankOptions.model_validate({"steps": [yaml.safe_load(step)]}).steps[0]
        for step in re.findall(r"^ +# - (\{.*\})", text, re.MULTILINE)
    ]
    assert {step.kind for step in (*active, *commented)} == {
        "pointwise", "listwise", "yes-no", "cross-encoder", "vllm-score", "relevance-filter",
        "consistency-filter",
    }  # fmt: skip


def test_a_search_reranks_explains_and_keeps_every_source():
    chat = FakeChat(logprobs_reply)
    options = RetrievalOptions.model_validate(
        {"retrievers": ["bm25"], "rerank": {"steps": [{"kind": "pointwise", "max_calls": 3}]}}
    )
    stage = build_retrieval_stage(
        CORPUS, None, options, rerank_steps=build_rerankers(options.rerank, parts(chat))
    )
    result = stage.search(QUESTION, k=5)
    # All share two words with the question, so BM25 has them in unit order; of the first three, gold is best.
    assert [hit.unit for hit in result.hits] == [BEST_FIRST[0], PAGES[2], PAGES[0], PAGES[1], PAGES[3]]
    best = result.hits[0]
    assert (best.sources["pointwise"].rank, best.sources["bm25"].rank) == (1, 2)
    assert best.sources["pointwise"].score == pytest.approx(0.9)
    assert "pointwise" not in result.hits[-1].sources
    (step,) = [step for step in result.steps if step.name == "pointwise"]
    assert step.detail["n_judged"] == 3
    assert set(step.detail["logits"]) == {"a.pdf p. 1", "a.pdf p. 2", "a.pdf p. 3"}
    assert "2 results are not judged" in result.warnings[0]
    assert (result.usage.n_model_calls, result.usage.n_input_tokens) == (3, 300)
