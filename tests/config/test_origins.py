"""Layers merge key by key, kinds replace each other, and every value remembers its source."""

from hypothesis import given
from hypothesis import strategies as st

from docrag.config.origins import Layer, merge, place_of

trees = st.recursive(
    st.integers(),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.sampled_from("abc"), trees, max_size=3)


def leaves(tree, at=()):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, (*at, key))
        else:
            yield (*at, key), value


def test_a_later_layer_wins_key_by_key():
    values, _ = merge([Layer({"a": {"x": 1, "y": 2}}), Layer({"a": {"y": 3}})])
    assert values == {"a": {"x": 1, "y": 3}}


def test_lists_are_replaced_whole():
    values, _ = merge([Layer({"a": [1, 2]}), Layer({"a": [3]})])
    assert values == {"a": [3]}


def test_another_kind_drops_the_options_of_the_kind_below():
    low = Layer({"embed": {"kind": "minilm", "n_threads": 2}}, {("embed", "n_threads"): "low:1:1"})
    values, places = merge([low, Layer({"embed": {"kind": "openai", "model": "m"}}, {(): "high"})])
    assert values == {"embed": {"kind": "openai", "model": "m"}}
    assert ("embed", "n_threads") not in places


def test_the_same_kind_or_none_named_keeps_the_options_below():
    low = Layer({"embed": {"kind": "minilm", "n_threads": 2}})
    for high in ({"kind": "minilm", "batch": 8}, {"batch": 8}):
        values, _ = merge([low, Layer({"embed": high})])
        assert values == {"embed": {"kind": "minilm", "n_threads": 2, "batch": 8}}


def test_a_section_with_nothing_in_it_changes_nothing():
    values, _ = merge([Layer({"a": {"x": 1}}), Layer({"a": None})])
    assert values == {"a": {"x": 1}}


def test_null_replaces_a_plain_value():
    values, _ = merge([Layer({"a": 1}), Layer({"a": None})])
    assert values == {"a": None}


def test_the_place_of_a_key_without_one_is_that_of_the_nearest_key_above():
    places = {(): "file", ("a",): "file:1:1"}
    assert place_of(places, ("a", "b", "c")) == "file:1:1"
    assert place_of(places, ("z",)) == "file"
    assert place_of({}, ("z",)) == "default"


@given(st.lists(mappings, max_size=3))
def test_every_leaf_comes_from_the_highest_layer_that_states_it(trees):
    layers = [Layer(tree, {(): f"layer {n}"}) for n, tree in enumerate(trees)]
    values, places = merge(layers)
    for path, value in leaves(values):
        layer_no = int(places[path].removeprefix("layer "))
        assert dict(leaves(trees[layer_no]))[path] == value
        assert all(path not in dict(leaves(tree)) for tree in trees[layer_no + 1 :])


@given(mappings, mappings)
def test_merging_changes_no_layer(low, high):
    before = (repr(low), repr(high))
    merge([Layer(low), Layer(high)])
    assert (repr(low), repr(high)) == before
