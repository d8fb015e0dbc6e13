from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.ingest.names import document_name, document_path, escape_name, unescape_name


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("plain report #1.pdf", "plain report #1.pdf"),
        ("größe 報告.pdf", "größe 報告.pdf"),
        ("line\nbreak\t.pdf", "line\\x0abreak\\x09.pdf"),
        ("invoice\u202efdp.exe.pdf", "invoice\\u202efdp.exe.pdf"),
        ("back\\slash.pdf", "back\\\\slash.pdf"),
        ("zero\u200bwidth.pdf", "zero\\u200bwidth.pdf"),
        ("next\u0085line.pdf", "next\\u0085line.pdf"),
        ("tag\U000e0041.pdf", "tag\\U000e0041.pdf"),
    ],
)
def test_names_are_printable_and_say_what_they_hide(name: str, escaped: str) -> None:
    assert escape_name(name) == escaped
    assert unescape_name(escaped) == name


def test_bytes_that_are_no_utf8_are_written_as_bytes() -> None:
    assert escape_name(b"caf\xe9.pdf".decode("utf-8", "surrogateescape")) == "caf\\xe9.pdf"


@given(st.binary(min_size=1, max_size=80))
def test_every_file_name_survives_escaping(raw: bytes) -> None:
    name = raw.decode("utf-8", "surrogateescape")
    escaped = escape_name(name)
    assert unescape_name(escaped) == name
    assert not {unicodedata.category(char) for char in escaped} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    escaped.encode("utf-8")


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_two_names_never_share_an_escaped_form(left: str, right: str) -> None:
    assert (escape_name(left) == escape_name(right)) == (left == right)


def test_a_document_name_leads_back_to_its_file() -> None:
    root = Path(os.sep, "library")
    path = root / "a b" / "c\nd.pdf"
    assert document_name(path, root) == "a b/c\\x0ad.pdf"
    assert document_path("a b/c\\x0ad.pdf", root) == path
