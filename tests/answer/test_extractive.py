import json
from dataclasses import replace

import pytest
from tests.answer.conftest import FakeCorpus, Found, make_page

from docrag.answer.abstention import reason_to_abstain
from docrag.answer.extractive.answerer import ExtractiveAnswerer
from docrag.answer.extractive.confidence import METHODS, Calibration, load_calibration
from docrag.answer.options import ExtractiveOptions
from docrag.answer.trace import TraceBuilder
from docrag.chat.events import SILENCE, Listener
from docrag.protocols import Answerer
from docrag.types import NOT_ANSWERABLE, Abstention, Query, Scope, Usage

TABLE = make_page(
    [
        "Tweets by company and day",
        [(200, "Monday"), (300, "Tuesday")],
        [(72, "Lufthansa"), (200, "12"), (300, "17")],
        [(72, "Airbus"), (200, "5"), (300, "8")],
    ],
    label="iv",
)
QUESTION = Query("How many tweets did Airbus send on Tuesday?")
EAGER = ExtractiveOptions(threshold=0.0)


def answerer(corpus: FakeCorpus, options: ExtractiveOptions = EAGER, **more: object) -> Answerer:
    return ExtractiveAnswerer(corpus, corpus.search, options, **more)


def test_an_answer_is_short_cited_boxed_and_explained():
    answer = answerer(FakeCorpus({"a.pdf": [TABLE]})).answer(QUESTION)
    assert (answer.text, answer.abstained, answer.reason) == ("8", False, None)
    (citation,) = answer.citations
    assert (citation.doc, citation.page_no, citation.page_label) == ("a.pdf", 1, "iv")
    assert (citation.quote, citation.support, len(citation.boxes)) == ("Airbus 5 8", "full", 1)
    assert citation.evidence_id in {e.evidence_id for e in answer.evidence}
    assert answer.confidence is not None
    assert 0 <= answer.confidence <= 1
    assert answer.usage.elapsed_s > 0
    assert [s.name for s in answer.trace] == ["read question", "find candidates", "judge", "verify citations"]


def test_what_searches_warn_of_and_cost_is_in_the_answer():
    corpus = FakeCorpus({"a.pdf": [TABLE]})

    def search(query: Query, *, k: int, listener: Listener = SILENCE) -> Found:
        cost = Usage(
            elapsed_s=9, n_model_calls=2, n_input_tokens=30, n_output_tokens=4, n_images=1, cost_usd=0.5
        )
        return replace(corpus.search(query, k=k), warnings=("pointwise: nobody there",), usage=cost)

    answer = ExtractiveAnswerer(corpus, search, EAGER).answer(
        Query("What is the difference between the tweets of Airbus on Tuesday and Lufthansa on Monday?")
    )
    assert answer.warnings.count("pointwise: nobody there") == 1
    usage = answer.usage
    assert usage.n_model_calls >= 2
    n_searches = usage.n_model_calls // 2
    assert (usage.n_input_tokens, usage.n_output_tokens) == (30 * n_searches, 4 * n_searches)
    assert (usage.n_images, usage.cost_usd) == (n_searches, 0.5 * n_searches)
    assert usage.elapsed_s < 9  # the answer's own time, which holds that of its searches


def test_the_same_question_gets_the_same_answer_whatever_was_asked_before():
    one = answerer(FakeCorpus({"a.pdf": [TABLE]}))
    first = one.answer(QUESTION)
    one.answer(Query("Who is the chairman?"))
    again = one.answer(QUESTION)
    assert (first.text, first.citations, first.confidence) == (again.text, again.citations, again.confidence)


def test_below_the_threshold_the_answer_is_withheld_without_citations():
    answer = answerer(FakeCorpus({"a.pdf": [TABLE]}), ExtractiveOptions(threshold=1.0)).answer(QUESTION)
    assert (answer.text, answer.abstained, answer.reason) == (
        NOT_ANSWERABLE,
        True,
        Abstention.NOT_IN_DOCUMENTS,
    )
    assert answer.citations == ()
    assert answer.evidence != ()


def test_an_abstention_names_what_the_documents_do_not_have():
    question = Query("How many tweets did Boeing send on Tuesday?")
    answer = answerer(FakeCorpus({"a.pdf": [TABLE]}), ExtractiveOptions(threshold=1.0)).answer(question)
    assert answer.warnings == ("not found in the documents: Boeing",)


