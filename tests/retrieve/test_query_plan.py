"""What is searched for: gate, routes, parts and keywords, each with its way out when the model fails."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import pytest
from tests.retrieve.small_corpus import SmallCorpus, unit

from docrag.chat.messages import Message
from docrag.chat.model import CallUsage, Chats, Limits, Reply, Request
from docrag.chat.prompts import Prompts
from docrag.errors import ConfigError, ModelUnavailable
from docrag.protocols import Retriever
from docrag.retrieve.bm25 import Bm25Retriever
from docrag.retrieve.build import build_retrieval_stage
from docrag.retrieve.fusion.reciprocal_rank import ReciprocalRank
from docrag.retrieve.options import RetrievalOptions
from docrag.retrieve.query.build import build_planners
from docrag.retrieve.query.decompose import Decomposer
from docrag.retrieve.query.ensemble import INSTRUCTIONS, QueryEnsemble
from docrag.retrieve.query.gate import RetrievalGate
from docrag.retrieve.query.memory import N_PLANS, PlanMemory
from docrag.retrieve.query.merge import merged
from docrag.retrieve.query.options import QueryOptions
from docrag.retrieve.query.plan import Plan, Planner, SubQuery, plan_for
from docrag.retrieve.query.prompted_router import PromptedRouter
from docrag.retrieve.query.route import Route, RouterPlanner, RuleRouter
from docrag.retrieve.stage import RetrievalStage
from docrag.types import Query, Scope, Scored

PROMPTS = Prompts()


class Says:
    """A chat model that gives its replies in order; an exception among them is raised."""

    name = "says"
    limits = Limits()

    def __init__(self, *replies: object, logprobs: Mapping[str, float] | None = None) -> None:
        self._replies = list(replies)
        self._logprobs = logprobs
        self.asked: list[str] = []

    def count_text(self, text: str) -> int:
        return len(text) // 2

    def count_image(self, width_px: int, height_px: int) -> int:
        return 1

    def complete(self, messages: Sequence[Message], request: Request) -> Reply:
        self.asked.append("\n".join(message.text for message in messages))
        reply = self._replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        text = reply if isinstance(reply, str) else json.dumps(reply)
        return Reply(text, usage=CallUsage(n_input_tokens=10), first_logprobs=self._logprobs)


class Recorder:
    """A retriever that finds one page and remembers what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.queries: list[Query] = []

    def retrieve(self, query: Query, *, k: int) -> list[Scored]:
        self.queries.append(query)
        return [Scored(unit("a.pdf", 1), 1.0)]


DOWN = ModelUnavailable("the endpoint is down")
QUESTION = Query("Which river is longest?")


def ensemble(chat: Says, **options: object) -> QueryEnsemble:
    return QueryEnsemble(chat, PROMPTS.get("query_keywords"), n_parallel=1, **options)  # type: ignore[arg-type]


def splitter(chat: Says, **options: int) -> Decomposer:
    return Decomposer(chat, PROMPTS.get("query_split"), **options)


def gate(chat: Says, **options: float) -> RetrievalGate:
    return RetrievalGate(chat, PROMPTS.get("query_gate"), **options)


def prompted(chat: Says) -> PromptedRouter:
    return PromptedRouter(chat, PROMPTS.get("query_route"))


# ── keywords ─────────────────────────────────────────────────────────────────────────────────────────────


def test_keywords_of_all_replies_are_appended_once_each_for_bm25_alone():
    chat = Says({"keywords": ["stream", "length"]}, {"keywords": ["length", "km "]})
    plan = plan_for(QUESTION, [ensemble(chat, n_instructions=2)])
    original, widened = plan.queries
    assert widened.text == "Which river is longest? stream length km"
    assert (widened.serves("bm25"), widened.serves("visual")) == (True, False)
    assert (original.serves("bm25"), original.serves("visual")) == (False, True)
    assert original.text == QUESTION.text
    assert [call.n_input_tokens for call in plan.usage] == [10, 10]
    for instruction, asked in zip(INSTRUCTIONS, chat.asked, strict=False):
        assert instruction in asked
        assert QUESTION.text in asked


