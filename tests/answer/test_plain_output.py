import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docrag.answer.plain_output import REMOVED, plain_output

ADDRESS = "https://evil.test/p?q=1"


@pytest.mark.parametrize(
    "text",
    [
        f"see {ADDRESS} now",
        f"![x]({ADDRESS}) now",
        f"![]({ADDRESS}",
        f"[click]({ADDRESS}) now",
        f"[click]({ADDRESS} 'title')",
        f"[a][1]\n\n[1]: {ADDRESS}",
        f"<{ADDRESS}>",
        f'<a href="{ADDRESS}">x</a>',
        f"<img src='{ADDRESS}'>",
        f"<img/src={ADDRESS}",
        f"<scr<script>ipt src={ADDRESS}></script>",
        f"<style>@import url({ADDRESS})</style>",
        f"<iframe src={ADDRESS}>",
        f"<!-- {ADDRESS} -->",
        f"<svg><image href='{ADDRESS}'/></svg>",
        f"HTTPS://{ADDRESS[8:]}",
        f"ht\u200btps://{ADDRESS[8:]}",
        f"ftp://{ADDRESS[8:]}",
        f"www.{ADDRESS[8:]}",
        f"![![x]({ADDRESS})]({ADDRESS})",
        f"[![x]({ADDRESS})]({ADDRESS})",
        "![x](//evil.test/a)",
        "//evil.test/p",
    ],
)
def test_no_address_and_no_markup_survives(text):
    plain = plain_output(text)
    assert "evil.test" not in plain.text
    assert not re.search(r"<\w[^<]*>|!\[", plain.text)
    assert plain.removed


@pytest.mark.parametrize(
    "text", ["javascript:alert", "data:text/html;base64,AAAA", "file:///etc/passwd", "mailto:a@b.test"]
)
def test_addresses_of_other_schemes_go(text):
    assert plain_output(f"go to {text} please").text == f"go to {REMOVED} please"


@pytest.mark.parametrize(
    "text",
    [
        "Sales rose 5 % (see page 3) to $1,234.5 million.",
        "p < 0.05 and q > 0.1",
        "x <y",
        "if a <= b, then b >= a",
        "the interval [0, 1] and f(x) [sic]",
        "1/2, and/or, 12:30, a: b, Source data: 5",
        "C:\\reports\\a.pdf",
        "- one\n- two",
        "Größe 3 µm, 日本語",
    ],
)
def test_ordinary_text_stays(text):
    assert plain_output(text) == (text, ())


def test_addresses_may_be_kept_as_text():
    assert plain_output("At https://www.acme.test/a, see www.acme.test.", links="text").text == (
        "At www.acme.test/a, see www.acme.test."
    )


def test_what_was_removed_is_named_once():
    plain = plain_output("<b>a</b> ![](http://x.test) <i>c</i>")
    assert plain == ("a  c", ("a picture", "HTML"))


@given(st.text(alphabet="<>![]()/:abchtps.\"'=- \n", max_size=80))
def test_cleaning_twice_changes_nothing_and_no_tag_stays(text):
    once = plain_output(text)
    assert plain_output(once.text).text == once.text
    assert not re.search(r"<[a-z][^<>]*>", once.text)


def test_a_tag_that_holds_another_bracket_does_not_open():
    text = plain_output("See <img src=x onerror=go() << there >.").text
    assert text == "See < img src=x onerror=go() << there >."
