import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.answer.partial_json import MAX_DEPTH, JsonStrings, read_truncated

VALUES = st.recursive(
    st.booleans() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=4)


def read(pieces):
    """Texts by path, and values by path, as the reader tells them."""
    texts, values = {}, {}
    reader = JsonStrings(
        lambda path, piece: texts.__setitem__(path, texts.get(path, "") + piece),
        lambda path, value: values.__setitem__(path, value),
    )
    for piece in pieces:
        reader.feed(piece)
    return texts, values, reader


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from leaves(inner, (*path, i))
    else:
        yield path, value


@given(OBJECTS, st.booleans(), st.data())
def test_values_are_those_of_the_json_module_wherever_the_text_is_split(value, ascii_only, data):
    text = json.dumps(value, ensure_ascii=ascii_only)
    at = data.draw(st.integers(0, len(text)))
    texts, values, reader = read([text[:at], text[at:]])
    expected = dict(leaves(json.loads(text)))
    assert {path: v for path, v in values.items() if v is not None} == expected
    assert {path: t for path, t in texts.items() if t} == {
        path: v for path, v in expected.items() if isinstance(v, str) and v
    }
    assert reader.is_done
    assert not reader.is_broken


@given(OBJECTS)
def test_a_whole_object_is_read_as_the_json_module_reads_it(value):
    assert read_truncated("Sure: " + json.dumps(value)) == value


SAMPLE = (
    '{"a": [{"t": "x\\n\\u00e9\\ud83d\\ude00y", "n": -1.5e3}, null, "s"], "b": true, "c": {"d": "\\"q\\""}}'
)


def test_a_text_that_breaks_off_gives_what_was_complete():
    whole = json.loads(SAMPLE)
    for end in range(len(SAMPLE) + 1):
        for path, value in leaves(read_truncated(SAMPLE[:end])):
            node = whole
            for step in path:
                node = node[step]
            if isinstance(value, str):
                assert node.startswith(value), end
            else:
                assert value is None or value == node, end


def test_line_breaks_inside_strings_are_kept():
    assert read_truncated('{"a": "one\ntwo"}') == {"a": "one\ntwo"}


def test_half_a_surrogate_pair_is_replaced():
    assert read_truncated('{"a": "\\ud83d!", "b": "\\ude00"}') == {"a": "\ufffd!", "b": "\ufffd"}


@pytest.mark.parametrize(
    "text", ["", "no object", "[1, 2]", "{", "}{", '{"a": ]', '{"a": nul1}', '{"a": "\\uzzzz"}']
)
def test_what_is_no_object_gives_nothing(text):
    assert read_truncated(text) == {}


def test_nesting_has_an_end():
    reader = read(['{"a":' + "[" * 1000])[2]
    assert reader.is_broken
    assert MAX_DEPTH < 1000