def test_fused_keywords_make_one_sub_query_per_reply_beside_the_question():
    chat = Says({"keywords": ["stream"]}, {"keywords": ["km"]})
    plan = plan_for(QUESTION, [ensemble(chat, n_instructions=2, mode="fuse")])
    assert [sub.text for sub in plan.queries] == [
        "Which river is longest?",
        "Which river is longest? stream",
        "Which river is longest? km",
    ]
    assert [sub.serves("dense") for sub in plan.queries] == [True, False, False]
    assert len({sub.label for sub in plan.queries}) == 3


def test_one_failing_instruction_leaves_the_others():
    plan = plan_for(QUESTION, [ensemble(Says(DOWN, {"keywords": ["km"]}), n_instructions=2)])
    assert plan.queries[1].text == "Which river is longest? km"
    assert plan.warnings == ("query ensemble: the endpoint is down",)


@pytest.mark.parametrize("reply", [{"keywords": []}, {"keywords": [" ", "x" * 500]}, DOWN])
def test_without_usable_keywords_the_plan_stays(reply: object):
    plan = plan_for(QUESTION, [ensemble(Says(reply), n_instructions=1)])
    assert plan.queries == (SubQuery(QUESTION.text),)


def test_too_many_instructions_are_refused():
    with pytest.raises(ValueError, match="n_instructions is 11"):
        ensemble(Says(), n_instructions=11)


# ── parts ────────────────────────────────────────────────────────────────────────────────────────────────


def test_parts_stand_beside_the_question():
    parts = ["How long is the Aar?", "How long is the Elm?", "HOW LONG IS THE AAR? ", "third"]
    plan = plan_for(
        QUESTION, [splitter(Says({"several": True, "sub_questions": [QUESTION.text, *parts]}), max_parts=2)]
    )
    assert [sub.text for sub in plan.queries] == [QUESTION.text, *parts[:2]]


@pytest.mark.parametrize(
    "reply", [{"several": False, "sub_questions": ["x?"]}, {"several": True, "sub_questions": []}]
)
def test_a_single_question_stays_single(reply: object):
    assert len(plan_for(QUESTION, [splitter(Says(reply))]).queries) == 1


def test_a_reply_in_the_wrong_format_is_asked_for_once_more():
    chat = Says("no idea", {"several": True, "sub_questions": ["x?"]})
    assert len(plan_for(QUESTION, [splitter(chat)]).queries) == 2
    assert "no JSON object" in chat.asked[1]


def test_a_second_wrong_reply_leaves_the_plan_with_a_warning():
    plan = plan_for(QUESTION, [splitter(Says("no", "idea"))])
    assert len(plan.queries) == 1
    assert plan.warnings == (
        "decomposition: says: neither of two replies can be used; the last: there is no JSON object in the"
        " reply",
    )


# ── routes ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("question", "routes"),
    [
        ("What colour is the pie chart?", {Route.FIGURE}),
        ("Which row of the table is last?", {Route.TABLE}),
        ("How many tables are in the report?", {Route.TABLE, Route.DOCUMENT}),
        ("Summarise the findings", {Route.DOCUMENT}),
        ("Hello!", {Route.NONE}),
        ("What is 12 * (3 + 4)?", {Route.NONE}),
        ("What was the revenue in 2023-2024?", set()),
        ("2024", set()),
    ],
)
def test_rules_route_by_words(question: str, routes: set[Route]):
    assert RuleRouter().route(question).routes == routes


def test_a_routed_question_searches_its_kinds_and_whole_pages():
    plan = plan_for(Query("What does the chart show?"), [RouterPlanner(RuleRouter())])
    by_label = {sub.label.rpartition("→ ")[2]: sub for sub in plan.queries}
    assert by_label.keys() == {"figure", "page"}
    assert by_label["page"].kinds is None
    assert "picture" in (by_label["figure"].kinds or ())
    assert plan.fallback == (SubQuery("What does the chart show?"),)