@pytest.mark.parametrize("text", ["", "?", "the of and", "zzz qqq", "x" * 5000, "\x00\ud800"])
def test_a_question_that_finds_nothing_is_an_abstention(text):
    answer = answerer(FakeCorpus({"a.pdf": [TABLE]})).answer(Query(text))
    assert answer.abstained
    assert answer.confidence == pytest.approx(0.0)


def test_pages_that_failed_are_the_reason_and_a_warning():
    corpus = FakeCorpus({"a.pdf": [TABLE, None, None]})
    answer = answerer(corpus, ExtractiveOptions(threshold=1.0)).answer(QUESTION)
    assert answer.reason is Abstention.UNREADABLE_PAGES
    assert answer.warnings == ("a.pdf: 2 pages could not be read (2, 3; parser_crash)",)


def test_a_failed_page_outside_the_scope_does_not_matter():
    corpus = FakeCorpus({"a.pdf": [TABLE, None]})
    answer = answerer(corpus).answer(replace(QUESTION, scope=Scope(pages=((1, 1),))))
    assert (answer.text, answer.warnings) == ("8", ())


def test_blank_pages_are_unreadable_too():
    corpus = FakeCorpus({"a.pdf": [make_page([], page_no=1), make_page([], page_no=2)]})
    assert reason_to_abstain(corpus, Scope()) is Abstention.UNREADABLE_PAGES


def test_metadata_that_leaves_no_document_is_no_incomplete_index():
    scope = Scope(docs=("a.pdf",), metadata={"year": "2024"})
    assert reason_to_abstain(FakeCorpus({"a.pdf": [TABLE]}), scope) is Abstention.NOT_IN_DOCUMENTS
    assert reason_to_abstain(FakeCorpus({}), scope) is Abstention.INDEX_INCOMPLETE


def test_an_empty_index_and_unfinished_documents_are_an_incomplete_index():
    assert answerer(FakeCorpus({})).answer(QUESTION).reason is Abstention.INDEX_INCOMPLETE
    corpus = FakeCorpus({"a.pdf": [TABLE]})
    answer = answerer(corpus, ExtractiveOptions(threshold=1.0), unfinished=lambda: ["b.pdf"]).answer(QUESTION)
    assert answer.reason is Abstention.INDEX_INCOMPLETE
    assert "b.pdf" in answer.warnings[0]


def test_the_packaged_calibration_knows_every_method_and_gives_probabilities():
    table = load_calibration()
    named = {name.removeprefix("method:") for name in table.weights if name.startswith("method:")}
    assert named <= set(METHODS)
    assert 0 < table.threshold < 1
    assert table.probability(-1000.0) < table.threshold < table.probability(1000.0)
    assert table.slope > 0


def test_a_higher_score_is_never_less_likely():
    table = Calibration({}, 0.0, slope=0.5, offset=-1.0, threshold=0.2)
    found = [table.probability(s) for s in (-3.0, 0.0, 2.0)]
    assert found == sorted(found)
    assert found[1] == pytest.approx(0.2689, abs=1e-4)  # 1 / (1 + e)


def test_a_trace_holds_steps_in_order_with_their_times_also_of_those_that_raise():
    ticks = iter([0.0, 1.0, 3.5, 4.0, 4.25, 5.0])
    trace = TraceBuilder(clock=lambda: next(ticks), trace_id="t")
    with trace.step("search") as detail:
        detail["k"] = 5
    with pytest.raises(KeyError), trace.step("read"):
        raise KeyError("page")
    built = trace.build()
    assert [(s.name, s.elapsed_s, dict(s.detail)) for s in built] == [
        ("search", 2.5, {"k": 5}),
        ("read", 0.25, {}),
    ]
    assert (built.trace_id, trace.elapsed_s) == ("t", 5.0)


def test_trace_details_can_be_written_as_json():
    answer = answerer(FakeCorpus({"a.pdf": [TABLE]})).answer(QUESTION)
    assert json.loads(json.dumps([dict(s.detail) for s in answer.trace]))[1]["pages"] == [["a.pdf", 1]]
