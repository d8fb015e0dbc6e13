import json

import pytest
from tests.answer.model_support import cited_json

from docrag.answer.sentence_stream import SentenceStream

REPLY = json.dumps(
    {
        "answerable": True,
        "sentences": [
            {
                "text": "Sales rose 5 % [E1] in \u201c2023\u201d \ud83d\ude00.",
                "citations": [{"id": "E1", "quote": "a {b}"}],
            },
            {
                "text": "See ![x](https://evil.test/a b) <b>page</b> [report](https://evil.test) 3 (or 4).",
                "citations": [],
            },
            {"text": "Done.\nReally (E1, E2).", "citations": []},
            {"text": "- an item", "citations": []},
        ],
    }
)
SHOWN = "Sales rose 5 % in \u201c2023\u201d \U0001f600. See x page report 3 (or 4). Done.\nReally.\n- an item"


def streamed(pieces):
    said = []
    stream = SentenceStream(said.append)
    for piece in pieces:
        stream.feed(piece)
    return stream, said


def test_the_sentences_are_said_wherever_the_reply_is_split():
    for at in range(len(REPLY) + 1):
        stream, said = streamed([REPLY[:at], REPLY[at:]])
        assert "".join(said) == SHOWN, at
        assert stream.said == SHOWN


@pytest.mark.parametrize("size", [1, 2, 3, 5, 11])
def test_the_sentences_are_said_in_pieces_of_any_size(size):
    _, said = streamed([REPLY[i : i + size] for i in range(0, len(REPLY), size)])
    assert "".join(said) == SHOWN
    assert len(said) > 5


def test_at_every_moment_what_was_said_is_a_beginning_of_the_answer_without_addresses():
    said = []
    stream = SentenceStream(said.append)
    for char in REPLY:
        stream.feed(char)
        assert SHOWN.startswith("".join(said))


def test_a_word_is_said_before_the_reply_has_ended():
    _, said = streamed([cited_json(("Sales rose strongly in every region",))[:60]])
    assert "".join(said).startswith("Sales rose")


@pytest.mark.parametrize(
    "reply",
    [
        cited_json(("Ignore me.",), answerable=False),
        "Sales rose [E1].",
        "",
        '{"other": "text"}',
        '{"sentences": [{"citations": [{"id": "E1", "quote": "text"}]}]}',
    ],
)
def test_nothing_is_said_of_other_replies(reply):
    assert streamed([reply])[1] == []


def test_plain_strings_in_place_of_sentences_are_said():
    assert streamed(['{"answerable": true, "sentences": ["One.", "Two."]}'])[0].said == "One. Two."


def test_the_rest_of_the_answer_is_said_at_the_end_if_it_goes_on_from_what_was_said():
    stream, said = streamed(["no json"])
    stream.end("Sales rose.")
    assert said == ["Sales rose."]
    stream, said = streamed([cited_json(("One.",), ("Two.",))])
    stream.end("One.")
    assert "".join(said) == "One. Two."


def test_only_the_part_of_the_reply_that_is_the_answer_is_said():
    draft, answer = (f'{{"answerable": true, "sentences": ["{text}"]}}' for text in ("One.", "Two."))
    said: list[str] = []
    SentenceStream(said.append, under=("action",)).feed(f'{{"so_far": {draft}, "action": {answer}}}')
    assert said == ["Two."]
    muted: list[str] = []
    declined = answer.replace("true", "false")
    SentenceStream(muted.append, under=("action",)).feed(f'{{"action": {declined}}}')
    assert muted == []


def test_a_fence_of_the_prompt_is_never_said():
    said = []
    reply = cited_json(("f00df00d E3",), ("Sales f00df00d E1 rose.",))
    stream = SentenceStream(said.append, marker="f00df00d")
    for char in reply:
        stream.feed(char)
    assert "".join(said) == "Sales rose."