def test_without_keep_page_only_the_route_is_searched():
    plan = plan_for(Query("What does the chart show?"), [RouterPlanner(RuleRouter(), keep_page=False)])
    assert [sub.label for sub in plan.queries] == ["question → figure"]


def test_routes_below_the_threshold_do_not_count():
    chat = Says({"routes": [{"route": "table", "confidence": 0.9}, {"route": "figure", "confidence": 0.2}]})
    assert prompted(chat).route("?").routes == {Route.TABLE}


@pytest.mark.parametrize("reply", [DOWN, {"routes": []}])
def test_a_router_that_fails_or_chooses_nothing_searches_everything(reply: object):
    plan = plan_for(QUESTION, [RouterPlanner(prompted(Says(reply)))])
    assert (plan.queries, plan.retrieve) == ((SubQuery(QUESTION.text),), True)


@pytest.mark.parametrize(("may_skip", "retrieve"), [(True, False), (False, True)])
def test_no_document_needed_ends_retrieval_only_where_allowed(may_skip: bool, retrieve: bool):
    plan = plan_for(Query("Hello"), [RouterPlanner(RuleRouter(), may_skip=may_skip)])
    assert plan.retrieve is retrieve


def test_none_beside_another_route_is_ignored():
    routes = [{"route": "none", "confidence": 1}, {"route": "table", "confidence": 1}]
    plan = plan_for(QUESTION, [RouterPlanner(prompted(Says({"routes": routes})), may_skip=True)])
    assert plan.retrieve
    assert len(plan.queries) == 2


# ── gate ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("yes", "retrieve"), [(0.6, True), (0.5, False), (0.2, False)])
def test_the_gate_opens_above_gamma(yes: float, retrieve: bool):
    chat = Says("yes", logprobs={"yes": math.log(yes), "no": math.log(1 - yes)})
    plan = plan_for(QUESTION, [gate(chat), splitter(Says({"several": False, "sub_questions": []}))])
    assert plan.retrieve is retrieve


def test_a_gate_that_fails_retrieves():
    plan = plan_for(QUESTION, [gate(Says(DOWN))])
    assert plan.retrieve
    assert "searched all the same" in plan.warnings[0]


def test_what_comes_after_a_closed_gate_is_not_asked():
    chat = Says()
    plan_for(QUESTION, [gate(Says("no")), splitter(chat)])
    assert chat.asked == []


# ── every planner ────────────────────────────────────────────────────────────────────────────────────────

PLANNERS: dict[str, Planner] = {
    "ensemble": ensemble(Says(*[DOWN] * 10), n_instructions=5),
    "decompose": splitter(Says(DOWN, DOWN)),
    "route": RouterPlanner(prompted(Says(DOWN, DOWN))),
    "gate": gate(Says(DOWN, DOWN)),
}


@pytest.mark.parametrize("planner", PLANNERS.values(), ids=PLANNERS.keys())
def test_a_failing_model_leaves_the_plan_and_an_empty_question_asks_nothing(planner: Planner):
    plan = Plan((SubQuery(QUESTION.text),))
    assert planner.revise(Query("  "), plan) == plan
    revised = planner.revise(QUESTION, plan)
    assert (revised.queries, revised.retrieve) == (plan.queries, True)
    assert "the endpoint is down" in revised.warnings[0]


def test_planners_stack_with_labels_of_their_own():
    planners = [
        RouterPlanner(RuleRouter()),
        splitter(Says({"several": True, "sub_questions": ["Which bar is red?"]})),
        ensemble(Says({"keywords": ["colour"]}), n_instructions=1),
    ]
    plan = plan_for(Query("Which chart is red?"), planners)
    labels = [sub.label for sub in plan.queries]
    assert len(set(labels)) == len(labels) == 8  # figure and page, question and part, with and without words


# ── merging, and the stage ───────────────────────────────────────────────────────────────────────────────


def test_one_list_keeps_its_scores():
    ranking = [Scored(unit("a.pdf", 1), 7.5)]
    assert merged([(SubQuery("x"), ranking)], k=5) == ranking
    assert merged([], k=5) == []


