"""Which documents a scope means."""

from __future__ import annotations

import pytest
from tests.store.pages import make_document

from docrag.errors import UsageError
from docrag.store.selection import select
from docrag.types import Scope

DOCUMENTS = [
    make_document("2023/report.pdf", "a", 1, metadata={"year": "2023", "kind": "report"}),
    make_document(
        "2024/report.pdf", "b", 1, metadata={"year": "2024", "kind": "report"}, aliases=("copy.pdf",)
    ),
    make_document("2024/slides [v2].pdf", "c", 1, metadata={"year": "2024"}),
]


def names(**scope: object) -> list[str]:
    return [document.doc for document in select(DOCUMENTS, Scope(**scope))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("docs", "expected"),
    [
        (None, ["2023/report.pdf", "2024/report.pdf", "2024/slides [v2].pdf"]),
        ((), []),
        (("2023/report.pdf",), ["2023/report.pdf"]),
        (("copy.pdf",), ["2024/report.pdf"]),
        (("2024/*",), ["2024/report.pdf", "2024/slides [v2].pdf"]),
        (("*report.pdf",), ["2023/report.pdf", "2024/report.pdf"]),
        (("c?py.pdf", "2023/*"), ["2023/report.pdf", "2024/report.pdf"]),
        (("2024/slides [v2].pdf",), ["2024/slides [v2].pdf"]),
    ],
)
def test_documents_are_named_by_name_alias_or_pattern(docs: tuple[str, ...] | None, expected: list[str]):
    assert names(docs=docs) == expected


def test_metadata_must_equal_key_by_key():
    assert names(metadata={"year": "2024"}) == ["2024/report.pdf", "2024/slides [v2].pdf"]
    assert names(metadata={"year": "2024", "kind": "report"}) == ["2024/report.pdf"]
    assert names(docs=("2023/*",), metadata={"year": "2024"}) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"absent": ""}, 'no document of the index has "absent" in its metadata; known: kind, year'),
        ({"yaer": "2024"}, 'no document of the index has "yaer" in its metadata; did you mean year?'),
        ({"year": "later"}, 'no document of the index has year "later"; known: 2023, 2024'),
        ({"kind": "Report"}, 'no document of the index has kind "Report"; did you mean report?'),
    ],
)
def test_metadata_that_no_document_has_is_refused_with_what_there_is(wrong: dict[str, str], message: str):
    with pytest.raises(UsageError) as caught:
        names(metadata=wrong)
    assert str(caught.value) == message


def test_metadata_of_an_empty_index_matches_nothing():
    assert select([], Scope(metadata={"year": "2024"})) == []


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("2023/reprot.pdf", "2023/report.pdf"),
        ("report.pdf", "2023/report.pdf, 2024/report.pdf"),
        ("/home/me/copy.pdf", "copy.pdf"),
        ("zzz", '"docrag ls" lists all 3'),
        ("2025/*", '"docrag ls" lists all 3'),
    ],
)
def test_a_name_that_matches_nothing_is_refused_with_the_nearest_names(wrong: str, nearest: str):
    with pytest.raises(UsageError) as caught:
        names(docs=("2023/report.pdf", wrong))
    assert f'no document named "{wrong}"' in str(caught.value)
    assert nearest in str(caught.value)


def test_an_empty_index_says_that_it_is_empty():
    with pytest.raises(UsageError, match="empty"):
        select([], Scope(docs=("a.pdf",)))
