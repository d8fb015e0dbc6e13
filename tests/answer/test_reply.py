import json

import pytest
from tests.answer.model_support import cited_json

from docrag.answer.reply import (
    CUT_OFF,
    MAX_SENTENCES,
    NO_FORMAT,
    CitedReply,
    cited_ids,
    read_cited,
    split_ids,
)
from docrag.errors import ModelFormatError


def shown(reply: CitedReply) -> list:
    return [(s.text, [(c.id, c.quote) for c in s.citations]) for s in reply.sentences]


REPLY = cited_json(("Sales rose.", ("E1", "rose by 5 %")), ("Costs fell.", ("E2", "fell"), ("E1", "x")))
EXPECTED = [("Sales rose.", [("E1", "rose by 5 %")]), ("Costs fell.", [("E2", "fell"), ("E1", "x")])]


@pytest.mark.parametrize(
    "text",
    [
        REPLY,
        f"```json\n{REPLY}\n```",
        f"Let me think {{about}} it. {REPLY} Hope that helps!",
        f'{{"answerable": false}} no, wait: {REPLY}',
    ],
)
def test_the_object_is_found_whatever_stands_around_it(text):
    read = read_cited(text)
    assert (shown(read.reply), read.reply.answerable, read.notes) == (EXPECTED, True, ())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"answerable": True, "sentences": ["One."]}, [("One.", [])]),
        ({"answerable": True, "sentences": "One."}, [("One.", [])]),
        ({"sentences": [{"text": "One.", "citations": ["E1", 2]}]}, [("One.", [("E1", ""), ("2", "")])]),
        ({"sentences": [{"text": "One.", "citations": "E1"}]}, [("One.", [("E1", "")])]),
        ({"sentences": [{"text": "One.", "citations": None}]}, [("One.", [])]),
        (
            {"sentences": [{"text": "One.", "citations": {"evidence_id": "E1", "quote": None}}]},
            [("One.", [("E1", "")])],
        ),
        ({"answerable": True, "answer": "One."}, [("One.", [])]),
        ({"answerable": True, "sentences": [{"text": " "}, {"text": "One."}]}, [("One.", [])]),
    ],
)
def test_objects_that_nearly_follow_the_format_are_read(value, expected):
    read = read_cited(json.dumps(value))
    assert (shown(read.reply), read.reply.answerable) == (expected, True)


@pytest.mark.parametrize(
    "text",
    [
        cited_json(answerable=False),
        cited_json(("A guess.",), answerable=False),
        cited_json(),
        cited_json(("Not answerable",)),
        "Not answerable.",
        "The question is not answerable from the pages shown.",
    ],
)
def test_a_refusal_to_answer_has_no_sentences(text):
    reply = read_cited(text).reply
    assert (reply.answerable, reply.sentences) == (False, [])


@pytest.mark.parametrize(
    "text",
    [
        '{"answerable": null}',
        '{"response": "It was 46,298."}',
        '```json\n{"response": "It was 46,298."}\n```',
        '{"answerable": tr',
        '{"a":' * 50,
    ],
)
def test_an_object_of_another_kind_is_no_answer_in_plain_words(text: str):
    with pytest.raises(ModelFormatError, match='no "answerable" and no "sentences"'):
        read_cited(text)


def test_braces_inside_an_answer_in_plain_words_stay():
    read = read_cited('The settings are {"depth": 7} [E1].')
    assert [s.text for s in read.reply.sentences] == ['The settings are {"depth": 7}.']


def test_a_reply_that_breaks_off_keeps_what_it_had():
    for end in range(REPLY.index("Sales") + 5, len(REPLY)):
        read = read_cited(REPLY[:end])
        assert read.notes == (CUT_OFF,)
        assert "Sales rose.".startswith(read.reply.sentences[0].text)
        if "fell." in REPLY[:end]:
            assert shown(read.reply)[0] == EXPECTED[0]


def test_plain_text_with_marks_becomes_sentences():
    read = read_cited(
        "Sales rose 5 % [E1]. Costs, e.g. wages (see Fig. 3), fell. [E2, E3]\n- a list item 【E1】\n"
    )
    assert read.notes == (NO_FORMAT,)
    assert shown(read.reply) == [
        ("Sales rose 5 %.", [("E1", "")]),
        ("Costs, e.g. wages (see Fig. 3), fell.", [("E2", ""), ("E3", "")]),
        ("- a list item", [("E1", "")]),
    ]


@pytest.mark.parametrize("text", ["", "   \n", "```\n```", "x" * 200_001])
def test_nothing_and_too_much_are_refused(text):
    with pytest.raises(ModelFormatError):
        read_cited(text)


def test_what_is_read_of_one_reply_has_an_end():
    many = read_cited(json.dumps({"answerable": True, "sentences": ["One."] * 1000})).reply
    assert len(many.sentences) == MAX_SENTENCES


@pytest.mark.parametrize(
    ("text", "without", "ids"),
    [
        ("Sales rose [E1].", "Sales rose.", ["E1"]),
        ("Sales [E1] rose (E2, E3) and [E4][E5] fell", "Sales rose and fell", ["E1", "E2", "E3", "E4", "E5"]),
        ("[E1](https://x.test) rose", "rose", ["E1"]),
        ("[\u04151] rose", "rose", ["\u04151"]),
        ("[E\uff11] rose", "rose", ["E\uff11"]),
        ("[e1] rose [Evidence E2]", "rose [Evidence E2]", ["e1"]),
        ("in [0, 1], f(2), (2023) [sic] [12] [a]", "in [0, 1], f(2), (2023) [sic] [12] [a]", []),
        ("the E1 form (E-mail)", "the E1 form (E-mail)", []),
    ],
)
def test_marks_are_taken_out_and_named(text, without, ids):
    assert cited_ids(text) == (without, ids)


def test_numbers_in_brackets_are_marks_where_asked_for():
    assert cited_ids("rose [1, 2].", with_numbers=True) == ("rose.", ["1", "2"])
    assert cited_ids("in [2023].", with_numbers=True) == ("in [2023].", [])


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("E1", ["E1"]),
        ("[E1]", ["E1"]),
        ("E1, E2", ["E1", "E2"]),
        ("E1,x", ["E1,x"]),
        (" E1", [" E1"]),
        ("", [""]),
    ],
)
def test_ids_of_a_citation(text, ids):
    assert split_ids(text) == ids