def test_lists_merge_by_weighted_reciprocal_ranks():
    a, b = unit("a.pdf", 1), unit("b.pdf", 1)
    lists = [
        (SubQuery("x", "1"), [Scored(a, 900.0), Scored(b, 1.0)]),
        (SubQuery("y", "2", weight=2.0), [Scored(b, 0.5)]),
    ]
    assert merged(lists, k=5) == [
        Scored(b, pytest.approx(1 / 62 + 2 / 61)),  # type: ignore[arg-type]
        Scored(a, pytest.approx(1 / 61)),  # type: ignore[arg-type]
    ]
    assert [place.unit for place in merged(lists, k=1)] == [b]


def stage(retrievers: Sequence[Retriever], *planners: Planner) -> RetrievalStage:
    corpus = SmallCorpus({"a.pdf": ["Table one\n\nwords about rivers", "a chart of rivers"]})
    fusion = ReciprocalRank({retriever.name: 1.0 for retriever in retrievers})
    return RetrievalStage(corpus, retrievers, fusion, planners=planners)


def test_each_retriever_is_asked_what_is_for_it():
    bm25, dense = Recorder("bm25"), Recorder("dense")
    chat = Says({"keywords": ["stream"]})
    result = stage([bm25, dense], ensemble(chat, n_instructions=1)).search(QUESTION, k=3)
    assert [query.text for query in bm25.queries] == ["Which river is longest? stream"]
    assert [query.text for query in dense.queries] == ["Which river is longest?"]
    assert result.plan is not None
    assert result.usage.n_model_calls == 1
    assert result.steps[0].detail["searched"] == [sub.text for sub in result.plan.queries]


def test_kinds_of_a_route_narrow_those_of_the_query():
    bm25 = Recorder("bm25")
    asked = Query("Which table?", scope=Scope(kinds=("table", "text")))
    stage([bm25], RouterPlanner(RuleRouter(), keep_page=False)).search(asked, k=3)
    assert [query.scope.kinds for query in bm25.queries] == [("table",)]


def test_a_route_that_finds_nothing_falls_back_to_everything():
    corpus = SmallCorpus({"a.pdf": ["rivers and charts"]})  # no picture, no caption
    planner = RouterPlanner(RuleRouter(), keep_page=False)
    routed = RetrievalStage(
        corpus, [Bm25Retriever(corpus)], ReciprocalRank({"bm25": 1.0}), planners=[planner]
    )
    result = routed.search(Query("Which chart shows rivers to me"), k=3)
    assert [hit.unit for hit in result.hits] == [unit("a.pdf", 1)]
    assert result.plan is not None
    assert "searched everything" in result.plan.notes[-1]


def test_a_retriever_that_no_sub_query_is_for_ranks_nothing():
    bm25, dense = Recorder("bm25"), Recorder("dense")
    paragraphs = Says({"routes": [{"route": "paragraph", "confidence": 1}]})
    planner = RouterPlanner(prompted(paragraphs), keep_page=False)
    visual = Recorder("visual")
    result = stage([bm25, dense, visual], planner).search(QUESTION, k=3)
    assert result.rankings.keys() == {"bm25", "dense"}
    assert visual.queries == []


def test_a_closed_gate_asks_no_retriever_and_finds_nothing():
    bm25 = Recorder("bm25")
    result = stage([bm25], gate(Says("no"))).search(QUESTION, k=3)
    assert (result.hits, bm25.queries) == ((), [])
    assert result.plan is not None
    assert not result.plan.retrieve


def test_a_question_is_planned_once_and_paid_once():
    chat = Says({"several": True, "sub_questions": ["x?"]})
    searched = stage([Recorder("bm25")], splitter(chat))
    first, second = (searched.search(QUESTION, k=k) for k in (3, 5))
    assert len(chat.asked) == 1
    assert (first.usage.n_model_calls, second.usage.n_model_calls) == (1, 0)
    assert first.plan is not None
    assert second.plan is not None
    assert first.plan.queries == second.plan.queries


