"""Reranking inside the retrieval stage: order, cuts, warnings, cost, and rerankers that break their word."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from tests.retrieve.small_corpus import FixedRetriever, SmallCorpus, unit

from docrag.chat.events import SILENCE, Listener
from docrag.chat.model import CallUsage
from docrag.errors import ConfigError, ModelError
from docrag.retrieve.cutoff.cut import Cut
from docrag.retrieve.fusion.weighted_sum import WeightedSum
from docrag.retrieve.rerank.reranked import Reranked
from docrag.retrieve.stage import RetrievalStage
from docrag.types import Fused, Query, Scored, SourceScore

CORPUS = SmallCorpus({"a.pdf": ["one", "two", "three"]})
PAGES = [unit("a.pdf", n) for n in (1, 2, 3)]


def stage(**parts: object) -> RetrievalStage:
    ranking = [Scored(page, 3.0 - i) for i, page in enumerate(PAGES)]
    return RetrievalStage(
        CORPUS,
        [FixedRetriever("one", ranking)],
        WeightedSum({"one": 1}),
        **parts,  # type: ignore[arg-type]
    )


class Last:
    """A step that cuts the last unit, and says so."""

    name = "last"

    def rerank(self, query: Query, candidates: Sequence[Fused], *, listener: Listener = SILENCE) -> Reranked:
        last = candidates[-1]
        return Reranked(
            candidates[:-1],
            cuts=(Cut(last.unit, self.name, len(candidates), last.score, "it is the last"),),
            warnings=("last: mind the gap",),
            usage=(CallUsage(elapsed_s=0.5, n_input_tokens=7, n_images=1),),
            detail={"n_judged": len(candidates)},
        )


class Custom:
    def __init__(self, change: Callable[[list[Fused]], list[Fused]]) -> None:
        self._change = change

    def rerank(self, query: Query, candidates: Sequence[Fused]) -> list[Fused]:
        return self._change(list(candidates))


def test_steps_run_in_order_and_their_reports_are_in_the_result():
    result = stage(rerank_steps=[Last(), Last()]).search(Query("x"), k=3)
    assert [hit.unit for hit in result.hits] == PAGES[:1]
    assert [(cut.unit, cut.ranking, cut.rank, cut.reason) for cut in result.cuts] == [
        (PAGES[2], "last", 3, "it is the last"),
        (PAGES[1], "last", 2, "it is the last"),
    ]
    assert result.warnings == ("last: mind the gap", "last: mind the gap")
    assert (result.usage.n_model_calls, result.usage.n_input_tokens, result.usage.n_images) == (2, 14, 2)
    steps = [step for step in result.steps if step.name == "last"]
    assert [step.detail for step in steps] == [{"n_units": 2, "n_judged": 3}, {"n_units": 1, "n_judged": 2}]


def test_padding_leaves_out_what_a_step_took():
    result = stage(rerank_steps=[Last()], pad_to=[3]).search(Query("x"), k=3)
    assert [hit.unit for hit in result.hits] == PAGES[:2]


def test_a_search_without_rerankers_warns_of_nothing_and_costs_nothing():
    result = stage().search(Query("x"), k=3)
    assert (result.warnings, result.usage.n_model_calls) == ((), 0)


def test_a_reranker_from_anywhere_may_reorder():
    result = stage(rerankers=[Custom(lambda c: c[::-1])]).search(Query("x"), k=3)
    assert [hit.unit for hit in result.hits] == PAGES[::-1]
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c[:2], "returned 2 of 3 units; a.pdf p. 3 is missing"),
        (lambda c: [c[0], *c], "returned a.pdf p. 1 more than once"),
        (
            lambda c: [*c, Fused(unit("b.pdf", 9, 2), 1.0, {})],
            "returned b.pdf p. 9 region 2, which it was not",
        ),
        (lambda c: [c[2]._replace(score=float("nan")), c[0], c[1]], "gave a.pdf p. 3 the score nan"),
        (lambda c: [c[2]._replace(score=float("inf")), c[0], c[1]], "gave a.pdf p. 3 the score inf"),
    ],
)
def test_a_reranker_that_breaks_its_word_is_passed_over_with_a_warning(
    change: Callable[[list[Fused]], list[Fused]], problem: str
):
    result = stage(rerankers=[Custom(change)]).search(Query("x"), k=3)
    assert [hit.unit for hit in result.hits] == PAGES
    assert [hit.sources for hit in result.hits] == [{"one": SourceScore(i, 4.0 - i)} for i in (1, 2, 3)]
    (warning,) = result.warnings
    assert warning.startswith(f"Custom: {problem}")
    assert warning.endswith("the order stays as it was")


def test_a_reranker_that_fails_is_passed_over_but_wrong_configuration_is_an_error():
    def fails(error: Exception) -> Callable[[list[Fused]], list[Fused]]:
        def change(_: list[Fused]) -> list[Fused]:
            raise error

        return change

    result = stage(rerankers=[Custom(fails(ModelError("no weights")))]).search(Query("x"), k=3)
    assert [hit.unit for hit in result.hits] == PAGES
    assert result.warnings == ("Custom: no weights; the order stays as it was",)
    with pytest.raises(ConfigError, match="bad"):
        stage(rerankers=[Custom(fails(ConfigError("bad")))]).search(Query("x"), k=3)
