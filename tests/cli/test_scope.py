import pytest

from docrag.cli.scope import LAST_PAGE, read_kinds, read_metadata, read_pages, read_scope
from docrag.errors import UsageError
from docrag.types import Scope


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("3-9", ((3, 9),)),
        ("5", ((5, 5),)),
        ("7-", ((7, LAST_PAGE),)),
        ("1,4, 7 - 8", ((1, 1), (4, 4), (7, 8))),
    ],
)
def test_page_ranges_are_read(text, ranges):
    assert read_pages(text) == ranges


@pytest.mark.parametrize("text", ["", "x", "9-3", "0", "0-2", "-3", "1,,2", "1-2-3", "1.5"])
def test_what_is_no_page_range_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="--pages"):
        read_pages(text)


def test_an_option_that_is_absent_restricts_nothing():
    assert read_scope(None, None) == Scope()
    assert read_scope([], None) == Scope()
    assert read_scope(["a.pdf", "b*"], "2") == Scope(("a.pdf", "b*"), ((2, 2),))


def test_metadata_is_read_with_keys_in_lower_case_and_values_as_they_are():
    assert read_metadata(["Author=River Council", "title = a=b "]) == {
        "author": "River Council",
        "title": "a=b",
    }
    assert read_scope(None, None, ["author=River Council"]) == Scope(metadata={"author": "River Council"})


@pytest.mark.parametrize("pairs", [["author"], ["=x"], ["author=a", "author=b"]])
def test_what_is_no_metadata_is_refused_with_the_option(pairs):
    with pytest.raises(UsageError, match="--meta"):
        read_metadata(pairs)


def test_kinds_are_names_of_regions_once_each():
    assert read_kinds(["table", "picture", "table"]) == ("table", "picture")
    assert read_scope(None, None, None, ["table"]) == Scope(kinds=("table",))


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(UsageError, match=r"--kind chart: expected one of text, .*picture"):
        read_kinds(["chart"])