def test_a_literal_query_is_searched_for_as_it_stands():
    chat = Says()
    result = stage([Recorder("bm25")], splitter(chat)).search(Query("exact words", is_literal=True), k=3)
    assert chat.asked == []
    assert result.plan is not None
    assert [sub.text for sub in result.plan.queries] == ["exact words"]


def test_a_plan_that_failed_is_not_remembered():
    chat = Says(DOWN, {"several": True, "sub_questions": ["x?"]})
    searched = stage([Recorder("bm25")], splitter(chat))
    assert searched.search(QUESTION, k=3).warnings
    again = searched.search(QUESTION, k=3)
    assert again.plan is not None
    assert len(again.plan.queries) == 2


def test_only_so_many_plans_are_remembered():
    chat = Says(*[{"several": False, "sub_questions": []}] * 200)
    memory = PlanMemory([splitter(chat)])
    for n in range(N_PLANS + 1):
        memory.plan_for(Query(f"question {n}"))
    memory.plan_for(Query("question 1"))
    assert len(chat.asked) == N_PLANS + 1
    memory.plan_for(Query("question 0"))
    assert len(chat.asked) == N_PLANS + 2


def test_a_failed_planner_is_a_warning_of_the_search():
    result = stage([Recorder("bm25")], splitter(Says(DOWN))).search(QUESTION, k=3)
    assert result.warnings == ("decomposition: the endpoint is down",)
    assert len(result.hits) == 1


# ── options ──────────────────────────────────────────────────────────────────────────────────────────────


def test_options_build_planners_in_their_order():
    options = QueryOptions.model_validate({"ensemble": {}, "decompose": {}, "route": {}, "gate": {}})
    planners = build_planners(options, chats=lambda: Chats(Says()), prompts=PROMPTS)
    assert [planner.name for planner in planners] == ["gate", "route", "decompose", "ensemble"]
    assert build_planners(QueryOptions(), chats=None, prompts=PROMPTS) == []


def test_rules_need_no_model_and_the_others_say_so():
    assert build_planners(QueryOptions.model_validate({"route": {}}), chats=None, prompts=PROMPTS)
    for name in ("gate", "decompose", "ensemble"):
        options = QueryOptions.model_validate({name: {}})
        with pytest.raises(ConfigError, match=rf"query\.{name} needs a chat model; set models\.default"):
            build_planners(options, chats=None, prompts=PROMPTS)


# ── references as filters ────────────────────────────────────────────────────────────────────────────────


def found(question: str, **options: object) -> list[int]:
    corpus = SmallCorpus({"a.pdf": ["lake fish", "lake boats", "lake lake lake\n\nTable 2 lakes"]})
    settings = RetrievalOptions.model_validate({"retrievers": ["bm25"], "references": "filter", **options})
    return [
        hit.page_no for hit in build_retrieval_stage(corpus, None, settings).search(Query(question), k=5).hits
    ]


def test_named_pages_are_a_filter():
    assert found("Where is the lake on page 2?") == [2]
    assert found("Which lake is in Table 2?") == [3]


def test_a_page_that_is_not_there_filters_nothing():
    assert sorted(found("Where is the lake on page 9?")) == [1, 2, 3]


def test_what_the_filter_cut_says_why():
    corpus = SmallCorpus({"a.pdf": ["lake fish", "lake boats"]})
    settings = RetrievalOptions.model_validate({"retrievers": ["bm25"], "references": "filter"})
    result = build_retrieval_stage(corpus, None, settings).search(Query("the lake on page 2"), k=5)
    assert [(cut.unit.page_no, "names" in cut.reason) for cut in result.cuts] == [(1, True)]


def test_padding_does_not_bring_back_what_the_filter_took():
    assert found("Where is the lake on page 2?", pad_to=[3]) == [2]
    cut = {"references": "boost", "cutoff": {"kind": "fixed", "k": 1}}
    assert sorted(found("Where is the lake on page 2?", pad_to=[3], **cut)) == [1, 2, 3]


def test_a_filter_without_weight_is_refused():
    with pytest.raises(ConfigError, match="reference_weight is 0"):
        found("x", reference_weight=0)
